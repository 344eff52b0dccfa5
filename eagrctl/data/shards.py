"""A shard: prepared samples in one HDF5 file.

It holds N samples, one chunk a sample: `image` (N, S, S, 3), `labels` (N, S, S) and `edges` (N, S, S), uint8; `matrix`
(N, 2, 3) float64, source -> aligned; `name`; `source_size` (N, 2), height and width; `source_labels`, one PNG per
sample, because source frames differ in size. Photos are stored plain: the lossless filters save a third at best and
read ten times slower. Labels and edges are deflated: to a twenty-fifth, at 2,000 a second.

An unfinished HDF5 file reopens as if it were sound. So a shard is written under a temporary name, and nothing reads one
that no index names (`eagrctl.data.index`).
"""

import io
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.source import AlignedSample

SAMPLES_PER_SHARD = 512


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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._file.close()
            self._raw.close()
            if kind is None and self.count:
                self._raw.check()
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)


def read_row(file: h5py.File, row: int) -> AlignedSample:
    """Read one sample of an open shard; OSError or KeyError where the file is damaged."""
    return AlignedSample(
        name=file["name"].asstr()[row],
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
    return [str(name) for name in file["name"].asstr()[:]]


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
    """The labels that `encode_labels` was given."""
    # Pillow knows kinds that run programs; a shard may come from anywhere.
    return np.array(Image.open(io.BytesIO(data), formats=["PNG"]))
