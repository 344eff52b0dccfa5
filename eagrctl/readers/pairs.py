"""Photos beside their label maps, NAME.jpg and NAME.png: which there are, what lacks its other half, and splits."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eagrctl.data.source import Sample
from eagrctl.errors import SourceError
from eagrctl.faces.photo import read_any_photo
from eagrctl.files import printable
from eagrctl.readers.images import read_labels
from eagrctl.readers.layouts import Folders, is_kind, unread_folders, visible
from eagrctl.readers.schemes import Scheme
from eagrctl.readers.splits import (
    BY_LISTS,
    EVERY_TENTH,
    PHOTO_SUFFIXES,
    counted,
    every_tenth,
    named,
    read_lists,
    unread_lists,
)

BY_FOLDERS = "the folders of the source"
_CLUTTER = ("thumbs.db", "desktop.ini")
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are not UTF-8
Rule = tuple[str, Mapping[str, Sequence[str]]]  # in words, and the names of each split


@dataclass(frozen=True)
class Pairs:
    """The photos and label maps of a folder each, or of one, where endings tell them apart.

    Attributes:
        folders: of the photos, and of the label maps.
        photos, maps: the files in them, by the face's name, short names first.
        unread: the names of other files, and of folders, among the photos and among the maps.
    """

    folders: Folders
    photos: Mapping[str, str]
    maps: Mapping[str, str]
    unread: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()), compare=False)

    @classmethod
    def of(cls, photos: Path, maps: Path, photo: str = "", label: str = "") -> "Pairs":
        """The pairs in two folders, or in one; `photo` and `label` are what names end in before the suffix.

        Raises:
            SourceError: a folder cannot be read, two photos have one name, or a name is no text.
        """
        found = by_name(photos, PHOTO_SUFFIXES, photo), by_name(maps, (".png",), label)
        if photos == maps and not photo:  # NAME.png and NAME_seg.png: the second is no photo
            found = {name: file for name, file in found[0].items() if not name.endswith(label)}, found[1]
        files = set(found[0].values()), set(found[1].values())
        if photos == maps:
            return cls((photos, maps), *found)
        unread = tuple(
            tuple(entry.name for entry in visible(folder) if entry.name not in read)
            for folder, read in zip((photos, maps), files, strict=True)
        )
        return cls((photos, maps), *found, unread=(unread[0], unread[1]))

    def photo(self, name: str) -> Path:
        """The path of a face's photo; SourceError where there is none."""
        if name not in self.photos:
            raise SourceError(f"face {printable(name)} has no photo in {printable(self.folders[0])}: add it")
        return self.folders[0] / self.photos[name]

    def map(self, name: str) -> Path:
        """The path of a face's label map; SourceError where there is none."""
        if name not in self.maps:
            raise SourceError(f"{printable(self.folders[1] / name)}.png is missing; fetch it again, or label the photo")
        return self.folders[1] / self.maps[name]

    def lacking(self) -> tuple[str, ...]:
        """Lines that count and name photos without a label map."""
        names = [name for name in self.photos if name not in self.maps]
        there = _alike(names, self.unread[1])
        hint = f" ({named(there)} {'is' if len(there) == 1 else 'are'} there: save label maps as PNG)" if there else ""
        return _line(names, "photo", f"no label map in {printable(self.folders[1])}", hint)

    def spare(self) -> tuple[str, ...]:
        """Lines that count and name label maps without a photo, and whatever else is not read."""
        photos, maps = (printable(folder) for folder in self.folders)
        names = [name for name in self.maps if name not in self.photos]
        lines = [*_line(names, "label map", f"no photo in {photos}", "")]
        for folder, unread, remedy in zip((photos, maps), self.unread, ("JPEG or PNG", "PNG"), strict=True):
            others = [name for name in unread if name.casefold() not in _CLUTTER]
            if others:
                endings = Counter(Path(name).suffix.lower() or "no ending" for name in others).most_common(3)
                kinds = ", ".join(f"{count:,} {printable(ending)}" for ending, count in endings)
                lines.append(
                    f"not read in {folder}: {named(others)} ({kinds}); what is to be read has to be {remedy}, and lie "
                    "in no other folder"
                )
        return tuple(lines)


@dataclass(frozen=True)
class Paired:
    """Pairs, and how they are split.

    Attributes:
        rule: in words.
        splits: the names of each split's faces.
        pairs: by split; by "" where all are in one place.
        remarks: what was left out, a line each.
    """

    rule: str
    splits: Mapping[str, Sequence[str]]
    pairs: Mapping[str, Pairs]
    remarks: tuple[str, ...]

    def of(self, split: str) -> Pairs:
        """The pairs that the faces of a split are among."""
        return self.pairs[split if split in self.pairs else ""]


def pair_up(
    root: Path,
    folders: Mapping[str, Folders | Pairs],
    partial: bool,
    otherwise: Callable[[list[str]], Rule] = lambda names: (EVERY_TENTH, every_tenth(names)),
    lists: Sequence[str] = (),
) -> Paired:
    """Pair up photos and label maps, and split them: by their folders, by the lists in `root`, or `otherwise`.

    Args:
        root: the folder of the dataset.
        folders: as `find_folders` gives them, or pairs that were found already.
        partial: accept faces that lack their photo or label map; reading one is still an error.
        otherwise: splits names where neither folders nor lists do, and says how.
        lists: files that `otherwise` reads.

    Raises:
        SourceError: as `read_lists` and `Pairs.of`; or a face lacks something, and `partial` is not set.
    """
    pairs = {split: each if isinstance(each, Pairs) else Pairs.of(*each) for split, each in folders.items()}
    remarks = [*unread_folders(root, [folder for each in pairs.values() for folder in each.folders])]
    lacking: list[str] = []
    if "" not in pairs:
        rule, splits, read = BY_FOLDERS, {split: list(each.photos) for split, each in pairs.items()}, []
        lacking += [line for each in pairs.values() for line in each.lacking()]
    elif (found := read_lists(root)) is not None:
        rule, splits, read, whole = BY_LISTS, dict(found.splits), [*found.files.values()], pairs[""]
        remarks += found.remarks
        wanted = {name for names in splits.values() for name in names}
        listed = Pairs(whole.folders, {n: f for n, f in whole.photos.items() if n in wanted}, whole.maps, whole.unread)
        lacking += listed.lacking()
        for split, names in splits.items():
            absent = [name for name in names if name not in whole.photos]
            there = _alike(absent, whole.unread[0])
            hint = f" ({named(there)} cannot be read: save it as JPEG or PNG)" if there else ""
            lacking += _line(
                absent, f"name in {found.files[split]}", f"no photo in {printable(whole.folders[0])}", hint
            )
        remarks += _line([name for name in whole.photos if name not in wanted], "photo", "no list that names it", "")
    else:
        (rule, chosen), read = otherwise(list(pairs[""].photos)), [*lists]
        splits = {split: list(names) for split, names in chosen.items()}
        lacking += pairs[""].lacking()
    if lacking and not partial:
        raise SourceError(
            f"{'; '.join(lacking)}: add what is missing, take the rest away, or add --partial to prepare what is there"
        )
    remarks += [*lacking, *(line for each in pairs.values() for line in each.spare()), *unread_lists(root, read)]
    return Paired(rule, splits, pairs, tuple(remarks))


def reader_of(
    paired: Paired, classes: int, ignored: bool = False, scheme: Scheme | None = None
) -> Callable[[str, str], Sample]:
    """What reads a face of a split, for a `FileSource`; `classes`, `ignored`, `scheme` as for `read_labels`."""
    return functools.partial(_read, paired, classes, ignored, scheme)


def _read(paired: Paired, classes: int, ignored: bool, scheme: Scheme | None, split: str, name: str) -> Sample:
    pairs = paired.of(split)
    return Sample(name, read_any_photo(pairs.photo(name)), read_labels(pairs.map(name), classes, ignored, scheme))


def by_name(folder: Path, suffixes: Sequence[str] = PHOTO_SUFFIXES, ending: str = "") -> dict[str, str]:
    """The files of a folder by the name of their face, short names first: without suffix and `ending`.

    Raises:
        SourceError: two files have one name, or a name is no text.
    """
    found: dict[str, str] = {}
    for entry in sorted(visible(folder), key=lambda entry: (len(entry.name), entry.name)):
        stem, dot, suffix = entry.name.rpartition(".")
        if dot + suffix.lower() not in suffixes or not stem.endswith(ending) or not is_kind(entry, folder=False):
            continue
        name = stem.removesuffix(ending)
        if _UNWRITABLE.search(name):
            raise SourceError(
                f"{printable(folder / entry.name)} has a name that cannot be written down; give it another"
            )
        if name in found:
            raise SourceError(
                f"{printable(folder / entry.name)} and {printable(found[name])} beside it are one face's "
                f"{'photo' if suffixes == PHOTO_SUFFIXES else 'label map'}; keep one of them"
            )
        found[name] = entry.name
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[1])))


def _alike(names: Sequence[str], files: Sequence[str]) -> list[str]:
    """The files that are called like one of these names, but for their ending."""
    wanted = set(names)
    return [file for file in files if file.rpartition(".")[0] in wanted or file in wanted]


def _line(names: Sequence[str], noun: str, lack: str, hint: str) -> tuple[str, ...]:
    first, _, rest = noun.partition(" in ")
    what = counted(len(names), first) + (f" in {rest}" if rest else "")
    return (f"{what} {'has' if len(names) == 1 else 'have'} {lack}: {named(names)}{hint}",) if names else ()
