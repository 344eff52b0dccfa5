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
import numpy as np
from pydantic import Field

from eagrctl import __version__
from eagrctl.arrays import Pixels
from eagrctl.data.census import Census, emptiness
from eagrctl.data.labels import IGNORE, LabelSet
from eagrctl.data.shards import check_structure, read_names, read_row, read_source_labels
from eagrctl.data.source import AlignedSample, Provenance
from eagrctl.documents import Count, FileName, Text, Versioned, Whole, read_json, read_json_or_none
from eagrctl.errors import ShardError
from eagrctl.events import Listener, Notice, ignore, tracked
from eagrctl.files import printable, replacing, require_regular, sha256_of

SCHEMA = 1
MOST_SAMPLES = 1 << 20  # in a shard
INDEX = "index.json"
YOUNGER = 60  # seconds; file systems of clusters have clocks of their own

Read = TypeVar("Read")


@dataclass(frozen=True)
class Shard(Versioned):
    """One line of the index."""

    file: Annotated[FileName, Field(pattern=r"^[\w-]+-[0-9]{5}\.h5$")]
    count: Annotated[Count, Field(le=MOST_SAMPLES)]
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
    size: Annotated[Whole, Field(ge=1, le=4096)]
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
        files = [shard.file for split in self.splits.values() for shard in split.shards]
        if len(set(files)) < len(files):
            raise ValueError("it must list each shard once")


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

    def save(self, file: str = INDEX) -> None:
        """Write the index into `root`, last of all its files; under another name until they stand there."""
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
        with replacing(self.root / file) as temporary:
            temporary.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

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

    def check(self, name: str, listener: Listener = ignore) -> None:
        """Compare the sizes of a split's shards with the index; ShardError where one is missing or has changed.

        Hundreds of gigabytes are not read for this. Where a shard is younger than the index, a warning names `verify`.
        """
        shards = self.split(name).shards
        for shard in shards:
            self._check(shard)
        indexed = (self.root / INDEX).stat().st_mtime
        younger = [shard.file for shard in shards if (self.root / shard.file).stat().st_mtime > indexed + YOUNGER]
        if younger:
            listener(
                Notice(
                    f"{younger[0]} is younger than {INDEX}: whether it has changed, "
                    f"eagrctl dataset verify {printable(self.root)} tells",
                    warning=True,
                )
            )

    def verify(self, name: str, listener: Listener = ignore) -> None:
        """Compare a split's shards with the index, byte for byte; ShardError where one is missing or has changed."""
        for shard in tracked(self.split(name).shards, f"checking {name} shards", listener):
            self._check(shard)
            if sha256_of(self.root / shard.file) != shard.sha256:
                raise self._changed(shard)

    def _check(self, shard: Shard) -> None:
        path = self.root / shard.file
        if not path.is_file():
            raise ShardError(
                f"{printable(path)} is missing, but {INDEX} lists it: prepare the dataset again with --force"
            )
        if path.stat().st_size != shard.bytes:
            raise self._changed(shard)

    def _changed(self, shard: Shard) -> ShardError:
        path = printable(self.root / shard.file)
        return ShardError(f"{path} changed since it was indexed: prepare the dataset again with --force")

    def read(self, split: str, position: int) -> AlignedSample:
        """Read one sample; IndexError where a split has no such position, ShardError where the shard cannot be read."""
        shard, row = self._place(split, position)
        sample = self._of(shard, lambda file: read_row(file, row))
        self._check_labels(sample.name, split, sample.labels, sample.source_labels)
        if not np.isfinite(sample.matrix).all() or abs(np.linalg.det(sample.matrix[:, :2])) < 1e-9:
            raise self._fault(sample.name, split, "has a matrix that cannot be inverted")
        return sample

    def read_source_labels(self, split: str, position: int) -> Pixels:
        """Read one sample's labels in the source frame, (h, w) uint8, and nothing else; errors as in `read`."""
        shard, row = self._place(split, position)
        labels = self._of(shard, lambda file: read_source_labels(file, row))
        self._check_labels(str(position), split, labels)
        return labels

    def names(self, split: str) -> tuple[str, ...]:
        """The names of a split's samples, in order; ShardError where a shard cannot be read."""
        return tuple(name for shard in self.split(split).shards for name in self._of(shard, read_names))

    def _check_labels(self, name: str, split: str, *maps: Pixels) -> None:
        highest = len(self.labels) - 1
        if any(((labels > highest) & (labels != IGNORE)).any() for labels in maps):
            raise self._fault(name, split, f"has a label outside 0..{highest}")

    def _fault(self, name: str, split: str, fault: str) -> ShardError:
        return ShardError(
            f"{printable(self.root)}: sample {printable(name)} of split {printable(split)} {fault}; prepare it again"
        )

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
                require_regular(path, ShardError)
                # Some file systems of clusters have no locks, and nobody writes to a shard that is listed.
                file = h5py.File(path, "r", locking=False)
                check_structure(file, self.size, shard.count)
                self._open[key] = file
            return read(self._open[key])
        except (OSError, KeyError, ValueError, IndexError, TypeError, RuntimeError, RecursionError) as error:
            # HDF5's library has an error of its own for every kind of damage.
            reason = printable(str(error).strip().partition("\n")[0])
            raise ShardError(
                f"{printable(path)} cannot be read ({reason}): prepare the dataset again with --force"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        # An open HDF5 file cannot be pickled; the copy opens its own.
        return self.__dict__ | {"_open": {}}


def listed(folder: Path, file: str = INDEX) -> set[str]:
    """The names of the shards that the index in a folder lists; where it cannot be read, of all shards there."""
    if not (folder / file).is_file():
        return set()
    found = read_json_or_none(folder / file, _Contents)
    if found is None:
        return {path.name for path in folder.glob("*-[0-9][0-9][0-9][0-9][0-9].h5")}
    return {shard.file for split in found.splits.values() for shard in split.shards}


def newest_dataset(folder: Path) -> Path:
    """The dataset in a folder that was prepared last.

    Raises:
        ShardError: there is none.
    """
    indexes = sorted(folder.glob("*/index.json"), key=lambda path: path.stat().st_mtime)
    if not indexes:
        raise ShardError(f"no prepared dataset in {folder}/: run eagrctl prepare first, or name a dataset's folder")
    return indexes[-1].parent
