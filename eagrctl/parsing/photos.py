"""Which photos are meant: files, folders, patterns, a list; and what each is called."""

import glob
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from eagrctl.errors import SourceError, did_you_mean
from eagrctl.events import Listener, ignore
from eagrctl.faces.photo import printable
from eagrctl.parsing.photo_folders import VIDEO_SUFFIXES, Found, in_folder, matching, split_pattern
from eagrctl.parsing.photo_names import unique_names

# Among more names than this, looking for the one that was nearly written takes too long.
NEIGHBOURS = 2000


@dataclass(frozen=True)
class Photo:
    """A photo or a video that is to be parsed.

    Attributes:
        path: the file.
        name: where its results go: relative, posix, without suffix, unlike all others whatever a file system makes of
            case. It may hold dots: put endings behind it, and never replace what looks like one.
    """

    path: Path
    name: str

    @property
    def video(self) -> bool:
        """Whether it is a video, by its suffix."""
        return is_video(self.path)


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def find_photos(
    arguments: Sequence[str],
    listed: Path | None = None,
    *,
    without: Collection[Path] = (),
    listener: Listener = ignore,
) -> list[Photo]:
    """Find the photos and videos that are meant, each file once, in the order of the arguments.

    A file counts whatever its suffix. A folder stands for all photos and videos in it and in its subfolders, by their
    suffixes, in natural order; names that begin with a dot are left out, and links are followed. A pattern stands for
    what it matches, `**` for any folders; unless it ends in a plain suffix, suffixes count as in folders. Results of
    what lies in a folder mirror its tree; those of a file that is named go by its name.

    Args:
        arguments: files, folders and patterns.
        listed: a file with more of these, one a line, relative to its folder; blank lines and those that begin with #
            are left out. From a pipe, or standard input, which is `-`, paths are relative to the working directory.
        without: folders to pass by where they lie in others, such as that of the results.
        listener: is told of subfolders that cannot be read.

    Raises:
        SourceError: something is missing or cannot be read, a pattern matches nothing, a folder holds no photo, or
            nothing is named at all.
    """
    passed_by = {os.path.realpath(folder) for folder in without}
    found: dict[str, Found] = {}
    real_folder = cache(os.path.realpath)  # of this call alone: folders change
    for where, argument in chain((("", argument) for argument in arguments), _lines(listed) if listed else ()):
        try:
            for file in _meant(argument, passed_by, listener, real_folder):
                found.setdefault(file.real, file)
        except SourceError as error:
            raise SourceError(f"{where}{error}") from None
    if not found:
        raise SourceError(
            f"{printable(listed)} lists no photo: write one path a line"
            if listed
            else "no photo is named: give photos, folders, or patterns such as 'photos/*.jpg'"
        )
    names = unique_names([(file.path, file.wanted) for file in found.values()])
    return [Photo(Path(file.path), name) for file, name in zip(found.values(), names, strict=True)]


def _meant(
    argument: str, passed_by: Collection[str], listener: Listener, real_folder: Callable[[str], str]
) -> Sequence[Found]:
    """What one argument, or one line of a list, stands for."""
    if not argument:
        raise SourceError("a path is empty: name a photo or a folder (. is the working directory)")
    path = Path(argument)
    if path.is_dir():
        files = in_folder(argument, passed_by, listener)
        if not files:
            raise SourceError(f"{printable(argument)} holds no photo{_endings(path)}")
        return files
    if os.path.lexists(argument):
        real = (
            os.path.realpath(argument) if path.is_symlink() else f"{real_folder(str(path.parent))}{os.sep}{path.name}"
        )
        return [Found(argument, path.name, real)]
    if glob.has_magic(argument):
        files = matching(argument, passed_by, listener)
        if not files:
            raise SourceError(f"no photo matches {printable(argument)}{_endings(split_pattern(argument)[0])}")
        return files
    if "://" in argument:
        raise SourceError(f"{printable(argument)} is an address: download the photo, and give its file")
    raise SourceError(f"{printable(argument)} is missing{_remedy(path)}")


def _lines(listed: Path) -> Iterator[tuple[str, str]]:
    """The lines of a list that name something, behind where they stand, for messages."""
    try:
        data = sys.stdin.buffer.read() if str(listed) == "-" else listed.read_bytes()
    except FileNotFoundError:
        raise SourceError(f"the list {printable(listed)} is missing{_remedy(listed)}") from None
    except OSError as error:
        raise SourceError(
            f"cannot read the list {printable(listed)} ({error.strerror}): give a text file of one path a line"
        ) from None
    folder = listed.parent if listed.is_file() else Path()
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        text = os.fsdecode(line).strip()
        if text and not text.startswith("#"):
            yield f"{printable(listed)}, line {number}: ", str(folder / text)


def _remedy(missing: Path) -> str:
    """For a message about a path that is missing: what was probably meant, or where the path ends."""
    if not missing.parent.is_dir():
        return f": there is no folder {printable(missing.parent)}"
    names = _names(missing.parent)
    meant = did_you_mean(missing.name, names) if len(names) <= NEIGHBOURS else ""
    return f"{printable(meant)}: check its name"


def _endings(folder: Path) -> str:
    """For a message about a folder in which there is no photo: what there is instead."""
    if not folder.is_dir():
        return f": there is no folder {printable(folder)}"
    names = _names(folder)
    if not names:
        return f": {printable(folder)} is empty" if str(folder) != "." else ": the working directory is empty"
    common = [printable(ending) for ending, _ in Counter(Path(name).suffix for name in names).most_common(3) if ending]
    found = f" (names in {printable(folder)} end in {', '.join(common)})" if common else ""
    return f"{found}: give photos, such as .jpg or .png"


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []
