"""A folder that somebody labelled: `images/`, `labels/`, and the classes in a small TOML file.

`images/NAME.jpg` (or .jpeg, .png), `labels/NAME.png` of the same size, 8-bit grey or palette, one class id per pixel
(255 where there is none, which losses and scores leave out), and optionally lists of names: `train.txt`, `val.txt`,
`test.txt`. `classes.toml` names the classes in id order::

    classes = ["background", "skin", "left eye", "right eye"]
    mirrored = [["left eye", "right eye"]]   # optional: they change places when a face is mirrored

    [regions]                                # optional: classes that are scored as if they were one
    eyes = ["left eye", "right eye"]
"""

import tomllib
from pathlib import Path
from typing import Any

from eagrctl.data.labels import BACKGROUND, IGNORE, LabelSet, distinct_colours
from eagrctl.data.source import Provenance
from eagrctl.errors import SourceError, did_you_mean
from eagrctl.readers.images import PairedSource
from eagrctl.readers.splits import find_photos, splits_of

CLASSES = "classes.toml"
KEYS = ("classes", "mirrored", "regions")
EXAMPLE = 'classes = ["background", "skin", "hair"]'
WHERE = (
    "give a folder that holds images/NAME.jpg, labels/NAME.png (one class id per pixel) and "
    f"{CLASSES} ({EXAMPLE}, in id order)"
)


def open_folder(root: Path, classes: Path | None = None, partial: bool = False) -> PairedSource:
    """Open a folder that somebody labelled, and split its faces by its lists, or else every tenth.

    Args:
        root: the folder that holds `images/` and `labels/`.
        classes: the TOML file that names the classes; `root/classes.toml` unless given.
        partial: accept photos without a label map, and listed names without a photo; reading one is still an error.

    Raises:
        SourceError: no such folder, another layout, a face of which something is missing, or a TOML file that is
            missing, malformed, or names a class that there is none of.
    """
    if not root.is_dir():
        raise SourceError(f"no folder at {root}: {WHERE}")
    if not ((root / "images").is_dir() and (root / "labels").is_dir()):
        raise SourceError(f"{root} has no images/ and labels/: {WHERE}")
    label_set = read_classes(root / CLASSES if classes is None else classes)
    photos = find_photos(root / "images")
    rule, splits = splits_of(root, list(photos))
    if not any(splits.values()):
        raise SourceError(f"{root} holds no face: {WHERE}")
    provenance = Provenance("folder", root.resolve().name, rule)
    source = PairedSource(photos, root / "labels", splits, provenance, label_set, ignored=True)
    if not partial:
        _check_whole(source)
    return source


def read_classes(path: Path) -> LabelSet:
    """Read the classes of a dataset from TOML, and give each a colour.

    Raises:
        SourceError: missing, not TOML, an unknown key or class, or a list that is not what the key asks for.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"{path} is missing; name the classes in id order, as in {EXAMPLE}") from None
    except OSError as error:
        raise SourceError(f"cannot read {path} ({error.strerror}); name the classes in it, as in {EXAMPLE}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not TOML ({error}); write it as in {EXAMPLE}") from None
    for key in table:
        if key not in KEYS:
            raise SourceError(f"{path}: unknown key '{key}'{did_you_mean(key, KEYS)}; there are {', '.join(KEYS)}")
    names = _names(table.get("classes"), "classes", path)
    if names[BACKGROUND] != "background":
        raise SourceError(f"{path}: the first class must be 'background', which is id 0, not {names[0]!r}")
    if not 2 <= len(names) <= IGNORE:
        raise SourceError(f"{path}: 'classes' must have from 2 to {IGNORE} names, not {len(names)}")
    return LabelSet(
        names=names,
        colours=distinct_colours(len(names)),
        mirrored=_mirrored(table.get("mirrored", []), names, path),
        regions=_regions(table.get("regions", {}), names, path),
    )


def _check_whole(source: PairedSource) -> None:
    for split, names in source.splits.items():
        for name in names:
            if name not in source.photos:
                raise SourceError(
                    f"no photo images/{name}.jpg beside {source.maps}, but {split}.txt lists it; add it, strike the "
                    "line, or add --partial to prepare what is there"
                )
            if not (source.maps / f"{name}.png").is_file():
                raise SourceError(
                    f"{source.maps / f'{name}.png'} is missing, but the photo {source.photos[name].name} is there; "
                    "add it, or add --partial to prepare what is there"
                )


def _names(value: Any, key: str, path: Path) -> tuple[str, ...]:
    """A list of different names, at least one."""
    # What stands below a [section] belongs to it: an easy mistake with `mirrored`.
    below = " (what stands below [regions] belongs to it)" if key.startswith("regions.") else ""
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        raise SourceError(f"{path}: '{key}' must be a list of class names{below}, as in {EXAMPLE}")
    for name in value:
        if value.count(name) > 1:
            raise SourceError(f"{path}: '{key}' names {name!r} twice; keep one of them")
    return tuple(value)


def _mirrored(value: Any, names: tuple[str, ...], path: Path) -> tuple[tuple[int, int], ...]:
    example = 'mirrored = [["left eye", "right eye"]]'
    if not isinstance(value, list):
        raise SourceError(f"{path}: 'mirrored' must be a list of pairs, as in {example}")
    pairs: list[tuple[int, int]] = []
    for pair in value:
        ids = [_id(name, names, "mirrored", path) for name in _names(pair, "mirrored", path)]
        if len(ids) != 2:
            raise SourceError(f"{path}: 'mirrored' must be a list of pairs, as in {example}, and {pair!r} is none")
        for label in ids:
            if label == BACKGROUND or any(label in other for other in pairs):
                what = "is the background" if label == BACKGROUND else "stands in two pairs"
                raise SourceError(f"{path}: 'mirrored' pairs {names[label]!r}, which {what}; leave it out of one")
        pairs.append((ids[0], ids[1]))
    return tuple(pairs)


def _regions(value: Any, names: tuple[str, ...], path: Path) -> dict[str, tuple[int, ...]]:
    if not isinstance(value, dict):
        raise SourceError(f"{path}: 'regions' must be a section, [regions], of lists of class names")
    regions: dict[str, tuple[int, ...]] = {}
    for region, members in value.items():
        if region in names:
            raise SourceError(f"{path}: region '{region}' has the name of a class; call it something else")
        key = f"regions.{region}"
        regions[region] = tuple(_id(name, names, key, path) for name in _names(members, key, path))
    return regions


def _id(name: str, names: tuple[str, ...], key: str, path: Path) -> int:
    if name not in names:
        raise SourceError(f"{path}: '{key}' names {name!r}, which is no class{did_you_mean(name, names)}")
    return names.index(name)
