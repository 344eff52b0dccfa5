"""Splitting the faces of a source: by lists, or by a plain rule; and checking splits against official counts."""

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from eagrctl.data.source import SPLITS
from eagrctl.errors import SourceError
from eagrctl.files import printable

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")

BY_LISTS = "the lists in the source folder"
EVERY_TENTH = "every tenth face from the ninth on is val, every tenth from the tenth on is test, the rest is train"

_LIST_LIKE = re.compile(r"(?<![a-z])(train|val|test|exemplars|tuning|split|.*partition|.*mapping)", re.IGNORECASE)


@dataclass(frozen=True)
class Lists:
    """What the lists of a folder say.

    Attributes:
        splits: the names of each split's faces; a split without a list has none.
        files: the list of each split, by its file's name.
        remarks: what in them was left out, a line each.
    """

    splits: Mapping[str, list[str]]
    files: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def read_lists(root: Path) -> Lists | None:
    """The splits that `train.txt`, `val.txt` and `test.txt` in `root` list, or None where there is no list.

    `train_list.txt` and so on, as the released code of the paper has them, are read where these are not there. A list
    holds one name a line, or a photo and its label map; with or without folders and a suffix. SourceError where one
    cannot be read, lists a face twice, or names something outside its folder.
    """
    candidates = {split: (f"{split}.txt", f"{split}_list.txt") for split in SPLITS}
    files = {
        split: found
        for split, names in candidates.items()
        if (found := next((name for name in names if (root / name).is_file()), None))
    }
    if not files:
        return None
    splits: dict[str, list[str]] = {}
    remarks = []
    for split, file in files.items():
        names = [listed_name(line, root / file) for line in read_lines(root / file)]
        splits[split] = [name for name in names if not name.startswith(".")]
        if hidden := len(names) - len(splits[split]):
            remarks.append(f"{counted(hidden, 'name')} in {file} begin with a dot, and are no faces")
    check_disjoint(root, {files[split]: names for split, names in splits.items()})
    return Lists(splits, files, tuple(remarks))


def unread_lists(root: Path, read: Iterable[str]) -> tuple[str, ...]:
    """A line that names the files of `root` which look like lists of faces, and are not among those that were read."""
    suffixes = (".txt", ".csv", ".lst", ".list", ".flist")
    spare = sorted(
        {path.name for path in root.iterdir() if path.suffix.lower() in suffixes and _LIST_LIKE.match(path.stem)}
        - set(read)
    )
    return (f"not read: {named(spare)} in {printable(root)}",) if spare else ()


def every_tenth(names: Sequence[str]) -> dict[str, list[str]]:
    """Split where nothing else says how: eight, one and one of every ten names, in their order; see `EVERY_TENTH`."""
    splits = {"train": [name for place, name in enumerate(names) if place % 10 < 8]}
    return splits | {split: list(names[place::10]) for split, place in (("val", 8), ("test", 9))}


def read_lines(path: Path) -> list[str]:
    """The lines of a list, stripped, without empty ones; SourceError where it is missing, or no text."""
    try:
        data = path.read_bytes()
        # Windows editors put a byte order mark first; PowerShell writes UTF-16.
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        lines = re.split(r"\r\n|\r|\n", data.decode("utf-16" if utf16 else "utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read {printable(path)} ({error}); save it as UTF-8 text") from None
    return [line.strip() for line in lines if line.strip()]


def listed_name(line: str, path: Path) -> str:
    """The name of the face that a line of the list `path` means, without folders and suffix.

    Raises:
        SourceError: it is not a relative name inside the folder of the list.
    """
    line = line.replace("\\", "/")
    columns = re.split(r"[\s,;]+", line)
    if len(columns) == 2 and all("." in column for column in columns) and _bare(columns[0]) == _bare(columns[1]):
        line = columns[0]  # a photo, and its label map
    parts = line.split("/")
    name = _bare(line)
    if (
        line.startswith("/")
        or re.match("[A-Za-z]:", line)
        or ".." in parts
        or name in ("", ".")
        or "\0" in line
        or len(name.encode()) > 240
    ):
        raise SourceError(
            f"{printable(path)} lists {printable(line[:80])!r}, which is not the name of a face in its folder: write "
            "names such as 1.jpg or images/1.jpg"
        )
    return name


def check_disjoint(root: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """Refuse, with SourceError, a face that is in two lists of `root`, or twice in one; `lists` are names by file."""
    seen: dict[str, str] = {}
    for file, names in lists.items():
        for name in names:
            if name in seen:
                raise SourceError(
                    f"face {printable(name)} is in {seen[name]} and again in {file} of {printable(root)}; keep it in "
                    "one place"
                )
            seen[name] = file


def check_counts(
    root: Path, splits: Mapping[str, Sequence[str]], official: Mapping[str, int], authority: str = "the paper"
) -> None:
    """Refuse, with SourceError, a split of the source in `root` that does not have its official number of faces."""
    for split, expected in official.items():
        found = len(splits.get(split, ()))
        if found != expected:
            raise SourceError(
                f"{root} has {found:,} faces in split {split}, {authority} {expected:,}: complete the download, "
                "or add --partial to prepare what is there"
            )


def named(names: Iterable[str], most: int = 3) -> str:
    """The first names, as they can be printed, and whether there are more."""
    names = iter(names)
    shown = ", ".join(printable(name) for name in islice(names, most))
    return f"{shown}, ..." if next(names, None) is not None else shown


def counted(count: int, noun: str) -> str:
    """`1 photo`, `2,000 photos`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _bare(line: str) -> str:
    name = line.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    # A name may contain a dot.
    return stem if stem and dot + suffix.lower() in PHOTO_SUFFIXES else name
