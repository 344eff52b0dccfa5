"""Which photos and videos are meant by files, folders, patterns and lists; and what the results of each are called."""

import codecs
import glob
import mimetypes
import os
import re
import sys
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

from eagrctl.errors import SourceError, did_you_mean
from eagrctl.events import Listener, Notice, ignore
from eagrctl.faces.kinds import HEAD, is_video, kind_of, other_kind
from eagrctl.faces.photo import photo_suffixes
from eagrctl.files import printable
from eagrctl.parsing.video.frames import is_film, video_suffixes

LONGEST_PATH = 4096  # letters; the system knows none that is longer, and patterns take time
LONGEST_LIST = 1 << 28  # bytes
# What is surely a video, whether or not PyAV, which knows more, is installed.
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})


@dataclass(frozen=True)
class Photo:
    """A photo or a video that is to be parsed.

    Its results go by its name: relative, posix, without suffix, and unique even where a file system ignores case. It
    may hold dots: append endings to it.
    """

    path: Path
    name: str

    @cached_property
    def kind(self) -> str:
        """Whether it is a "photo" or a "video": by its suffix if that is a photo's, else by what it holds."""
        suffix = self.path.suffix.lower()
        if suffix in VIDEO_SUFFIXES:
            return "video"
        if suffix in photo_suffixes():
            return "photo"
        head = _head(str(self.path))
        if is_video(head):
            return "video"
        strange = head and not kind_of(head) and not other_kind(head)
        return "video" if strange and is_film(self.path) else "photo"


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that was found; plain strings, for there may be very many."""

    path: str  # as it is opened
    wanted: str  # relative and posix, the path by which its results would best be called
    real: str  # its path without links, which tells whether two paths lead to one file


def find_photos(
    arguments: Sequence[str], listed: Path | None = None, *, without: Collection[Path] = (), listener: Listener = ignore
) -> list[Photo]:
    """Find the photos and videos that are meant, each file once, in the order of the arguments.

    A file counts whatever its suffix. A folder stands for all photos and videos in it and in its subfolders, by their
    suffixes, in natural order; hidden names are left out, and links are followed. A pattern stands for what it matches,
    `**` for any folders; unless it ends in a plain suffix, suffixes count as in folders. Results of what lies in a
    folder mirror its tree.

    Args:
        arguments: files, folders and patterns.
        listed: a file with more of these, one a line, relative to its folder; lines that begin with # are left out.
            From a pipe, or standard input, which is `-`, paths are relative to the working directory.
        without: subfolders to leave out, such as that of the results.
        listener: is told of subfolders that cannot be read.

    Raises:
        SourceError: something is missing or cannot be read, or no photo is found where one is expected.
    """
    left_out = {os.path.realpath(folder) for folder in without}
    found: dict[str, _Found] = {}
    real_folder = cache(os.path.realpath)  # of this call alone: folders change
    for where, argument in chain((("", argument) for argument in arguments), _lines(listed) if listed else ()):
        try:
            for file in _meant(argument, left_out, listener, real_folder):
                found.setdefault(file.real, file)
        except SourceError as error:
            raise SourceError(f"{where}{error}") from None
    if not found and listed:
        raise SourceError(f"{printable(listed)} lists no photo: write one path a line")
    if not found:
        raise SourceError("no photo is named: give photos, folders, or patterns such as 'photos/*.jpg'")
    names = unique_names([(file.path, file.wanted) for file in found.values()])
    return [Photo(Path(file.path), name) for file, name in zip(found.values(), names, strict=True)]


def _lines(listed: Path) -> Iterator[tuple[str, str]]:
    """The lines of a list that name something, each behind its place in the file, for messages."""
    name = printable(listed)
    try:
        with sys.stdin.buffer if str(listed) == "-" else listed.open("rb") as file:
            data = file.read(LONGEST_LIST + 1)
    except FileNotFoundError:
        raise SourceError(f"the list {name} is missing{_remedy(listed)}") from None
    except OSError as error:
        raise SourceError(
            f"cannot read the list {name} ({error.strerror}): give a text file of one path a line"
        ) from None
    if len(data) > LONGEST_LIST:
        raise SourceError(f"{name} is no list of photos: it has more than {LONGEST_LIST:,} bytes")
    folder = listed.parent if listed.is_file() else Path()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes it
        data = data.decode("utf-16", "replace").encode()
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        text = os.fsdecode(line).strip()
        if "\\" in text and not os.path.lexists(folder / text):
            text = text.replace("\\", "/")
        if text and not text.startswith("#"):
            yield f"{name}, line {number}: ", str(folder / text)


def _meant(
    argument: str, left_out: Collection[str], listener: Listener, real_folder: Callable[[str], str]
) -> Sequence[_Found]:
    """The files that one argument, or one line of a list, stands for."""
    if len(argument) > LONGEST_PATH:
        raise SourceError(f"{printable(argument[:60])}... is longer than any path")
    if not argument:
        raise SourceError("a path is empty: name a photo or a folder (. is the working directory)")
    path, name = Path(argument), printable(argument)
    pattern: tuple[str, ...] = ("**",)
    if _is_folder(path):
        folder, nothing = path, f"{name} holds no photo"
    elif os.path.lexists(argument):
        real = os.path.realpath(argument) if path.is_symlink() else real_folder(str(path.parent)) + os.sep + path.name
        return [_Found(argument, path.name, real)]
    elif glob.has_magic(argument):
        first = next(number for number, part in enumerate(path.parts) if glob.has_magic(part))
        folder, pattern, nothing = Path(*path.parts[:first]), path.parts[first:], f"no photo matches {name}"
    elif "://" in argument:
        raise SourceError(f"{name} is an address: download the photo or video, and give its file")
    elif argument.isdecimal():
        raise SourceError(f"{name} is no file: cameras are not read, so record a video, and give its file")
    else:
        raise SourceError(f"{name} is missing{_remedy(path)}")
    files = _in_folder(folder, pattern, left_out, listener) if _is_folder(folder) else []
    if not files:
        raise SourceError(f"{nothing}{_endings(folder)}")
    return files


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, or links in a circle
        return False


def _is_photo_or_video(path: str) -> bool:
    suffix = f".{path.rpartition('.')[2].lower()}"
    if suffix in photo_suffixes() or suffix in VIDEO_SUFFIXES:
        return True
    # Suffixes such as .ts mean other things, too: the file itself tells. Where there may be sound alone, PyAV does.
    sound = (mimetypes.guess_type(f"x{suffix}")[0] or "").startswith("audio/")
    return suffix in _read_by_pyav() and is_video(_head(path)) and (not sound or is_film(Path(path)))


@cache
def _read_by_pyav() -> frozenset[str]:
    return video_suffixes()


def _head(path: str) -> bytes:
    """The first bytes of a file; none of what is no regular file."""
    try:
        if not Path(path).is_file():
            return b""
        with Path(path).open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def _in_folder(folder: Path, pattern: Sequence[str], left_out: Collection[str], listener: Listener) -> list[_Found]:
    """The files of a folder and its subfolders that fit the parts of a pattern, in natural order, none of them opened.

    Links to folders are followed last. No folder is entered twice.
    """
    suffix = Path(pattern[-1]).suffix
    named = suffix and not glob.has_magic(suffix)  # then it counts, whatever it is
    files: dict[str, _Found] = {}
    root = os.path.realpath(folder)
    seen = set(left_out) - {root}
    waiting, linked = deque([(str(folder), "", root)]), deque[tuple[str, str, str]]()
    while waiting or linked:
        here, inside, real = waiting.pop() if waiting else linked.popleft()
        if real in seen:
            continue
        seen.add(real)
        try:
            # Sorted: of two links to one folder the first counts, and file systems list them in any order.
            with os.scandir(here) as entries:
                visible = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
        except OSError as error:
            if not inside:
                raise SourceError(
                    f"cannot read the folder {printable(here)} ({error.strerror}): make it readable"
                ) from None
            listener(Notice(f"Left out the folder {printable(here)}: {error.strerror}", warning=True))
            continue
        for entry in visible:
            wanted = f"{inside}/{entry.name}" if inside else entry.name
            link = entry.is_symlink()
            target = os.path.realpath(entry.path) if link else f"{real}{os.sep}{entry.name}"
            if _is_folder(Path(target)) if link else entry.is_dir():
                if _fits(wanted.split("/"), pattern, leads=True):
                    (linked if link else waiting).append((entry.path, wanted, target))
            elif (_is_photo_or_video(entry.path) or (named and wanted.endswith(suffix))) and _fits(
                wanted.split("/"), pattern
            ):
                # A file goes by its own name where it has one here.
                file = _Found(entry.path, wanted, target)
                files[target] = files.get(target, file) if link else file
    return sorted(files.values(), key=lambda file: natural(file.wanted))


def _fits(names: Sequence[str], pattern: Sequence[str], leads: bool = False) -> bool:
    """Whether a path, or a folder that it lies in, fits a pattern; with `leads`, also whether something in it might."""
    if not pattern:
        return True
    if not names:
        return leads
    if pattern[0] == "**":
        return leads or len(pattern) == 1 or any(_fits(names[skip:], pattern[1:]) for skip in range(len(names)))
    return fnmatchcase(names[0], pattern[0]) and _fits(names[1:], pattern[1:], leads)


def _remedy(missing: Path) -> str:
    """For a message about a path that is missing: a name that is nearly the same, or where the path ends."""
    if not _is_folder(missing.parent):
        return f": there is no folder {printable(missing.parent)}"
    names = _names(missing.parent)
    # Among more names, looking for one that is nearly the same takes too long.
    meant = did_you_mean(missing.name, names) if len(names) <= 2000 else ""
    return f"{printable(meant)}: check its name"


def _endings(folder: Path) -> str:
    """For a message about a folder in which there is no photo: what there is instead."""
    if not _is_folder(folder):
        return f": there is no folder {printable(folder)}"
    names = _names(folder)
    if not names:
        return f": {'the working directory' if str(folder) == '.' else printable(folder)} is empty"
    common = [printable(ending) for ending, _ in Counter(Path(name).suffix for name in names).most_common(3) if ending]
    found = f" (names in {printable(folder)} end in {', '.join(common)})" if common else ""
    return f"{found}: give photos, such as .jpg or .png"


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


def natural(path: str) -> tuple[list[list[str | int]], str]:
    """A sort key by which 2.jpg comes before 10.jpg, folder by folder, whatever the case."""
    pieces = [re.split(r"([0-9]+)", part) for part in path.casefold().split("/")]
    return [[int(piece) if place % 2 else piece for place, piece in enumerate(part)] for part in pieces], path


def unique_names(photos: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each photo: relative, posix, never leaving its folder, unique even where case is ignored.

    Of each photo given are the path by which it is opened, and the last part of that, which is its name without the
    suffix: posix, without `..`. Photos that would share a name keep their suffixes where that tells them apart;
    otherwise as many of their folders as it takes stand in front; the rest is numbered.
    """
    names = [_without_suffix(wanted) for _, wanted in photos]
    for group in _alike(names):
        for number, name in zip(group, _told_apart([photos[number] for number in group]), strict=True):
            names[number] = name
    taken = {_folded(name) for name in names}
    for group in _alike(names):
        for number in group[1:]:
            count = 2
            while _folded(f"{names[number]}-{count}") in taken:
                count += 1
            names[number] += f"-{count}"
            taken.add(_folded(names[number]))
    return names


def _told_apart(photos: Sequence[tuple[str, str]]) -> list[str]:
    """Names for photos that would share one; alike still where case is all that tells their paths apart."""
    parts = [Path(os.path.normpath(Path(path).absolute())).parts for path, _ in photos]
    starts = [len(whole) - 1 - wanted.count("/") for whole, (_, wanted) in zip(parts, photos, strict=True)]
    for depth in range(max(*starts, 1)):
        # The first part is the file system's root.
        full = ["/".join(whole[max(1, start - depth) :]) for whole, start in zip(parts, starts, strict=True)]
        for names in ([_without_suffix(path) for path in full], full):
            if len({_folded(name) for name in names}) == len(names):
                return names
    return [_without_suffix(wanted) for _, wanted in photos]


def _without_suffix(path: str) -> str:
    stem, _, suffix = path.rpartition(".")
    # A name such as ..jpg is left whole: in front of its suffix stands a folder, not a name.
    return stem if stem.rpartition("/")[2].strip(".") and "/" not in suffix else path


def _alike(names: Iterable[str]) -> list[list[int]]:
    """The numbers of names that some file system takes for one, a list for each."""
    groups = defaultdict(list)
    for number, name in enumerate(names):
        groups[_folded(name)].append(number)
    return [group for group in groups.values() if len(group) > 1]


def _folded(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
