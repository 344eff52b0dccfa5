"""CelebAMask-HQ: the official raw layout, and merged label maps as many redistribute them.

*Raw*, as downloaded: `CelebA-HQ-img/{0..29999}.jpg`, `CelebAMask-HQ-mask-anno/{id // 2000}/{id:05d}_{part}.png` (a part
that is absent has no file) and `CelebA-HQ-to-CelebA-mapping.txt`. *Merged*: `images/{id}.jpg`, `labels/{id}.png` in
official ids, and optionally lists of names: `train.txt`, `val.txt`, `test.txt`.

The paper's split follows CelebA's own, by the number in the mapping's `orig_file`.

Parts overlap, so the order in which they are painted over one another decides scores: `official` is id order, later
over earlier, as in the official merging script, so that neck and cloth cover a necklace. `accessories-last` paints
glasses, hat, earring and necklace after all others, as FaRL and SegFace do. Scores are not comparable across the two.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from eagrctl.arrays import shape_of
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.data.source import SPLITS, Provenance, Sample
from eagrctl.errors import SourceError
from eagrctl.faces.photo import read_any_photo
from eagrctl.readers.images import FileSource, read_mask, read_pair
from eagrctl.readers.splits import check_counts, listed_splits, photos_in, splits_of

PAPER_SPLIT = "CelebA's partition, as in the paper"
OFFICIAL_COUNTS = {"train": 24_183, "val": 2_993, "test": 2_824}
LAST_TRAIN, LAST_VAL = 162_770, 182_637  # of CelebA's 202,599 images

PHOTOS = "CelebA-HQ-img"
MASKS = ("CelebAMask-HQ-mask-anno", "CelebAMaskHQ-mask-anno")  # both spellings are in circulation
MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"

PaintOrder = Literal["official", "accessories-last"]
IDS = tuple(range(1, len(CELEBAMASK_HQ)))
ACCESSORIES = tuple(CELEBAMASK_HQ.id(part) for part in ("eye_g", "hat", "ear_r", "neck_l"))
# The ids of the parts in the order in which they are painted, later over earlier.
PAINT_ORDERS: Mapping[PaintOrder, tuple[int, ...]] = MappingProxyType(
    {"official": IDS, "accessories-last": (*(label for label in IDS if label not in ACCESSORIES), *ACCESSORIES)}
)

WHERE = (
    "get the data from github.com/switchablenorms/CelebAMask-HQ (non-commercial research only), and give the folder "
    f"that holds {PHOTOS}/, {MASKS[0]}/ and {MAPPING}, or images/ and labels/"
)


def open_celebamask_hq(root: Path, partial: bool = False, paint_order: PaintOrder = "official") -> FileSource:
    """Recognise the layout of a folder and split its faces.

    Raises:
        SourceError: no such folder, another layout, no face, a paint order for label maps that are merged already, or,
            unless `partial`, a split without its official count.
    """
    if not root.is_dir():
        raise SourceError(f"no folder at {root}: {WHERE}")
    masks = next((root / name for name in MASKS if (root / name).is_dir()), None)
    if masks is not None and (root / PHOTOS).is_dir():
        source = _open_raw(root, masks, paint_order)
    elif (root / "images").is_dir() and (root / "labels").is_dir():
        if paint_order != "official":
            raise SourceError(
                f"{root} cannot be painted {paint_order}: its label maps are merged already, and what lay beneath is "
                f"gone; give the raw masks ({MASKS[0]}/), or leave the paint order alone"
            )
        source = _open_merged(root)
    else:
        raise SourceError(f"{root} does not have the layout of CelebAMask-HQ: {WHERE}")
    if not any(source.splits.values()):
        raise SourceError(f"{root} holds no face: {WHERE}")
    if source.provenance.split_rule == PAPER_SPLIT and not partial:
        check_counts(root, source.splits, OFFICIAL_COUNTS)
    return source


def _open_raw(root: Path, masks: Path, paint_order: PaintOrder) -> FileSource:
    mapping = root / MAPPING
    if not mapping.is_file():
        raise SourceError(f"{mapping} is missing; the paper's split follows from it: {WHERE}")
    names = sorted((path.stem for path in (root / PHOTOS).glob("*.jpg") if path.stem.isdecimal()), key=int)
    provenance = Provenance("celebamask-hq", "raw", PAPER_SPLIT, {"paint order": paint_order})
    reader = functools.partial(_read_raw, root / PHOTOS, masks, paint_order)
    return FileSource(_paper_split(names, mapping), provenance, CELEBAMASK_HQ, reader, halved=True)


def _read_raw(photos: Path, masks: Path, paint_order: PaintOrder, _: str, name: str) -> Sample:
    """A photo, and one mask per part, painted over one another."""
    image = read_any_photo(photos / f"{name}.jpg")
    folder = masks / str(int(name) // 2000)
    labels = None
    for label in PAINT_ORDERS[paint_order]:
        path = folder / f"{int(name):05d}_{CELEBAMASK_HQ.names[label]}.png"
        if not path.exists():
            continue
        mask = read_mask(path)
        if labels is None:
            labels = np.zeros(mask.shape, np.uint8)
        if mask.shape != labels.shape:
            raise SourceError(
                f"{path} is {shape_of(mask)}, the other parts of face {name} {shape_of(labels)}; fetch it again"
            )
        labels[mask] = label
    if labels is None:
        raise SourceError(f"{folder} holds no mask of face {name} ({int(name):05d}_*.png); fetch the masks again")
    return Sample(name, image, labels)


def _open_merged(root: Path) -> FileSource:
    photos = photos_in(root / "images")
    if listed_splits(root) is None and (root / MAPPING).is_file():
        rule, splits = PAPER_SPLIT, _paper_split(list(photos), root / MAPPING)
    else:
        rule, splits = splits_of(root, list(photos))
    # Which part covers which was decided by whoever merged them; nothing in the files tells.
    provenance = Provenance("celebamask-hq", "merged", rule, {"paint order": "as merged in the source"})
    reader = functools.partial(read_pair, photos, root / "labels", len(CELEBAMASK_HQ))
    return FileSource(splits, provenance, CELEBAMASK_HQ, reader, halved=True)


def _paper_split(names: Sequence[str], mapping: Path) -> dict[str, list[str]]:
    """Split by the number in `orig_file`; a header line is optional."""
    try:
        table = pd.read_csv(mapping, sep=r"\s+", header=None, usecols=[0, 2], names=["idx", "file"], dtype=str)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {mapping} ({error}); fetch it again") from None
    numbers = table["file"].str.extract(r"^(\d+)\.", expand=False)
    original = {idx: int(number) for idx, number in zip(table["idx"], numbers, strict=True) if isinstance(number, str)}
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in names:
        if name not in original:
            raise SourceError(f"{mapping} has no line for face {name}; fetch the whole file again")
        number = original[name]
        splits["train" if number <= LAST_TRAIN else "val" if number <= LAST_VAL else "test"].append(name)
    return splits
