"""Whether a prepared dataset is what its index says, and what a dataset has to be."""

import hashlib

import numpy as np

from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import edge_mask
from eagrctl.errors import ShardError
from eagrctl.events import Listener, Notice, ignore, tracked
from eagrctl.files import printable

SHOWN = 3  # photos that are named


def verify_dataset(index: ShardIndex, listener: Listener = ignore) -> None:
    """Compare shards with the index, and every sample with what it promises.

    Checked are hashes, shapes, label ranges in both frames, that names are unique and matrices can be inverted, and
    edges, which are derived again and compared. ShardError names the first thing that does not hold, and its sample. A
    photo that is in two splits is no fault, but the listener hears of it.
    """
    photos: dict[bytes, tuple[str, str]] = {}
    doubled: list[str] = []
    for name, split in index.splits.items():
        index.verify(name, listener)
        seen: set[str] = set()
        for position in tracked(range(split.count), f"checking {name} samples", listener):
            stored = index.read(name, position)
            if stored.name in seen:
                raise ShardError(f"{index.root}: sample {stored.name} is twice in split {name}; prepare it again")
            seen.add(stored.name)
            other, same = photos.setdefault(hashlib.sha256(stored.image.tobytes()).digest(), (name, stored.name))
            if other != name:
                doubled.append(f"{name} {stored.name} is {other} {same}")
            if not np.array_equal(stored.edges, edge_mask(stored.labels)):
                raise ShardError(
                    f"{index.root}: sample {stored.name} of split {name} has edges that its labels do not give; "
                    "prepare it again"
                )
    if doubled:
        faces = f"{len(doubled):,} photo{'s' * (len(doubled) > 1)}"
        shown = "; ".join(map(printable, doubled[:SHOWN])) + ("; ..." if len(doubled) > SHOWN else "")
        listener(
            Notice(f"{faces} in two splits: {shown}: scores are too good if a test face was trained on", warning=True)
        )


def class_shares(
    index: ShardIndex, listener: Listener = ignore
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """By split, the share of source pixels that each class has, (N,) float64 that sum to 1."""
    shares = {}
    for name, split in index.splits.items():
        counts = np.zeros(256, np.int64)
        for position in tracked(range(split.count), f"counting {name}", listener):
            counts += np.bincount(index.read_source_labels(name, position).ravel(), minlength=256)
        shares[name] = counts[: len(index.labels)] / counts[: len(index.labels)].sum()
    return shares
