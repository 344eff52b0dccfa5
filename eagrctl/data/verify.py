"""Whether a prepared dataset is what its index says, and what a dataset has to be."""

import numpy as np

from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import IGNORE, edge_mask
from eagrctl.data.source import AlignedSample
from eagrctl.errors import ShardError
from eagrctl.events import Listener, ignore, tracked


def verify_dataset(index: ShardIndex, listener: Listener = ignore) -> None:
    """Compare shards with the index, and every sample with what it promises.

    Checked are hashes, shapes, label ranges in both frames, that names are unique and matrices can be inverted, and
    edges, which are derived again and compared. ShardError names the first thing that does not hold, and its sample.
    """
    for name, split in index.splits.items():
        index.verify(name, listener)
        seen: set[str] = set()
        for position in tracked(range(split.count), f"checking {name} samples", listener):
            stored = index.read(name, position)
            if stored.name in seen:
                raise ShardError(f"{index.root}: sample {stored.name} is twice in split {name}; prepare it again")
            seen.add(stored.name)
            if (fault := _fault(stored, index)) is not None:
                raise ShardError(f"{index.root}: sample {stored.name} of split {name} {fault}; prepare it again")


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


def _fault(stored: AlignedSample, index: ShardIndex) -> str | None:
    size, classes = index.size, len(index.labels)
    shapes = (stored.image.shape, stored.labels.shape, stored.edges.shape, stored.matrix.shape)
    if shapes != ((size, size, 3), (size, size), (size, size), (2, 3)):
        return f"has the shapes {shapes}"
    if any((labels[labels != IGNORE] >= classes).any() for labels in (stored.labels, stored.source_labels)):
        return f"has a label outside 0..{classes - 1}"
    if not np.isfinite(stored.matrix).all() or abs(np.linalg.det(stored.matrix[:, :2])) < 1e-9:
        return "has a matrix that cannot be inverted"
    if not np.array_equal(stored.edges, edge_mask(stored.labels)):
        return "has edges that its labels do not give"
    return None
