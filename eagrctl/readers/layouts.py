"""Where a dataset's photos and label maps lie: the layouts that people have, and the nearest one to what is no layout.

Photos and label maps stand in a folder each, in any of these ways, whatever the case of the names:

* `images/` and `labels/`, split by lists or by a rule;
* `images/train/` and `labels/train/`, and so on, as in EasyPortrait;
* `train/images/` and `train/labels/`, and so on, as in LaPa;
* `train_img/` and `train_label/`, and so on, as CelebAMask-HQ's partition script writes them.

`labels/` is also called `masks/`, `mask/` or `annotations/`. Names that begin with a dot are never looked at: macOS
leaves "._NAME" beside every file that it unpacks.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from eagrctl.data.source import SPLITS
from eagrctl.errors import SourceError
from eagrctl.files import printable
from eagrctl.readers.splits import named

IMAGES = ("images", "image", "imgs", "img")
LABELS = ("labels", "label", "masks", "mask", "annotations", "annotation")
SPELT = MappingProxyType(
    {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
)
Folders = tuple[Path, Path]  # of photos, and of their label maps

# By dataset, layouts and what each of them must hold.
LAYOUTS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "helen": {
            "SmithCVPR2013": ("images", "labels", "exemplars.txt", "tuning.txt", "testing.txt"),
            "HELEN*": ("train", "test", "landmarks.txt"),
            "images, labels and lists": ("images", "labels", "train_list.txt", "test_list.txt"),
        },
        "lapa": {"LaPa": tuple(f"{split}/{folder}" for split in SPLITS for folder in ("images", "labels"))},
        "celebamask-hq": {
            "CelebAMask-HQ as downloaded": (
                *("CelebA-HQ-img", "CelebAMask-HQ-mask-anno", "CelebA-HQ-to-CelebA-mapping.txt"),
            ),
            "CelebAMask-HQ merged by the official script": ("CelebA-HQ-img", "CelebAMaskHQ-mask"),
            "the partition script": tuple(f"{split}_{kind}" for split in SPLITS for kind in ("img", "label")),
        },
        "folder": {
            "images and labels": ("images", "labels", "classes.toml"),
            "split folders": ("images/train", "labels/train", "classes.toml"),
        },
    }
)


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder whose names do not begin with a dot, by name; SourceError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
    except OSError as error:
        raise SourceError(
            f"cannot read the folder {printable(folder)} ({error.strerror}); make it readable, or fetch it again"
        ) from None


def is_kind(entry: os.DirEntry[str], folder: bool) -> bool:
    """Whether an entry is a folder, or else a file; links in a circle are neither."""
    try:
        return entry.is_dir() if folder else entry.is_file()
    except OSError:
        return False


def subfolders(folder: Path) -> dict[str, Path]:
    """The visible folders in a folder, by their names in small letters."""
    return {entry.name.casefold(): folder / entry.name for entry in visible(folder) if is_kind(entry, folder=True)}


def find_folders(root: Path, images: Sequence[str] = IMAGES, labels: Sequence[str] = LABELS) -> dict[str, Folders]:
    """The folders of photos and label maps in `root`, by split; by "" where a pair of them holds all splits.

    Empty where `root` has none of the layouts of this module. `images` and `labels` are what the folders may be called,
    the likeliest first.
    """
    here = subfolders(root)
    if pair := _pair(here, images, labels):
        inner = [{split: _first(subfolders(folder), SPELT[split]) for split in SPLITS} for folder in pair]
        split_up = {split: (one, other) for split in SPLITS if (one := inner[0][split]) and (other := inner[1][split])}
        return split_up or {"": pair}
    found: dict[str, Folders] = {}
    for split in SPLITS:
        outer = _first(here, SPELT[split])
        pair = _pair(subfolders(outer), images, labels) if outer else None
        for name in SPELT[split]:
            pair = pair or _pair(here, [f"{name}_{kind}" for kind in images], [f"{name}_{kind}" for kind in labels])
        if pair:
            found[split] = pair
    return found


def settle(root: Path, fits: Callable[[Path], bool], dataset: str, where: str) -> tuple[Path, tuple[str, ...]]:
    """The folder that has a dataset's layout: the one that was given, the only one in it, or the one around it.

    Args:
        root: what was given.
        fits: whether a folder has a layout that is read.
        dataset: its name in `LAYOUTS`.
        where: how to get what is read, for messages.

    Returns:
        The folder, and a line to tell if it is another one than `root`.

    Raises:
        SourceError: none has, of which the message names the nearest layout; or several have.
    """
    if root.is_file():
        raise SourceError(f"{printable(root)} is a file: unpack it, and give the folder; {where}")
    if not root.is_dir():
        raise SourceError(f"no folder at {printable(root)}: {where}")
    if fits(root):
        return root, ()
    below = [folder for folder in subfolders(root).values() if fits(folder)]
    if len(below) > 1:
        raise SourceError(
            f"{printable(root)} holds several datasets, {named(folder.name for folder in below)}: give one of them"
        )
    parent = root.resolve().parent
    if below:
        return below[0], (f"{printable(below[0])} is read, one folder below the one that was given",)
    if root.resolve().name.casefold() in _PARTS and fits(parent):
        return parent, (f"{printable(parent)} is read, the folder that {printable(root.name)} is part of",)
    raise SourceError(f"{printable(root)} has no layout that is read: {_nearest(root, dataset)}; {where}")


def unread_folders(root: Path, read: Iterable[Path]) -> tuple[str, ...]:
    """A line that names the folders of `root` which look like part of a dataset, and hold nothing that is `read`."""
    used = {path.relative_to(root).parts[0] for path in read if path != root and path.is_relative_to(root)}
    spare = [path.name for name, path in subfolders(root).items() if name in _PARTS and path.name not in used]
    return (f"not read: {named([f'{name}/' for name in spare])} in {printable(root)}",) if spare else ()


def _first(here: Mapping[str, Path], names: Iterable[str]) -> Path | None:
    return next((here[name.casefold()] for name in names if name.casefold() in here), None)


def _pair(here: Mapping[str, Path], images: Iterable[str], labels: Iterable[str]) -> Folders | None:
    photos, maps = _first(here, images), _first(here, labels)
    return (photos, maps) if photos and maps else None


_PARTS = frozenset(
    part.casefold()
    for part in (
        *IMAGES,
        *LABELS,
        *(name for names in SPELT.values() for name in names),
        *(f"{name}_{kind}" for names in SPELT.values() for name in names for kind in (*IMAGES, *LABELS)),
        *("CelebA-HQ-img", "CelebAMask-HQ-mask-anno", "CelebAMaskHQ-mask-anno"),
        *("CelebAMask-HQ-mask", "CelebAMaskHQ-mask"),
    )
)


def _nearest(root: Path, dataset: str) -> str:
    """Which layout a folder is nearest to, of this dataset or else of another, and what it lacks."""
    inside = [entry.name for entry in visible(root)]
    if not inside:
        return "it is empty"
    best, lacking = (dataset, next(iter(LAYOUTS[dataset]))), list(next(iter(LAYOUTS[dataset].values())))
    share = 0.0
    for owner in (dataset, *(other for other in LAYOUTS if other != dataset)):
        for layout, parts in LAYOUTS[owner].items():
            missing = [part for part in parts if not (root / part).exists()]
            # A name that is nearly the same counts for a quarter.
            close = sum(bool(get_close_matches(part.partition("/")[0], inside, 1, 0.8)) for part in missing)
            if (found := (len(parts) - len(missing) + close / 4) / len(parts)) > share:
                best, lacking, share = (owner, layout), missing, found
    archives = [name for name in inside if name.casefold().endswith((".zip", ".tar", ".gz", ".tgz", ".rar", ".7z"))]
    command = f" (eagrctl prepare {best[0]})" if best[0] != dataset else ""
    unpack = f"; unpack {named(archives)}" if archives else ""
    return (
        f"the nearest is that of {best[1]}{command}, of which {named(lacking, 6)} "
        f"{'is' if len(lacking) == 1 else 'are'} missing; it holds {named(inside)}{unpack}"
    )
