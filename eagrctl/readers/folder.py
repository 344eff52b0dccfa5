"""A folder that somebody labelled: `images/`, `labels/`, and the classes in a small TOML file.

`images/NAME.jpg` (or .jpeg, .png), `labels/NAME.png` of the same size, 8-bit grey or palette, one class id per pixel
(255 where there is none, which losses and scores leave out), and optionally lists of names: `train.txt`, `val.txt`,
`test.txt`. Split folders and other names are read as `readers/layouts.py` says, and so are `NNN.png` and `NNN_seg.png`
in one folder, as in FaceSynthetics, whose classes need no file. `classes.toml` names the classes in id order::

    classes = ["background", "skin", "left eye", "right eye"]
    mirrored = [["left eye", "right eye"]]   # optional: they change places when a face is mirrored

    [regions]                                # optional: classes that are scored as if they were one
    eyes = ["left eye", "right eye"]
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from eagrctl.data.labels import BACKGROUND, IGNORE, LabelSet, distinct_colours
from eagrctl.data.source import Provenance
from eagrctl.documents import Written, read_toml
from eagrctl.errors import SourceError, did_you_mean
from eagrctl.readers.images import FileSource
from eagrctl.readers.layouts import find_folders, settle, visible
from eagrctl.readers.pairs import Pairs, pair_up, reader_of
from eagrctl.readers.schemes import Remapping

CLASSES = "classes.toml"
EXAMPLE = 'classes = ["background", "skin", "hair"]'
WHERE = (
    "give a folder that holds images/NAME.jpg, labels/NAME.png (one class id per pixel) and "
    f"{CLASSES} ({EXAMPLE}, in id order)"
)

HOW = (
    f'write it as in {EXAMPLE} and mirrored = [["left eye", "right eye"]]; what stands below [regions] belongs to it, '
    'such as eyes = ["left eye", "right eye"]'
)


# Microsoft's FaceSynthetics, in id order; sides are the subject's.
SEG = "_seg"
FACE_SYNTHETICS = (
    *("background", "skin", "nose", "right eye", "left eye", "right brow", "left brow", "right ear", "left ear"),
    *("inner mouth", "upper lip", "lower lip", "neck", "hair", "beard", "clothing", "glasses", "headwear", "facewear"),
)


def _twice(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := _twice(names):
        raise ValueError(f"names {twice!r} twice; keep one of them")
    return names


def _in_id_order(names: tuple[str, ...]) -> tuple[str, ...]:
    if names[BACKGROUND] != "background":
        raise ValueError(f"must begin with 'background', which is id 0, not {names[0]!r}")
    if not 2 <= len(names) <= IGNORE:
        raise ValueError(f"must have from 2 to {IGNORE} names, not {len(names)}")
    return names


Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_different)]


@dataclass(frozen=True)
class _Classes(Written):
    """What stands in the TOML file."""

    classes: Annotated[Names, AfterValidator(_in_id_order)]
    mirrored: tuple[Annotated[tuple[Name, Name], AfterValidator(_different)], ...] = ()
    regions: dict[str, Names] = field(default_factory=dict)

    def __post_init__(self) -> None:
        paired = list(chain.from_iterable(self.mirrored))
        listed = {"mirrored": paired} | {f"regions.{region}": [*names] for region, names in self.regions.items()}
        for key, names in listed.items():
            for name in names:
                if name not in self.classes:
                    raise ValueError(f"'{key}' names {name!r}, which is not a class{did_you_mean(name, self.classes)}")
        if self.classes[BACKGROUND] in paired:
            raise ValueError("'mirrored' pairs 'background', which has no sides; leave it out")
        if twice := _twice(paired):
            raise ValueError(f"'mirrored' pairs {twice!r}, which stands in two pairs; leave it out of one")
        if region := next((name for name in self.regions if name in self.classes), None):
            raise ValueError(f"region {region!r} has the name of a class; call it something else")


def open_folder(
    root: Path, classes: Path | None = None, partial: bool = False, scheme: str | None = None
) -> FileSource:
    """Open a folder that somebody labelled, and split its faces by its lists, or else every tenth.

    Args:
        root: the folder that holds `images/` and `labels/`.
        classes: the TOML file that names the classes; `root/classes.toml` unless given. FaceSynthetics needs none.
        scheme: whose ids the label maps have, if not those of the classes.
        partial: accept photos without a label map, and listed names without a photo; reading one is still an error.

    Raises:
        SourceError: no such folder, another layout, no face or one of which something is missing; or as `read_classes`.
    """
    given = root
    root, moved = settle(root, lambda folder: bool(find_folders(folder)) or _has_segs(folder), "folder", WHERE)
    folders = find_folders(root)
    if classes is None:
        classes = next((folder / CLASSES for folder in (root, given) if (folder / CLASSES).is_file()), root / CLASSES)
    label_set = _face_synthetics() if not folders and not classes.is_file() else read_classes(classes)
    found = pair_up(root, folders or {"": Pairs.of(root, root, label=SEG)}, partial)
    if not any(found.splits.values()):
        raise SourceError(f"{root} holds no face: {WHERE}")
    ids = Remapping.by(scheme, label_set)
    provenance = Provenance("folder", root.resolve().name, found.rule, ids.settings)
    reader = reader_of(found, len(label_set), True, ids.scheme)
    return FileSource(found.splits, provenance, label_set, reader, remarks=(*moved, *found.remarks, *ids.remarks))


def _has_segs(root: Path) -> bool:
    return any(entry.name.endswith(f"{SEG}.png") for entry in visible(root))


def _face_synthetics() -> LabelSet:
    return LabelSet(FACE_SYNTHETICS, distinct_colours(len(FACE_SYNTHETICS)), mirrored=((3, 4), (5, 6), (7, 8)))


def read_classes(path: Path) -> LabelSet:
    """Read the classes of a dataset from TOML, and give each a colour; SourceError where it is missing or malformed."""
    missing = f"{path} is missing; name the classes in id order, as in {EXAMPLE}"
    found = read_toml(path, _Classes, SourceError, HOW, missing)
    ids = {name: number for number, name in enumerate(found.classes)}
    return LabelSet(
        names=found.classes,
        colours=distinct_colours(len(ids)),
        mirrored=tuple((ids[one], ids[other]) for one, other in found.mirrored),
        regions={region: tuple(ids[name] for name in names) for region, names in found.regions.items()},
    )
