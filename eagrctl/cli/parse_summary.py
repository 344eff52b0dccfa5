"""What `eagrctl parse` tells at its end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eagrctl.cli import console

if TYPE_CHECKING:
    from eagrctl.parsing.files import ResultFolder
    from eagrctl.parsing.parsed import Tally
    from eagrctl.parsing.photos import Photo

# So many photos without a face are named.
NAMED = 50


def show(tallies: "Mapping[str, Tally]", folder: "ResultFolder", photos: "Sequence[Photo]") -> None:
    """Print what was found and what was not; of a single photo, its faces and classes.

    Args:
        tallies: by what they count: "photo" and "video"; one of them may be missing.
        folder: of the results.
        photos: those that were asked for.
    """
    from eagrctl.parsing.files import file_names

    done = sum(tally.total - len(tally.failed) - tally.skipped for tally in tallies.values())
    skipped = sum(tally.skipped for tally in tallies.values())
    files: list[Path] = []
    alone = len(photos) == 1 and len(tallies) == 1 and done + skipped > 0
    if len(photos) == 1 and done + skipped and (record := folder.read(photos[0])) is not None:
        _show_photo(record)
        files = [*(folder.path / name for name in file_names(record["files"])), folder.place(photos[0], ".json")]
    # Of a single photo, all is said.
    if not alone:
        console.table(
            ("", "files", "faces", "without a face", "failed", "skipped", "seconds", "faces a second"),
            [(f"{kind}s", *_figures(tally)) for kind, tally in tallies.items()],
        )
    for kind, tally in tallies.items():
        _name_faceless(kind, tally, folder.settings.finding)
    for tally in tallies.values():
        for _, reason in tally.failed:
            console.error(reason)
    if skipped:
        console.message(
            f"Skipped {skipped:,} that {_verb(skipped)} done already, in {folder.path}; --force repeats them"
        )
    if done and alone:
        console.written(files)
    elif done:
        console.message(f"Wrote the results of {counted(done, 'file')} to {folder.path}/")


def _figures(tally: "Tally") -> tuple[str, ...]:
    rate = f"{tally.faces / tally.seconds:,.1f}" if tally.faces and tally.seconds else ""
    counts = (tally.total, tally.faces, len(tally.without), len(tally.failed), tally.skipped)
    return (*(f"{count:,}" for count in counts), f"{tally.seconds:,.1f}", rate)


def _show_photo(record: Mapping[str, Any]) -> None:
    """Print the faces of a photo, and what each class has of it."""
    from eagrctl.data.labels import in_full
    from eagrctl.faces.photo import printable

    photo, faces, shares = record["photo"], record["faces"], record["shares"]
    name = printable(Path(photo["path"]).name)
    title = f"{name}, {photo['width']} x {photo['height']}: {counted(len(faces), 'face')}"
    if not faces:
        console.result(title)
        return
    console.table(
        ("face", "left", "top", "right", "bottom", "confidence", "placed by"),
        [
            (str(number), *_box(face["box"]), _number(face["confidence"]), face["placed"])
            for number, face in enumerate(faces, 1)
        ],
        title,
    )
    console.table(
        ("class", "id", "% of the photo"),
        [
            (in_full(name), str(number), f"{100 * shares[name]:.2f}")
            for number, name in enumerate(record["classes"])
            if shares[name] > 0
        ],
    )


def _box(box: Sequence[float] | None) -> tuple[str, ...]:
    return ("",) * 4 if box is None else tuple(f"{edge:.0f}" for edge in box)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _name_faceless(kind: str, tally: "Tally", finding: str) -> None:
    """Say in which photos no face was found, and how they can be parsed all the same."""
    from eagrctl.faces.photo import printable

    if not tally.without:
        return
    if kind == "video":
        frames = counted(len(tally.without), "frame")
        console.message(f"No face was found in {frames} of {tally.pictures:,}")
        return
    remedy = (
        f"which {_verb(len(tally.without))} parsed as a whole"
        if finding == "whole"
        else "which --whole-image parses as a whole, and --no-detect as a cropped face"
    )
    console.message(f"No face was found in {counted(len(tally.without), 'photo')}, {remedy}:")
    for photo in tally.without[:NAMED]:
        console.message(f"  {printable(photo.path)}")
    if len(tally.without) > NAMED:
        console.message(f"  and {len(tally.without) - NAMED:,} more, whose JSON has no face of its own box")


def counted(number: int, noun: str) -> str:
    """`1 face`, `2 faces`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _verb(number: int) -> str:
    return "was" if number == 1 else "were"
