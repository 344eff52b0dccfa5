"""The index of a prepared dataset: which shards there are, and the promise that they are whole.

It is written last, into a folder that holds a finished set: a dataset without an index is none.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

import h5py
from pydantic import Field

from eagrctl import __version__
from eagrctl.arrays import Pixels
from eagrctl.data.census import Census, emptiness
from eagrctl.data.labels import LabelSet
from eagrctl.data.shards import read_names, read_row, read_source_labels
from eagrctl.data.source import AlignedSample, Provenance
from eagrctl.documents import Count, FileName, Text, Versioned, Whole, read_json
from eagrctl.errors import ShardError
from eagrctl.events import Listener, ignore, tracked
from eagrctl.files import replacing, sha256_of

SCHEMA = 1
INDEX = "index.json"

Read = TypeVar("Read")


@dataclass(frozen=True)
class Shard(Versioned):
    """One line of the index."""

    file: Annotated[FileName, Field(pattern=r"^[\w.-]+$")]
    count: Count
    bytes: Count
    sha256: str

    @classmethod
    def of(cls, path: Path, count: int) -> Self:
        """Describe a finished shard."""
        return cls(path.name, count, path.stat().st_size, sha256_of(path))


@dataclass(frozen=True, order=True)
class Skipped(Versioned):
    """A sample that could not be used, and why."""

    name: Text
    reason: Text


@dataclass(frozen=True)
class Split(Versioned):
    """One split of a prepared dataset.

    Attributes:
        shards: in order.
        skipped: the samples that could not be used.
        centred: names of samples without landmarks, which alignment could only centre.
        census: what its labels hold; None where an older eagrctl, which did not count, prepared it.
    """

    shards: tuple[Shard, ...]
    skipped: tuple[Skipped, ...] = ()
    centred: tuple[Text, ...] = ()
    census: Census | None = None

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """One split of all its parts, in the order of names, which does not tell how many parts there were."""
        counted = [part.census for part in parts if part.census is not None]
        return cls(
            tuple(sorted((shard for part in parts for shard in part.shards), key=lambda shard: shard.file)),
            tuple(sorted(skipped for part in parts for skipped in part.skipped)),
            tuple(sorted(name for part in parts for name in part.centred)),
            Census.join(counted) if len(counted) == len(parts) else None,
        )

    @property
    def count(self) -> int:
        """Samples in the split."""
        return sum(shard.count for shard in self.shards)


Byte = Annotated[Whole, Field(ge=0, le=255)]


@dataclass(frozen=True)
class _Contents(Versioned):
    """What stands in the file; see `ShardIndex`, `Provenance` and `LabelSet`."""

    marks: ClassVar[Mapping[str, str | int]] = {"schema": SCHEMA}

    dataset: Text
    variant: Text
    split_rule: Text
    settings: dict[Text, Text]
    alignment: Text
    size: Annotated[Whole, Field(ge=1, le=65535)]
    classes: tuple[Text, ...]
    colours: tuple[tuple[Byte, Byte, Byte], ...]
    mirrored: tuple[tuple[Byte, Byte], ...]
    regions: dict[Text, tuple[Byte, ...]]
    part: tuple[Count, Count] | None
    plan: Text
    splits: dict[Text, Split]

    def __post_init__(self) -> None:
        ids = [label for group in (*self.mirrored, *self.regions.values()) for label in group]
        if len(self.colours) != len(self.classes) or any(label >= len(self.classes) for label in ids):
            raise ValueError("it must have a colour for each class, and no id beyond them")


@dataclass(frozen=True)
class ShardIndex:
    """A prepared dataset: what its index says, and its samples.

    Instances can be pickled and survive a fork: each process opens the shards itself, on its first read.

    Attributes:
        root: the folder of index and shards.
        provenance: where the samples came from.
        labels: the classes.
        size: S, the side of the aligned frame.
        alignment: how samples were aligned, in words.
        splits: by name; empty splits are left out.
        part: (k, n) where only the k-th of n parts of the dataset is there; None where all of it is.
        plan: digest of all that decides what a preparation gives; parts of one dataset have it in common.
    """

    root: Path
    provenance: Provenance
    labels: LabelSet
    size: int
    alignment: str
    splits: Mapping[str, Split]
    part: tuple[int, int] | None = None
    plan: str = ""
    _open: dict[tuple[int, str], h5py.File] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, root: Path, partial: bool = False) -> Self:
        """Read the index of the prepared dataset in a folder.

        Raises:
            ShardError: no index, one that cannot be read, or, unless `partial`, that of a part of a dataset.
        """
        path, remedy = root / INDEX, "prepare the dataset again with --force"
        missing = f"no prepared dataset at {root} (no {INDEX}): run eagrctl prepare first"
        found = read_json(path, _Contents, ShardError, remedy, missing)
        if found.part is not None and not partial:
            raise ShardError(
                f"{root} is part {found.part[0]} of {found.part[1]} of a dataset: "
                "join the parts with eagrctl dataset merge"
            )
        provenance = Provenance(found.dataset, found.variant, found.split_rule, found.settings)
        labels = LabelSet(found.classes, found.colours, found.mirrored, found.regions)
        return cls(root, provenance, labels, found.size, found.alignment, found.splits, found.part, found.plan)

    def save(self) -> Path:
        """Write the index into `root`, last of all its files, and name it."""
        table = {
            "schema": SCHEMA,
            "eagrctl": __version__,
            **asdict(self.provenance),
            "alignment": self.alignment,
            "size": self.size,
            "classes": self.labels.names,
            "colours": self.labels.colours,
            "mirrored": self.labels.mirrored,
            "regions": dict(self.labels.regions),
            "part": self.part,
            "plan": self.plan,
            "warnings": self.warnings,
            "splits": {name: {"count": split.count, **asdict(split)} for name, split in self.splits.items()},
        }
        path = self.root / INDEX
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    @property
    def warnings(self) -> list[str]:
        """What the dataset lacks, as far as it was counted; see `eagrctl.data.census.emptiness`."""
        counted = {name: split.census for name, split in self.splits.items() if split.census is not None}
        return emptiness(counted, self.labels, whole=self.part is None)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in id order, the background first."""
        return self.labels.names

    def split(self, name: str) -> Split:
        """The split called `name`; ShardError where there is none."""
        if name not in self.splits:
            raise ShardError(f"{self.root} has no split {name!r}; it has {', '.join(self.splits)}")
        return self.splits[name]

    def verify(self, name: str, listener: Listener = ignore) -> None:
        """Compare a split's shards with the index, byte for byte; ShardError where one is missing or has changed."""
        for shard in tracked(self.split(name).shards, f"checking {name} shards", listener):
            path = self.root / shard.file
            if not path.is_file():
                raise ShardError(f"{path} is missing, but {INDEX} lists it: prepare the dataset again with --force")
            if path.stat().st_size != shard.bytes or sha256_of(path) != shard.sha256:
                raise ShardError(f"{path} changed since it was indexed: prepare the dataset again with --force")

    def read(self, split: str, position: int) -> AlignedSample:
        """Read one sample; IndexError where a split has no such position, ShardError where the shard cannot be read."""
        shard, row = self._place(split, position)
        return self._of(shard, lambda file: read_row(file, row))

    def read_source_labels(self, split: str, position: int) -> Pixels:
        """Read one sample's labels in the source frame, (h, w) uint8, and nothing else; errors as in `read`."""
        shard, row = self._place(split, position)
        return self._of(shard, lambda file: read_source_labels(file, row))

    def names(self, split: str) -> tuple[str, ...]:
        """The names of a split's samples, in order; ShardError where a shard cannot be read."""
        return tuple(name for shard in self.split(split).shards for name in self._of(shard, read_names))

    def _place(self, split: str, position: int) -> tuple[Shard, int]:
        """The shard that holds a sample, and its row there."""
        start = 0
        for shard in self.split(split).shards:
            if start <= position < start + shard.count:
                return shard, position - start
            start += shard.count
        raise IndexError(f"split {split} has {start} samples; there is no sample {position}")

    def _of(self, shard: Shard, read: Callable[[h5py.File], Read]) -> Read:
        path = self.root / shard.file
        key = os.getpid(), shard.file
        try:
            if key not in self._open:
                self._open[key] = h5py.File(path, "r")
            return read(self._open[key])
        except (OSError, KeyError, ValueError, IndexError) as error:
            raise ShardError(f"{path} cannot be read ({error}): prepare the dataset again with --force") from error

    def __getstate__(self) -> dict[str, Any]:
        # An open HDF5 file cannot be pickled; the copy opens its own.
        return self.__dict__ | {"_open": {}}


def newest_dataset(folder: Path) -> Path:
    """The dataset in a folder that was prepared last.

    Raises:
        ShardError: there is none.
    """
    indexes = sorted(folder.glob("*/index.json"), key=lambda path: path.stat().st_mtime)
    if not indexes:
        raise ShardError(f"no prepared dataset in {folder}/: run eagrctl prepare first, or name a dataset's folder")
    return indexes[-1].parent
