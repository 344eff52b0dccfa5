"""A shard: prepared samples in one HDF5 file.

It holds N samples, one chunk a sample: `image` (N, S, S, 3), `labels` (N, S, S) and `edges` (N, S, S), uint8; `matrix`
(N, 2, 3) float64, source -> aligned; `name`; `source_size` (N, 2), height and width; `source_labels`, one PNG per
sample, because source frames differ in size. Photos are stored plain: the lossless filters save a third at best and
read ten times slower. Labels and edges are deflated: to a twenty-fifth, at 2,000 a second.

An unfinished HDF5 file reopens as if it were sound. So a shard is written under a temporary name, and nothing reads one
that no index names (`eagrctl.data.index`).
"""

import io
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.source import AlignedSample
from eagrctl.documents import file_name
from eagrctl.files import replacing

SAMPLES_PER_SHARD = 512
LARGEST_CHUNK = 1 << 28  # bytes, which reading a single value takes
LARGEST_MAP = 250_000_000  # pixels of source labels, as of photos


class _PatientFile(io.FileIO):
    """A file that HDF5 writes through, and that keeps the first error for `check`.

    HDF5 cannot cope with a write that fails, on a full disk for example: it fails again at close, for every object it
    holds, and may crash the process. Through this file every write seems to succeed.
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

    The shard appears under its name when the block ends well and it has a sample; otherwise no file is left.

    Args:
        path: where the shard will stand.
        size: S, the side of the aligned frame.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.count = 0
        self._stack = ExitStack()

    def _open(self) -> None:
        size = self.size
        self._raw = self._stack.enter_context(_PatientFile(self._stack.enter_context(replacing(self.path))))
        self._file = h5py.File(self._raw, "w")
        self._stack.push(self._close)
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

    def _close(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is None:
            self._raw.check()

    def _create(self, name: str, shape: tuple[int, ...], dtype: Any, **options: Any) -> None:
        options.setdefault("chunks", (SAMPLES_PER_SHARD, *shape))
        self._file.create_dataset(name, shape=(0, *shape), maxshape=(None, *shape), dtype=dtype, **options)

    def append(self, sample: AlignedSample) -> None:
        """Write one sample; OSError where the disk will not take it."""
        if not self.count:
            self._open()
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

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)


def check_structure(file: h5py.File, size: int, count: int) -> None:
    """Refuse, with ValueError, a file that is no shard of `count` samples of side `size`; see `check_columns`."""
    columns = {
        "image": ((size, size, 3), np.uint8),
        "labels": ((size, size), np.uint8),
        "edges": ((size, size), np.uint8),
        "matrix": ((2, 3), np.float64),
        "name": ((), str),
        "source_labels": ((), None),
    }
    check_columns(file, columns, count)


def check_columns(file: h5py.File, columns: Mapping[str, tuple[tuple[int, ...], Any]], count: int) -> None:
    """Refuse, with ValueError, a file without these columns of `count` rows, or whose data lie elsewhere.

    HDF5 would follow links and read data from any file of the disk, or take memory for a chunk of any size.

    Args:
        file: open.
        columns: shape and type of a row of each; the type is `str` for text, and None for bytes of any number.
        count: rows.
    """
    for name, (shape, kind) in columns.items():
        dataset = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
            raise ValueError(f"it holds no {name} of its own")
        text, row = h5py.check_string_dtype(dataset.dtype), h5py.check_vlen_dtype(dataset.dtype)
        fits = text is not None if kind is str else row == np.uint8 if kind is None else dataset.dtype == kind
        if not fits or dataset.shape != (count, *shape):
            raise ValueError(f"{name} is {dataset.dtype} {dataset.shape}")
        if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > LARGEST_CHUNK:
            raise ValueError(f"{name} has chunks of {dataset.chunks}")


def read_row(file: h5py.File, row: int) -> AlignedSample:
    """Read one sample of an open shard; OSError, KeyError or ValueError where the file is damaged."""
    return AlignedSample(
        name=file_name(file["name"].asstr()[row]),
        image=_pixels(file["image"], row),
        labels=_pixels(file["labels"], row),
        edges=_pixels(file["edges"], row),
        matrix=file["matrix"][row],
        source_labels=decode_labels(file["source_labels"][row].tobytes()),
    )


def read_source_labels(file: h5py.File, row: int) -> Pixels:
    """Read what scoring needs of one sample, without the rest; errors as in `read_row`."""
    return decode_labels(file["source_labels"][row].tobytes())


def read_names(file: h5py.File) -> list[str]:
    """The names of all samples, in order; errors as in `read_row`."""
    return [file_name(name) for name in file["name"].asstr()[:]]


def _pixels(dataset: h5py.Dataset, row: int) -> Pixels:
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
    """The labels that `encode_labels` was given; ValueError where it gave no such bytes."""
    try:
        # Pillow knows kinds that run programs; a shard may come from anywhere.
        picture = Image.open(io.BytesIO(data), formats=["PNG"])
        if picture.mode == "L" and picture.width * picture.height <= LARGEST_MAP:
            return np.array(picture)
    except Exception as error:  # Pillow's readers raise whatever damaged data make them stumble over
        raise ValueError(f"its source labels are damaged: {error}") from None
    raise ValueError(f"its source labels are {picture.mode}, {picture.width} x {picture.height}")
