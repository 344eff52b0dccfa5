"""Helen: both of the distributions in circulation, whose labels of hair and skin differ.

SmithCVPR2013, original or resized: `images/ID.jpg`, `labels/ID/ID_lbl00.png` to `ID_lbl10.png` (8-bit probability
maps, one per class in id order), the lists `exemplars.txt`, `tuning.txt` and `testing.txt`, whose lines are
`number , ID`, and `points/`, text files of 194 points, named after the face or naming it in their first line.

HELEN*, with hair and skin of the training faces labelled anew: `train/` and `test/` with `ID_image.jpg` and
`ID_label.png`, and `landmarks.txt`, 136 numbers (68 points, x and y in turn) and the ID a line. `test_resize/` is the
test once more, smaller, and is left alone. It has no validation split: one is held out of train, see `held_out`.

*Merged*, as the released code of the paper has it: `images/ID.jpg`, `labels/ID.png` in the ids of `labels.HELEN`, and
the lists `train_list.txt` and `test_list.txt`; which of the two distributions it comes from, nothing in it tells.
"""

import functools
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eagrctl.arrays import Landmarks, Pixels, shape_of
from eagrctl.data.labels import HELEN
from eagrctl.data.source import Provenance, Sample
from eagrctl.errors import SourceError
from eagrctl.faces.photo import read_any_photo
from eagrctl.files import printable
from eagrctl.readers.images import FileSource, read_labels, read_probabilities
from eagrctl.readers.layouts import find_folders, is_kind, settle, subfolders, visible
from eagrctl.readers.pairs import Pairs, by_name, pair_up, reader_of
from eagrctl.readers.schemes import Remapping, Scheme, refuse_scheme
from eagrctl.readers.splits import (
    check_counts,
    check_disjoint,
    counted,
    listed_name,
    named,
    read_lines,
    read_lists,
    unread_lists,
)

LISTS = {"train": "exemplars.txt", "val": "tuning.txt", "test": "testing.txt"}
SMITH_COUNTS = {"train": 2_000, "val": 230, "test": 100}
STAR_COUNTS = {"train": 1_999, "test": 100}  # before val is held out of train
HELD_OUT = 230

LANDMARKS = "landmarks.txt"
STAR_POINTS, SMITH_POINTS = 68, 194
# Of Helen's own 194 points, in their order.
OUTER_LIPS, ONE_EYE, OTHER_EYE = slice(58, 86), slice(114, 134), slice(134, 154)

WHERE = (
    "get SmithCVPR2013 from pages.cs.wisc.edu/~lizhang/projects/face-parsing (images/, labels/, exemplars.txt, "
    "tuning.txt, testing.txt), or HELEN* from github.com/JPlin/Relabeled-HELEN-Dataset (train/ and test/ with "
    "ID_image.jpg and ID_label.png), and give the folder that holds them"
)


def open_helen(root: Path, partial: bool = False, scheme: str | None = None) -> FileSource:
    """Recognise which Helen a folder holds, and list its faces; label maps may have the ids of another `scheme`.

    Raises:
        SourceError: no such folder, another layout, a list or a file of landmarks that cannot be used, or, unless
            `partial`, a split without its official count or a face that is not whole.
    """
    root, moved = settle(root, lambda folder: bool(_star(folder) or find_folders(folder)), "helen", WHERE)
    if pairs := _star(root):
        source = _open_star(root, pairs, partial, Remapping.by(scheme, HELEN))
    elif not any((root / file).is_file() for file in LISTS.values()) and (
        "" not in (folders := find_folders(root)) or read_lists(root) is not None
    ):
        found = pair_up(root, folders, partial)
        ids = Remapping.by(scheme, HELEN)
        provenance = Provenance("helen", "merged label maps", found.rule, ids.settings)
        reader = reader_of(found, len(HELEN), scheme=ids.scheme)
        source = FileSource(found.splits, provenance, HELEN, reader, remarks=(*found.remarks, *ids.remarks))
    else:
        refuse_scheme(scheme, root)
        source = _open_smith(root, partial)
    return replace(source, remarks=(*moved, *source.remarks))


def _star(root: Path) -> dict[str, Pairs]:
    """The pairs of train/ and test/ of HELEN*, if there is a photo in one of them."""
    here = subfolders(root)
    pairs = {split: Pairs.of(here[split], here[split], "_image", "_label") for split in STAR_COUNTS if split in here}
    return pairs if any(each.photos for each in pairs.values()) else {}


def held_out(names: Sequence[str]) -> list[str]:
    """The faces of HELEN*'s train that are held out as val: 230 of all 1,999, the same share of fewer, at least one.

    The rule is fixed and needs no list: order the IDs by the SHA-256 hex digests of their UTF-8 bytes; the first are
    val.
    """
    count = max(1, round(len(names) * HELD_OUT / STAR_COUNTS["train"]))
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:count]


def _open_smith(root: Path, partial: bool) -> FileSource:
    for file in LISTS.values():
        if not (root / file).is_file():
            raise SourceError(f"{root / file} is missing; the split follows from it: {WHERE}")
    splits = {
        split: [_listed_id(line, root / file) for line in read_lines(root / file)] for split, file in LISTS.items()
    }
    check_disjoint(root, {LISTS[split]: names for split, names in splits.items()})
    if not any(splits.values()):
        raise SourceError(f"{root} holds no face: {WHERE}")
    if not partial:
        check_counts(root, splits, SMITH_COUNTS)
    rule = "exemplars.txt is train, tuning.txt is val, testing.txt is test"
    photos, listed = by_name(root / "images"), {name for names in splits.values() for name in names}
    maps = {entry.name for entry in visible(root / "labels") if is_kind(entry, folder=True)}
    lacking = [
        f"{counted(len(names), 'listed face')} without {what}: {named(sorted(names))}"
        for names, what in ((listed - photos.keys(), "a photo in images/"), (listed - maps, "a folder in labels/"))
        if names
    ]
    if lacking and not partial:
        raise SourceError(
            f"{root}: {'; '.join(lacking)}: complete the download, or add --partial to prepare what is there"
        )
    spare = [
        f"{counted(len(names), what)} that no list names: {named(sorted(names))}"
        for names, what in ((photos.keys() - listed, "photo"), (maps - listed, "folder of label maps"))
        if names
    ]
    others = [entry.name for entry in visible(root / "images") if entry.name not in photos.values()]
    unread = [f"not read in images/: {named(others)}"] if others else []
    points = _point_files(root / "points", listed)
    reader = functools.partial(_read_smith, root, photos, points)
    remarks = (*lacking, *spare, *unread, *unread_lists(root, LISTS.values()))
    return FileSource(splits, Provenance("helen", "SmithCVPR2013", rule), HELEN, reader, remarks=remarks)


def _read_smith(root: Path, photos: Mapping[str, str], points: Mapping[str, Path], _: str, name: str) -> Sample:
    """A face without a file of points has no landmarks; the tip of the nose is never known."""
    image = read_any_photo(root / "images" / photos.get(name, f"{name}.jpg"))
    maps: list[Pixels] = []
    for label in range(len(HELEN)):
        path = root / "labels" / name / f"{name}_lbl{label:02d}.png"
        maps.append(read_probabilities(path))
        if maps[-1].shape != maps[0].shape:
            raise SourceError(
                f"{path} is {shape_of(maps[-1])}, the other maps of face {name} {shape_of(maps[0])}; fetch it again"
            )
    # The largest probability decides; where two classes are equally probable, the lower id stands.
    labels = np.argmax(maps, axis=0).astype(np.uint8)
    return Sample(name, image, labels, _five_of_194(points[name]) if name in points else None)


def _open_star(root: Path, pairs: Mapping[str, Pairs], partial: bool, ids: Remapping) -> FileSource:
    found = pair_up(root, pairs, partial)
    names = {split: sorted(found.splits.get(split, ())) for split in STAR_COUNTS}
    if not partial:
        check_counts(root, names, STAR_COUNTS, "HELEN*")
    val = set(held_out(names["train"]))
    splits = {
        "train": [name for name in names["train"] if name not in val],
        "val": [name for name in names["train"] if name in val],
        "test": list(names["test"]),
    }
    rule = (
        f"test/ is test; of the {len(names['train']):,} faces of train/, in the order of the SHA-256 hex digests of "
        f"their IDs, the first {len(splits['val'])} are val and the rest are train"
    )
    files = [folder / LANDMARKS for folder in (root, root / "train", root / "test")]
    landmarks = {name: five for file in files if file.is_file() for name, five in _five_of_68(file).items()}
    reader = functools.partial(_read_star, pairs, landmarks, ids.scheme)
    provenance = Provenance("helen", "HELEN*", rule, ids.settings)
    return FileSource(splits, provenance, HELEN, reader, remarks=(*found.remarks, *ids.remarks))


def _read_star(
    pairs: Mapping[str, Pairs], landmarks: Mapping[str, Landmarks], scheme: Scheme | None, split: str, name: str
) -> Sample:
    """A face that `landmarks.txt` leaves out has no landmarks."""
    here = pairs["test" if split == "test" else "train"]
    labels = read_labels(here.map(name), len(HELEN), scheme=scheme)
    return Sample(name, read_any_photo(here.photo(name)), labels, landmarks.get(name))


def _listed_id(line: str, path: Path) -> str:
    """The ID in a line `number , ID`."""
    number, comma, name = (part.strip() for part in line.partition(","))
    if not (comma and number.isdecimal() and name):
        raise SourceError(f"{path} has a line {printable(line)!r}, which is not `number , ID`; fetch it again")
    return listed_name(name, path)


def _point_files(folder: Path, names: set[str]) -> dict[str, Path]:
    """The files that hold the points of each face: by the file's name, or by the ID in its first line."""
    files: dict[str, Path] = {}
    for path in [*sorted(folder.glob("*.txt")), *sorted(folder.glob("*.pts"))]:
        if path.name.startswith(".") or not path.is_file():
            continue
        name = path.stem
        if name not in names:
            # Helen's own annotations are numbered; their first line is the ID.
            with path.open(encoding="utf-8", errors="replace") as file:
                name = file.readline().strip()
        if name in names:
            files[name] = path
    return files


def _five_of_194(path: Path) -> Landmarks:
    """The five landmarks out of Helen's 194 points; the tip of the nose is NaN."""
    points = np.array([pair for line in read_lines(path) if len(pair := _numbers(line)) == 2])
    if len(points) != SMITH_POINTS:
        raise SourceError(f"{path} has {len(points)} points, not {SMITH_POINTS} lines `x , y`; fetch it again")
    # Which of the two eyes comes first is not documented: the viewer's left is the one further left.
    left, right = sorted((points[ONE_EYE].mean(axis=0), points[OTHER_EYE].mean(axis=0)), key=lambda eye: float(eye[0]))
    lips = points[OUTER_LIPS]
    corners = lips[lips[:, 0].argmin()], lips[lips[:, 0].argmax()]
    # The nose's points follow its outline, and none of them is its tip.
    return np.stack([left, right, np.full(2, np.nan), *corners])


def _five_of_68(path: Path) -> dict[str, Landmarks]:
    """By ID, the five landmarks out of iBUG's 68."""
    found: dict[str, Landmarks] = {}
    for line in read_lines(path):
        *words, name = re.split(r"[\s,]+", line)
        numbers = _numbers(" ".join(words))
        if len(numbers) != 2 * STAR_POINTS:
            raise SourceError(
                f"{path} has a line that ends in {name!r} and is not {2 * STAR_POINTS} numbers, then an ID; "
                "fetch it again, or take the file away to do without landmarks"
            )
        points = np.array(numbers).reshape(STAR_POINTS, 2)
        # The subject's right eye comes first: the viewer's left.
        eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        found[name.removesuffix(".jpg").removesuffix("_image")] = np.stack([*eyes, *points[[30, 48, 54]]])
    return found


def _numbers(text: str) -> list[float]:
    """Numbers parted by spaces or commas; none where something else stands among them, as in a header."""
    try:
        numbers = [float(word) for word in re.split(r"[\s,]+", text)]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
