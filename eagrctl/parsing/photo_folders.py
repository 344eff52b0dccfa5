"""Photos in folders and behind patterns: found without looking at each file, and without walking in circles."""

import glob
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from eagrctl.errors import SourceError
from eagrctl.events import Listener, Notice
from eagrctl.faces.photo import photo_suffixes, printable
from eagrctl.parsing.photo_names import natural

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})


@dataclass(frozen=True, slots=True)
class Found:
    """A file; plain strings, for there may be very many.

    Attributes:
        path: as it is opened.
        wanted: relative and posix, the path by which its results would best be called.
        real: its path without links, by which one file is known under several.
    """

    path: str
    wanted: str
    real: str


def is_photo_or_video(path: str) -> bool:
    """Whether a file is taken from a folder, by its suffix."""
    suffix = f".{path.rpartition('.')[2].lower()}"
    return suffix in photo_suffixes() or suffix in VIDEO_SUFFIXES


def in_folder(
    folder: str,
    without: Collection[str],
    listener: Listener,
    take: Callable[[str], bool] = is_photo_or_video,
    enter: Callable[[str], bool] = bool,
) -> list[Found]:
    """The files of a folder and its subfolders, in natural order.

    Names that begin with a dot are left out. Links are followed, after everything else, so that a file goes by its own
    name where it has one here; no folder is entered twice.

    Args:
        folder: where to look.
        without: real paths of subfolders to pass by.
        listener: is told of subfolders that cannot be read.
        take: whether to take a file, by its posix path in `folder`.
        enter: whether to enter a subfolder, by the same; every one unless given.

    Raises:
        SourceError: `folder` itself cannot be read.
    """
    files: dict[str, Found] = {}
    links: list[Found] = []
    root = os.path.realpath(folder)
    seen = set(without) - {root}
    waiting = [(folder, "", root)]
    linked: list[tuple[str, str, str]] = []
    while waiting or linked:
        here, inside, real = waiting.pop() if waiting else linked.pop(0)
        if real in seen:
            continue
        seen.add(real)
        try:
            # Sorted, because of two links to one folder the first counts, and file systems list them as they please.
            with os.scandir(here) as entries:
                visible = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
        except OSError as error:
            if not inside:
                raise SourceError(
                    f"cannot read the folder {printable(folder)} ({error.strerror}): make it readable"
                ) from None
            listener(Notice(f"Left out the folder {printable(here)}: {error.strerror}", warning=True))
            continue
        for entry in visible:
            wanted = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                if Path(target).is_dir():
                    if enter(wanted):
                        linked.append((entry.path, wanted, target))
                elif take(wanted):
                    links.append(Found(entry.path, wanted, target))
            elif entry.is_dir():
                if enter(wanted):
                    waiting.append((entry.path, wanted, f"{real}{os.sep}{entry.name}"))
            elif take(wanted):
                file = Found(entry.path, wanted, f"{real}{os.sep}{entry.name}")
                files.setdefault(file.real, file)
    for link in links:
        files.setdefault(link.real, link)
    return sorted(files.values(), key=lambda file: natural(file.wanted))


def matching(pattern: str, without: Collection[str], listener: Listener) -> list[Found]:
    """The files that a pattern matches, and those in folders that it matches, in natural order.

    `**` stands for any folders, none included. Suffixes count as they do in a folder, unless the pattern ends in one.

    Raises:
        SourceError: the folder from which it starts cannot be read.
    """
    folder, parts = split_pattern(pattern)
    suffix = Path(pattern).suffix
    if not folder.is_dir():
        return []

    def take(wanted: str) -> bool:
        right = is_photo_or_video(wanted) or (suffix and not glob.has_magic(suffix) and wanted.endswith(suffix))
        return bool(right) and _fits(wanted.split("/"), parts)

    return in_folder(str(folder), without, listener, take, lambda inside: _fits(inside.split("/"), parts, leads=True))


def split_pattern(pattern: str) -> tuple[Path, Sequence[str]]:
    """The folder from which a pattern starts, and its parts from the first that has a wildcard."""
    parts = Path(pattern).parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first]), parts[first:]


def _fits(names: Sequence[str], parts: Sequence[str], leads: bool = False) -> bool:
    """Whether a path, or a folder that it lies in, fits a pattern; with `leads`, also whether something in it might."""
    if not parts:
        return True
    if not names:
        return leads
    if parts[0] == "**":
        return leads or len(parts) == 1 or any(_fits(names[skipped:], parts[1:]) for skipped in range(len(names)))
    return fnmatchcase(names[0], parts[0]) and _fits(names[1:], parts[1:], leads)
