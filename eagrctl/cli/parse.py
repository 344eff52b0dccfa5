"""`eagrctl parse`: photos and videos -> label maps, overlays, and what was found, one by one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import (
    RUNS,
    Batch,
    Detector,
    Gpus,
    LandmarkPredictor,
    Quiet,
    Tta,
    argument,
    choose_device,
    flag,
    option,
)
from eagrctl.errors import EagrctlError

if TYPE_CHECKING:
    from eagrctl.parsing.files import ResultFolder
    from eagrctl.parsing.frames import Frame
    from eagrctl.parsing.parsed import Tally
    from eagrctl.parsing.photos import Photo
    from eagrctl.parsing.placing import Finding
    from eagrctl.parsing.record import Recorded

NAMED = 50  # photos without a face, at most


def parse(
    paths: Annotated[list[str] | None, argument("PATH", "Photos, folders, patterns such as 'a/*.jpg', videos.")] = None,
    listed: Annotated[Path | None, option("--list", "FILE", "File of paths, one a line; - is standard input.")] = None,
    output: Annotated[Path, option("--output -o", "DIR", "Folder for the results.")] = Path("parsed"),
    no_detect: Annotated[bool, flag("--no-detect", "Each photo is one cropped face, as in CelebAMask-HQ.")] = False,
    whole_image: Annotated[bool, flag("--whole-image", "Parse a photo in which no face is found as a whole.")] = False,
    per_face: Annotated[bool, flag("--per-face", "Also write a label map of each face, NAME.face-1.png etc.")] = False,
    probabilities: Annotated[bool, flag("--probabilities", "Also write each class's probabilities: NAME.npz.")] = False,
    mask: Annotated[
        list[str] | None,
        option("--mask", "NAME[=A+B]", "Also write NAME.png of a part or group: hair, lips, head, mine=skin+nose."),
    ] = None,
    groups: Annotated[
        Path | None, option("--groups", "FILE", "TOML with more groups for --mask, below [groups].")
    ] = None,
    feather: Annotated[float, option("--feather", "PIXELS", "Soften the edges of masks.", min=0)] = 0.0,
    grow: Annotated[float, option("--grow", "PIXELS", "Grow masks; a negative number shrinks them.")] = 0.0,
    cutout: Annotated[
        bool, flag("--cutout", "Also write the photo where each mask is, transparent elsewhere.")
    ] = False,
    scheme: Annotated[
        str | None,
        option("--scheme", "NAME|FILE", "Write label maps in other ids: zllrunning, farl, lapa, helen, a file."),
    ] = None,
    no_overlay: Annotated[bool, flag("--no-overlay", "Write no NAME.overlay.jpg.")] = False,
    every: Annotated[int, option("--every", "N", "Of a video, parse every N-th frame.", min=1)] = 1,
    no_steady: Annotated[bool, flag("--no-steady", "Parse each frame of a video for itself.")] = False,
    weights: Annotated[
        Path | None, option("--weights", "RUN|CHECKPOINT", "Network. Default: the one that comes with eagrctl.")
    ] = None,
    detector: Detector = None,
    predictor: LandmarkPredictor = None,
    frame: Annotated[
        str, option("--frame", "head|face", "The whole head, or what the network's square shows of it alone.")
    ] = "head",
    tta: Tta = None,
    batch: Batch = 8,
    workers: Annotated[
        int | None, option("--workers", "N", "Threads that read and find faces. Default: all cores.", min=1)
    ] = None,
    gpus: Gpus = None,
    force: Annotated[bool, flag("--force", "Parse again what is done, and replace results of other photos.")] = False,
    quiet: Quiet = False,
) -> None:
    """Parse the faces in photos: which pixel is skin, hair, nose, an eye, a lip?

    Of photo NAME, writes NAME.png (class ids, with a palette), NAME.overlay.jpg (to look at) and NAME.json (faces, and
    shares of classes); with --mask hair, NAME.hair.png (0 to 255, soft where the network is unsure). The same command
    again continues where it was stopped, and skips what is done.

    ```text
    eagrctl parse photo.jpg
    eagrctl parse holiday/ 'more/*.jpg' --output labels --per-face
    eagrctl parse portrait.jpg --mask hair --mask lips --feather 2 --cutout
    eagrctl parse photo.jpg --scheme zllrunning
    eagrctl parse clip.mp4 --every 2
    eagrctl parse portraits/ --tta mirror
    eagrctl parse crowd.jpg --detector face_detection_yunet_2023mar.onnx
    ```
    """
    from eagrctl.data.labels import in_words, label_set_of
    from eagrctl.parsing.batch import parse_files
    from eagrctl.parsing.files import ResultFolder, Wanted
    from eagrctl.parsing.masks import MaskSettings, mask_request, read_groups
    from eagrctl.parsing.parser import FaceParser
    from eagrctl.parsing.photos import find_photos
    from eagrctl.parsing.record import ParserSettings
    from eagrctl.readers.schemes import find_scheme
    from eagrctl.training.runs import find_checkpoint
    from eagrctl.weights import SHIPPED

    if no_detect and whole_image:
        raise typer.BadParameter("--no-detect looks for no face: drop one of the two", param_hint="--whole-image")
    # Results among photos would be found as photos themselves next time.
    if output.resolve() in [Path(path).resolve() for path in paths or () if Path(path).is_dir()]:
        raise EagrctlError(f"--output {output} is the folder of the photos: name another for the results")
    with console.progress(quiet) as listener:
        found = find_photos(paths or [], listed, without=[output], listener=listener)
    finding: Finding = "crop" if no_detect else "whole" if whole_image else "faces"
    if not mask and (groups or feather or grow or cutout):
        raise typer.BadParameter("this is for masks: add --mask hair", param_hint="--feather")
    path = find_checkpoint(weights or Path(SHIPPED), RUNS)
    parser = FaceParser(
        path,
        device=choose_device(gpus),
        detector=detector,
        predictor=predictor,
        finding=finding,
        frame=_frame(frame),
        tta=tta,
        probabilities=probabilities,
        batch=batch,
    )
    more = read_groups(groups) if groups else {}
    requests = tuple(mask_request(each, parser.classes, more) for each in mask or ())
    if requests and any(file.kind == "video" for file in found):
        console.message("Masks are written of photos alone, not of videos", warning=True)
    classes = label_set_of(parser.dataset, parser.classes)
    ids = find_scheme(scheme, classes).written(classes) if scheme else None
    if ids is not None and ids.without:
        console.message(
            f"Scheme {scheme} has no {', '.join(map(in_words, ids.without))}: they are background in the label maps",
            warning=True,
        )
    folder = ResultFolder(
        output,
        classes,
        ParserSettings.of(path, parser.finder, finding, parser.tta, parser.frame),
        parser.size,
        Wanted(not no_overlay, per_face, probabilities, MaskSettings(requests, feather, grow, cutout), ids),
    )
    try:
        with console.progress(quiet) as listener:
            tallies = parse_files(
                parser,
                found,
                folder,
                every=every,
                steady=not no_steady,
                force=force,
                workers=workers,
                listener=listener,
            )
    except KeyboardInterrupt:
        console.message(f"What is in {output} is whole: the same command goes on from there", warning=True)
        raise
    show(tallies, folder, [photo for photo in found if photo.kind == "photo"])
    if any(tally.failed for tally in tallies.values()):
        raise typer.Exit(1)


def _frame(name: str) -> "Frame":
    if name != "head" and name != "face":
        raise typer.BadParameter(f"{name!r} is neither head nor face", param_hint="--frame")
    return name  # type: ignore[return-value]


def show(tallies: "Mapping[str, Tally]", folder: "ResultFolder", photos: "Sequence[Photo]") -> None:
    """Print what was found and what was not; of a single photo, its faces and classes.

    Args:
        tallies: by what they count: "photo" and "video"; one of them may be missing.
        folder: of the results.
        photos: those that were asked for.
    """
    skipped = sum(tally.skipped for tally in tallies.values())
    done = sum(tally.total - len(tally.failed) for tally in tallies.values()) - skipped
    alone = len(photos) == 1 and len(tallies) == 1  # of a single photo, all is said
    record = folder.read(photos[0]) if alone and done + skipped else None
    if record is not None:
        _show_photo(record)
    elif not alone:
        console.table(
            ("", "files", "faces", "without a face", "failed", "skipped", "seconds", "faces a second"),
            [
                (
                    f"{kind}s",
                    *map(
                        "{:,}".format, (tally.total, tally.faces, len(tally.without), len(tally.failed), tally.skipped)
                    ),
                    f"{tally.seconds:,.1f}",
                    f"{tally.faces / tally.seconds:,.1f}" if tally.faces and tally.seconds else "",
                )
                for kind, tally in tallies.items()
            ],
        )
    for kind, tally in tallies.items():
        _name_faceless(kind, tally, folder.settings.finding)
    for tally in tallies.values():
        for _, reason in tally.failed:
            console.error(reason)
    if skipped:
        console.message(
            f"Skipped {skipped:,} that {_were(skipped)} done already, in {folder.path}; --force repeats them"
        )
    if done and record is not None:
        console.written([*(folder.path / name for name in record.names), folder.place(photos[0], ".json")])
    elif done:
        console.message(f"Wrote the results of {counted(done, 'file')} to {folder.path}/")


def _show_photo(record: "Recorded") -> None:
    """Print the faces of a photo, and what each class has of it."""
    from eagrctl.data.labels import in_full

    photo, faces, shares = record.file, record.faces, record.shares
    title = f"{Path(photo.path).name}, {photo.width} x {photo.height}: {counted(len(faces), 'face')}"
    if not faces:
        console.result(title)
        return
    console.table(
        ("face", "left", "top", "right", "bottom", "confidence", "placed by"),
        [
            (
                str(number),
                *(("",) * 4 if face.box is None else map("{:.0f}".format, face.box)),
                "" if face.confidence is None else f"{face.confidence:.2f}",
                face.placed,
            )
            for number, face in enumerate(faces, 1)
        ],
        title,
    )
    console.table(
        ("class", "id", "% of the photo"),
        [
            (in_full(name), str(number), f"{100 * shares[name]:.2f}")
            for number, name in enumerate(record.classes)
            if shares.get(name)
        ],
    )


def _name_faceless(kind: str, tally: "Tally", finding: str) -> None:
    """Say in which photos no face was found, and how they can be parsed all the same."""
    if not tally.without:
        return
    if kind == "video":
        frames = counted(len(tally.without), "frame")
        console.message(f"No face was found in {frames} of {tally.pictures:,}", warning=True)
        return
    remedy = (
        f"which {_were(len(tally.without))} parsed as a whole"
        if finding == "whole"
        else "which --whole-image parses as a whole, and --no-detect as a cropped face"
    )
    console.message(f"No face was found in {counted(len(tally.without), 'photo')}, {remedy}:", warning=True)
    for photo in tally.without[:NAMED]:
        console.message(f"  {photo.path}", warning=True)
    if len(tally.without) > NAMED:
        console.message(f"  and {len(tally.without) - NAMED:,} more, whose JSON lists no face with a box", warning=True)


def counted(number: int, noun: str) -> str:
    """`1 face`, `2 faces`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
