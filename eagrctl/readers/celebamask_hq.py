"""CelebAMask-HQ: the official raw layout, and merged label maps as many redistribute them.

*Raw*, as downloaded: `CelebA-HQ-img/{0..29999}.jpg`, `CelebAMask-HQ-mask-anno/{id // 2000}/{id:05d}_{part}.png` (a part
that is absent has no file) and `CelebA-HQ-to-CelebA-mapping.txt`. *Merged*, in official ids: `images/{id}.jpg` and
`labels/{id}.png`, and optionally lists of names, `train.txt`, `val.txt`, `test.txt`; or as official scripts leave it,
`CelebA-HQ-img/` and `CelebAMaskHQ-mask/`, or `train_img/` and `train_label/`; or any of `readers/layouts.py`. Where
there are raw and merged maps, the raw ones are read. Photos may be PNGs, and their numbers have leading zeros.

The paper's split follows CelebA's own, by the number in the mapping's `orig_file`.

Parts overlap, so the order in which they are painted over one another decides scores: `official` is id order, later
over earlier, as in the official merging script, so that neck and cloth cover a necklace. `accessories-last` paints
glasses, hat, earring and necklace after all others, as FaRL and SegFace do. Scores are not comparable across the two.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from eagrctl.files import printable
from eagrctl.readers.images import FileSource, read_mask
from eagrctl.readers.layouts import IMAGES, LABELS, Folders, find_folders, settle, subfolders, unread_folders, visible
from eagrctl.readers.pairs import BY_FOLDERS, by_name, pair_up, reader_of
from eagrctl.readers.schemes import Remapping, refuse_scheme
from eagrctl.readers.splits import check_counts, counted, named, unread_lists

PAPER_SPLIT = "CelebA's partition, as in the paper"
OFFICIAL_COUNTS = {"train": 24_183, "val": 2_993, "test": 2_824}
LAST_TRAIN, LAST_VAL = 162_770, 182_637  # of CelebA's 202,599 images

PHOTOS = "CelebA-HQ-img"
MASKS = ("CelebAMask-HQ-mask-anno", "CelebAMaskHQ-mask-anno")  # both spellings are in circulation
MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
MERGED = ("CelebAMask-HQ-mask", "CelebAMaskHQ-mask")  # what the official script writes

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


def open_celebamask_hq(
    root: Path, partial: bool = False, paint_order: PaintOrder = "official", scheme: str | None = None
) -> FileSource:
    """Recognise the layout of a folder and split its faces; merged label maps may have the ids of another `scheme`.

    Raises:
        SourceError: no such folder, another layout, no face, a paint order for label maps that are merged already, or,
            unless `partial`, a split without its official count, or a face without a photo or label map.
    """
    root, moved = settle(root, lambda folder: bool(_raw(folder) or _merged(folder)), "celebamask-hq", WHERE)
    if folders := _raw(root):
        refuse_scheme(scheme, root)
        source = _open_raw(root, *folders, paint_order, partial)
    elif paint_order != "official":
        raise SourceError(
            f"{root} cannot be painted {paint_order}: its label maps are merged already, and what lay beneath is "
            f"gone; give the raw masks ({MASKS[0]}/), or leave the paint order alone"
        )
    else:
        source = _open_merged(root, _merged(root), partial, Remapping.by(scheme, CELEBAMASK_HQ))
    if not any(source.splits.values()):
        raise SourceError(f"{root} holds no face: {WHERE}")
    scripted = source.provenance.split_rule == BY_FOLDERS and (root / "train_img").is_dir()
    if (source.provenance.split_rule == PAPER_SPLIT or scripted) and not partial:
        check_counts(root, source.splits, OFFICIAL_COUNTS)
    return replace(source, remarks=(*moved, *source.remarks))


def _raw(root: Path) -> Folders | None:
    """The folders of photos and of masks, one per part, or None."""
    here = subfolders(root)
    photos, masks = here.get(PHOTOS.casefold()), [here[name.casefold()] for name in MASKS if name.casefold() in here]
    return (photos, masks[0]) if photos and masks else None


def _merged(root: Path) -> dict[str, Folders]:
    """The folders of photos and merged label maps, as `find_folders` gives them."""
    return find_folders(root, (PHOTOS, *IMAGES), (*MERGED, *LABELS))


def _open_raw(root: Path, photos: Path, masks: Path, paint_order: PaintOrder, partial: bool) -> FileSource:
    mapping = root / MAPPING
    if not mapping.is_file():
        raise SourceError(f"{mapping} is missing; the paper's split follows from it: {WHERE}")
    files = _numbered(photos, by_name(photos))
    names = sorted(files, key=int)
    masked = {
        str(int(found[1]))
        for folder in (masks, *subfolders(masks).values())
        for entry in visible(folder)
        if (found := re.match(r"(\d{1,9})_\w+\.png$", entry.name))
    }
    spare = sorted(masked - set(names), key=int)
    others = [entry.name for entry in visible(photos) if entry.name not in set(files.values())]
    without = [name for name in names if name not in masked]
    if without and len(without) < len(names) and not partial:
        raise SourceError(
            f"{counted(len(without), 'face')} of {photos} without a mask in {masks}: {named(without)}; fetch the masks "
            "again, or add --partial to prepare what is there"
        )
    remarks = [
        *([f"{counted(len(without), 'face')} of {photos} without a mask in {masks}: {named(without)}"] * bool(without)),
        *([f"{counted(len(spare), 'face')} of {masks} without a photo in {photos}: {named(spare)}"] * bool(spare)),
        *([f"not read in {photos}: {named(others)}; photos are called by their number, such as 0.jpg"] * bool(others)),
        *unread_folders(root, (photos, masks)),
        *unread_lists(root, [MAPPING]),
    ]
    provenance = Provenance("celebamask-hq", "raw", PAPER_SPLIT, {"paint order": paint_order})
    reader = functools.partial(_read_raw, {name: photos / file for name, file in files.items()}, masks, paint_order)
    splits = _paper_split(names, mapping)
    return FileSource(splits, provenance, CELEBAMASK_HQ, reader, halved=True, remarks=remarks)


def _numbered(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Files by their number, without leading zeros; SourceError where two have one."""
    found: dict[str, str] = {}
    for name, file in files.items():
        if re.fullmatch(r"[0-9]{1,9}", name):
            if other := found.get(str(int(name))):
                raise SourceError(f"{folder / file} and {other} beside it are one face's photo; keep one of them")
            found[str(int(name))] = file
    return found


def _read_raw(photos: Mapping[str, Path], masks: Path, paint_order: PaintOrder, _: str, name: str) -> Sample:
    """A photo, and one mask per part, painted over one another."""
    image = read_any_photo(photos[name])
    folder = masks / str(int(name) // 2000)
    if not folder.is_dir():
        folder = masks  # some have all masks in one folder
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


def _open_merged(root: Path, folders: Mapping[str, Folders], partial: bool, ids: Remapping) -> FileSource:
    mapping = root / MAPPING
    if mapping.is_file():
        found = pair_up(root, folders, partial, lambda names: (PAPER_SPLIT, _paper_split(names, mapping)), [MAPPING])
    else:
        found = pair_up(root, folders, partial)
    # Which part covers which was decided by whoever merged them; nothing in the files tells.
    provenance = Provenance(
        "celebamask-hq", "merged", found.rule, {"paint order": "as merged in the source", **ids.settings}
    )
    reader, remarks = reader_of(found, len(CELEBAMASK_HQ), scheme=ids.scheme), (*found.remarks, *ids.remarks)
    return FileSource(found.splits, provenance, CELEBAMASK_HQ, reader, halved=True, remarks=remarks)


def _paper_split(names: Sequence[str], mapping: Path) -> dict[str, list[str]]:
    """Split by the number in `orig_file`; a header line is optional."""
    try:
        table = pd.read_csv(
            mapping, sep=r"\s+", header=None, usecols=[0, 2], names=["idx", "file"], dtype=str, encoding="utf-8-sig"
        )
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {mapping} ({printable(str(error).strip())}); fetch it again") from None
    numbers = table["file"].str.extract(r"^([0-9]{1,9})\.", expand=False)
    original = {idx: int(number) for idx, number in zip(table["idx"], numbers, strict=True) if isinstance(number, str)}
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in names:
        idx = name.lstrip("0") or "0"
        if idx not in original:
            raise SourceError(f"{mapping} has no line for face {printable(name)}; fetch the whole file again")
        number = original[idx]
        splits["train" if number <= LAST_TRAIN else "val" if number <= LAST_VAL else "test"].append(name)
    return splits
