"""Prepared samples on disk: HDF5 shards, and the index that vouches for them.

A shard holds N samples, one chunk a sample: `image` (N, S, S, 3), `labels` (N, S, S) and `edges` (N, S, S), uint8;
`matrix` (N, 2, 3) float64, source -> aligned; `name`; `source_size` (N, 2), height and width; `source_labels`, one
PNG per sample, because source frames differ in size. Photos are stored plain: the lossless filters save a third at
best and read ten times slower. Labels and edges are deflated: to a twenty-fifth, at 2,000 a second.

An HDF5 file abandoned half way reopens as if it were sound. So shards are written under a temporary name, the index
is written last, and nothing reads a shard that no index names, or one that changed since.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from PIL import Image

from eagrctl import __version__
from eagrctl.data.labels import LabelSet
from eagrctl.data.sample import AlignedSample, Matrix, Pixels
from eagrctl.data.source import Provenance
from eagrctl.errors import ShardError
from eagrctl.events import Progress, Report, ignore
from eagrctl.files import replacing

SCHEMA = 1
INDEX = "index.json"
SAMPLES_PER_SHARD = 512


class _PatientFile(io.FileIO):
    """A file that keeps the first error to itself, for HDF5 to write through.

    HDF5 cannot cope with a write that fails, on a full disk say: it fails again at close, for every object it holds,
    and may bring the process down. Through this file every write seems to go well, and `error` tells the truth.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+b")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of the data, or remember why it could not be written."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.error is None and rest:
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size, or remember why it could not be set."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        """Raise the first error there was."""
        if self.error is not None:
            raise self.error


class ShardWriter:
    """Writes one shard, sample by sample, as a context manager.

    The shard appears under its own name when the block ends well; when it does not, no file is left.

    Args:
        path: where the shard will stand.
        size: S, the side of the aligned frame.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.count = 0
        self._temporary = path.with_name(path.name + ".part")
        self._raw = _PatientFile(self._temporary)
        self._file = h5py.File(self._raw, "w")
        for name, shape, filters in (
            ("image", (size, size, 3), {}),
            ("labels", (size, size), {"compression": "gzip", "compression_opts": 1}),
            ("edges", (size, size), {"compression": "gzip", "compression_opts": 1}),
        ):
            self._create(name, shape, np.uint8, chunks=(1, *shape), **filters)
        self._create("matrix", (2, 3), np.float64)
        self._create("source_size", (2,), np.int64)
        self._create("name", (), h5py.string_dtype())
        self._create("source_labels", (), h5py.vlen_dtype(np.uint8))

    def _create(self, name: str, shape: tuple[int, ...], dtype: Any, **options: Any) -> None:
        options.setdefault("chunks", (SAMPLES_PER_SHARD, *shape))
        self._file.create_dataset(name, shape=(0, *shape), maxshape=(None, *shape), dtype=dtype, **options)

    def append(self, sample: AlignedSample) -> None:
        """Write one sample; OSError where the disk will not take it."""
        row = {
            "image": sample.image,
            "labels": sample.labels,
            "edges": sample.edges,
            "matrix": sample.matrix,
            "source_size": sample.source_size,
            "name": sample.name,
            "source_labels": np.frombuffer(encode_labels(sample.source_labels), np.uint8),
        }
        for name, value in row.items():
            dataset = self._file[name]
            dataset.resize(self.count + 1, axis=0)
            dataset[self.count] = value
        self._raw.check()
        self.count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            self._raw.close()
            if kind is None:
                self._raw.check()
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Shard:
    """One line of the index."""

    file: str
    count: int
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path, count: int) -> Self:
        """Describe a finished shard."""
        return cls(path.name, count, path.stat().st_size, _digest(path))


@dataclass(frozen=True)
class Split:
    """A split's shards in order, and the samples that could not be used: (name, reason)."""

    shards: tuple[Shard, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int:
        """Samples in the split."""
        return sum(shard.count for shard in self.shards)


@dataclass(frozen=True)
class Stored:
    """One sample as read from a shard; fields as in `AlignedSample`."""

    name: str
    image: Pixels
    labels: Pixels
    edges: Pixels
    matrix: Matrix
    source_labels: Pixels


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
    """

    root: Path
    provenance: Provenance
    labels: LabelSet
    size: int
    alignment: str
    splits: Mapping[str, Split]
    _open: dict[tuple[int, str], h5py.File] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, root: Path) -> Self:
        """Read the index of a prepared dataset.

        Raises:
            ShardError: no index, or one that cannot be read.
        """
        path = root / INDEX
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise ShardError(f"no prepared dataset at {root} (no {INDEX}): run eagrctl prepare first") from None
        except (OSError, ValueError) as error:
            raise ShardError(f"{path} cannot be read ({error}): prepare the dataset again with --force") from None
        try:
            if table["schema"] != SCHEMA:
                raise ShardError(
                    f"{path} has schema {table['schema']}, this eagrctl reads {SCHEMA}: prepare again with --force"
                )
            return cls(
                root=root,
                provenance=Provenance(table["dataset"], table["variant"], table["split_rule"], table["settings"]),
                labels=LabelSet(
                    names=tuple(table["classes"]),
                    colours=tuple((red, green, blue) for red, green, blue in table["colours"]),
                    mirrored=tuple((one, other) for one, other in table["mirrored"]),
                    regions={name: tuple(ids) for name, ids in table["regions"].items()},
                ),
                size=table["size"],
                alignment=table["alignment"],
                splits={
                    name: Split(
                        tuple(Shard(**shard) for shard in split["shards"]),
                        tuple((skipped["name"], skipped["reason"]) for skipped in split["skipped"]),
                    )
                    for name, split in table["splits"].items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ShardError(f"{path} is no index of eagrctl ({error}): prepare again with --force") from None

    def save(self) -> Path:
        """Write the index into `root`, last of all its files, and name it."""
        path = self.root / INDEX
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self._table(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def _table(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "eagrctl": __version__,
            "dataset": self.provenance.dataset,
            "variant": self.provenance.variant,
            "split_rule": self.provenance.split_rule,
            "settings": dict(self.provenance.settings),
            "alignment": self.alignment,
            "size": self.size,
            "classes": self.labels.names,
            "colours": self.labels.colours,
            "mirrored": self.labels.mirrored,
            "regions": self.labels.regions,
            "splits": {
                name: {
                    "count": split.count,
                    "shards": [vars(shard) for shard in split.shards],
                    "skipped": [{"name": skipped, "reason": reason} for skipped, reason in split.skipped],
                }
                for name, split in self.splits.items()
            },
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in id order, the background first."""
        return self.labels.names

    def split(self, name: str) -> Split:
        """The split called `name`; ShardError where there is none."""
        if name not in self.splits:
            raise ShardError(f"{self.root} has no split {name!r}; it has {', '.join(self.splits)}")
        return self.splits[name]

    def verify(self, name: str, report: Report = ignore) -> None:
        """Compare a split's shards with the index, byte for byte.

        Raises:
            ShardError: a shard is missing, or changed since it was indexed.
        """
        task, shards = f"checking {name} shards", self.split(name).shards
        for number, shard in enumerate(shards):
            report(Progress(task, number, len(shards)))
            path = self.root / shard.file
            if not path.is_file():
                raise ShardError(f"{path} is missing, but {INDEX} lists it: prepare the dataset again with --force")
            if path.stat().st_size != shard.bytes or _digest(path) != shard.sha256:
                raise ShardError(f"{path} changed since it was indexed: prepare the dataset again with --force")
        report(Progress(task, len(shards), len(shards)))

    def read(self, split: str, position: int) -> Stored:
        """Read one sample.

        Raises:
            IndexError: no such position.
            ShardError: the shard cannot be read.
        """
        start = 0
        for shard in self.split(split).shards:
            if start <= position < start + shard.count:
                return self._read(shard, position - start)
            start += shard.count
        raise IndexError(f"split {split} has {start} samples; there is no sample {position}")

    def _read(self, shard: Shard, row: int) -> Stored:
        path = self.root / shard.file
        key = os.getpid(), shard.file
        try:
            if key not in self._open:
                self._open[key] = h5py.File(path, "r")
            file = self._open[key]
            return Stored(
                name=file["name"].asstr()[row],
                image=_row(file["image"], row),
                labels=_row(file["labels"], row),
                edges=_row(file["edges"], row),
                matrix=file["matrix"][row],
                source_labels=decode_labels(file["source_labels"][row].tobytes()),
            )
        except (OSError, KeyError) as error:
            raise ShardError(f"{path} cannot be read ({error}): prepare the dataset again with --force") from error

    def __getstate__(self) -> dict[str, Any]:
        # An open HDF5 file cannot be pickled; the copy opens its own.
        return self.__dict__ | {"_open": {}}


def _row(dataset: h5py.Dataset, row: int) -> Pixels:
    # Two to three times faster than indexing.
    out = np.empty(dataset.shape[1:], dataset.dtype)
    dataset.read_direct(out, np.s_[row])
    return out


def encode_labels(labels: Pixels) -> bytes:
    """Labels as the bytes of a grey PNG: lossless, small, and readable by anything."""
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "PNG")
    return buffer.getvalue()


def decode_labels(data: bytes) -> Pixels:
    """The labels that `encode_labels` was given."""
    return np.array(Image.open(io.BytesIO(data)))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
