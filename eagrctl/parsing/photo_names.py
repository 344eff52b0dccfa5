"""What photos are called among each other: in which order they come, and where the results of each go."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

_NUMBER = re.compile(r"([0-9]+)")

Order = tuple[list[list[str | int]], str]


def natural(path: str) -> Order:
    """A sort key by which 2.jpg comes before 10.jpg, folder by folder, whatever the case."""
    parts: list[list[str | int]] = []
    for part in path.casefold().split("/"):
        pieces: list[str | int] = list(_NUMBER.split(part))
        pieces[1::2] = map(int, pieces[1::2])
        parts.append(pieces)
    return parts, path


def unique_names(photos: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each photo: relative, posix, never leaving its folder, unique whatever a file system makes of case.

    The name is the path that is wanted, without its suffix. Photos that would share one keep their suffixes where that
    tells them apart; else the names of the folders that they lie in stand in front, as many as it takes; what even so
    looks alike is numbered. Photos that share no name with others keep theirs, whatever else there is.

    Args:
        photos: of each the path by which it is opened, and the last part of that, which is wanted: posix, without `..`.
    """
    names = [_without_suffix(wanted) for _, wanted in photos]
    for group in _alike(names):
        for number, name in zip(group, _told_apart([photos[number] for number in group]), strict=True):
            names[number] = name
    taken = {_folded(name) for name in names}
    for group in _alike(names):
        for number in group[1:]:
            names[number] = _numbered(names[number], taken)
    return names


def _told_apart(photos: Sequence[tuple[str, str]]) -> list[str]:
    """Names for photos that would share one; alike still where a file system takes even their paths for one."""
    folders = [_folders_above(*photo) for photo in photos]
    for depth in range(1 + max(map(len, folders))):
        full = [
            "/".join((*above[max(0, len(above) - depth) :], wanted))
            for above, (_, wanted) in zip(folders, photos, strict=True)
        ]
        for names in ([_without_suffix(path) for path in full], full):
            if len({_folded(name) for name in names}) == len(names):
                return names
    return [_without_suffix(wanted) for _, wanted in photos]


def _folders_above(path: str, wanted: str) -> Sequence[str]:
    """The folders above the path that is wanted, outermost first; of no drive, for a name must not be absolute."""
    whole = Path(os.path.normpath(Path(path).absolute()))
    parts = whole.relative_to(whole.anchor).parts
    return parts[: max(0, len(parts) - 1 - wanted.count("/"))]


def _without_suffix(path: str) -> str:
    stem, _, suffix = path.rpartition(".")
    # A name such as ..jpg is left whole: what is in front of its suffix is no name, but a folder's.
    return stem if stem.rpartition("/")[2].strip(".") and "/" not in suffix else path


def _numbered(name: str, taken: set[str]) -> str:
    number = 2
    while _folded(f"{name}-{number}") in taken:
        number += 1
    taken.add(_folded(f"{name}-{number}"))
    return f"{name}-{number}"


def _alike(names: Iterable[str]) -> list[list[int]]:
    """The numbers of those names that some file system takes for one, a list for each."""
    groups = defaultdict(list)
    for number, name in enumerate(names):
        groups[_folded(name)].append(number)
    return [group for group in groups.values() if len(group) > 1]


def _folded(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
