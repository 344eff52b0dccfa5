"""Splitting the faces of a source: by lists, or by a plain rule; and checking splits against official counts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eagrctl.data.source import SPLITS
from eagrctl.errors import SourceError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")

BY_LISTS = "the lists in the source folder"
EVERY_TENTH = "every tenth face from the ninth on is val, every tenth from the tenth on is test, the rest is train"


def photos_in(folder: Path) -> dict[str, Path]:
    """The photos of a folder by name, without suffix, short names first; SourceError where two have one name."""
    photos: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (len(path.stem), path.name)):
        # macOS leaves "._NAME.jpg" beside every photo that it unpacks.
        if path.suffix.lower() not in PHOTO_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in photos:
            raise SourceError(f"{path} and {photos[path.stem].name} beside it are one face's photo; keep one of them")
        photos[path.stem] = path
    return photos


def listed_splits(root: Path) -> dict[str, list[str]] | None:
    """The splits that `train.txt`, `val.txt` and `test.txt` in `root` list, or None where there is no list.

    A split without a list has no faces. A list holds one name a line, with or without a suffix. SourceError where one
    cannot be read, or lists a face twice.
    """
    lists = {split: root / f"{split}.txt" for split in SPLITS if (root / f"{split}.txt").is_file()}
    if not lists:
        return None
    splits = {split: [_bare(line) for line in read_lines(path)] for split, path in lists.items()}
    check_disjoint(root, {lists[split].name: names for split, names in splits.items()})
    return splits


def splits_of(root: Path, names: Sequence[str]) -> tuple[str, dict[str, list[str]]]:
    """The rule and the splits of names: by the `listed_splits` of `root` where there are some, else `EVERY_TENTH`."""
    listed = listed_splits(root)
    return (EVERY_TENTH, every_tenth(names)) if listed is None else (BY_LISTS, listed)


def every_tenth(names: Sequence[str]) -> dict[str, list[str]]:
    """Split where nothing else says how: eight, one and one of every ten names, in their order; see `EVERY_TENTH`."""
    splits = {"train": [name for place, name in enumerate(names) if place % 10 < 8]}
    return splits | {split: list(names[place::10]) for split, place in (("val", 8), ("test", 9))}


def read_lines(path: Path) -> list[str]:
    """The lines of a list, stripped, without empty ones; SourceError where it is missing, or not UTF-8."""
    try:
        # Windows editors put a byte order mark first.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read {path} ({error}); save it as UTF-8 text") from None
    return [line.strip() for line in lines if line.strip()]


def check_disjoint(root: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """Refuse, with SourceError, a face that is in two lists of `root`, or twice in one; `lists` are names by file."""
    seen: dict[str, str] = {}
    for file, names in lists.items():
        for name in names:
            if name in seen:
                raise SourceError(f"face {name} is in {seen[name]} and again in {file} of {root}; keep it in one place")
            seen[name] = file


def check_counts(
    root: Path, splits: Mapping[str, Sequence[str]], official: Mapping[str, int], authority: str = "the paper"
) -> None:
    """Refuse, with SourceError, a split of the source in `root` that does not have its official number of faces."""
    for split, expected in official.items():
        found = len(splits[split])
        if found != expected:
            raise SourceError(
                f"{root} has {found:,} faces in split {split}, {authority} {expected:,}: complete the download, "
                "or add --partial to prepare what is there"
            )


def _bare(line: str) -> str:
    path = Path(line)
    # A name may contain a dot.
    return path.stem if path.suffix.lower() in PHOTO_SUFFIXES else path.name
