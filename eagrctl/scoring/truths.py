"""Label maps to score against: a folder of them, or a split of a prepared dataset.

A truth is known by its name, which is what a prediction of it is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eagrctl.arrays import Pixels
from eagrctl.data.index import INDEX, ShardIndex
from eagrctl.data.labels import DATASETS, LabelSet
from eagrctl.errors import ShardError, SourceError, did_you_mean
from eagrctl.readers.images import read_labels
from eagrctl.scoring.evaluate import default_split


@dataclass(frozen=True)
class Truths:
    """Label maps in a dataset's own ids, read one at a time. Instances are pickled to worker processes.

    Attributes:
        root: the folder they are in.
        dataset: its name, which decides the paper's table that scores are laid beside.
        labels: its classes.
        names: in order.
        index: of a prepared dataset; None for a folder of NAME.png.
        split: of a prepared dataset.
    """

    root: Path
    dataset: str
    labels: LabelSet
    names: Sequence[str] = field(repr=False)
    index: ShardIndex | None = None
    split: str = ""

    def read(self, place: int) -> Pixels:
        """The labels at that place of `names`, (H, W) uint8, in the source frame, 255 where there is none.

        Raises:
            DataError: they cannot be read; the message names the file and the remedy.
        """
        if self.index is not None:
            return self.index.read_source_labels(self.split, place)
        return read_labels(self.root / f"{self.names[place]}.png", len(self.labels), ignored=True)


def open_truths(root: Path, dataset: str | None = None, split: str | None = None) -> Truths:
    """Open what predictions are scored against.

    Args:
        root: a prepared dataset, which has an index, or a folder of label maps.
        dataset: whose classes the maps have; a prepared dataset tells itself.
        split: of a prepared dataset; test unless told otherwise, or val where there is no test.

    Raises:
        SourceError: no such folder or dataset, no label map in it, or a split of what has none.
        ShardError: the prepared dataset is another one, cannot be read, or has no such split.
    """
    if not root.is_dir():
        raise SourceError(f"no folder at {root}: give a folder of label maps NAME.png, or a prepared dataset")
    if (root / INDEX).is_file():
        return _open_prepared(root, dataset, split)
    if split is not None:
        raise SourceError(
            f"{root} is not a prepared dataset, so it has no split {split!r}: leave --split out, or give a folder that "
            "eagrctl prepare wrote"
        )
    return Truths(root, *_known(root, dataset), label_maps(root))


def label_maps(folder: Path) -> tuple[str, ...]:
    """The names of a folder's PNGs, without their ending; short names first, then by letter.

    Raises:
        SourceError: no such folder, or none of them in it.
    """
    if not folder.is_dir():
        raise SourceError(f"no folder at {folder}: give one that holds label maps NAME.png")
    # macOS leaves "._NAME.png" beside every file that it unpacks.
    names = (path.stem for path in folder.glob("*.png") if not path.name.startswith("."))
    found = tuple(sorted(names, key=lambda name: (len(name), name)))
    if not found:
        inside = next((path for path in sorted(folder.iterdir()) if path.is_dir() and any(path.glob("*.png"))), None)
        remedy = f"give {inside}, which does" if inside else "give a folder that does"
        raise SourceError(f"{folder} holds no label map NAME.png (folders in it are not searched): {remedy}")
    return found


def _open_prepared(root: Path, dataset: str | None, split: str | None) -> Truths:
    index = ShardIndex.load(root)
    prepared = index.provenance.dataset
    if dataset is not None and dataset != prepared:
        raise ShardError(f"{root} was prepared from {prepared}, not from {dataset}: leave --dataset out")
    chosen = split or default_split(index)
    if index.split(chosen).count == 0:
        raise ShardError(f"split {chosen} of {root} is empty: choose another with --split, or prepare again")
    return Truths(root, prepared, index.labels, index.names(chosen), index, chosen)


def _known(root: Path, dataset: str | None) -> tuple[str, LabelSet]:
    names = ", ".join(DATASETS)
    if dataset is None:
        raise SourceError(f"whose classes the label maps of {root} have is not said: add --dataset, one of {names}")
    if dataset not in DATASETS:
        raise SourceError(
            f"no dataset is called {dataset!r}{did_you_mean(dataset, DATASETS)}; there are {names}; "
            "for classes of your own, give what eagrctl prepare folder wrote"
        )
    return dataset, DATASETS[dataset]
