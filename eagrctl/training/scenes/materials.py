"""What composites are made of, as it is stored: heads, photos with known faces, and backgrounds.

`eagrctl detector prepare` writes them as shards, each an HDF5 file of one kind and one split: `photo` (a JPEG), `mask`
(of a head: a grey PNG of its opacity) and `about` (JSON). `index.json` lists the shards and is written last.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from eagrctl.arrays import Landmarks, Pixels
from eagrctl.data.shards import check_columns
from eagrctl.documents import Count, FileName, Flag, Number, Text, Versioned, json_in, read_json
from eagrctl.errors import ShardError
from eagrctl.files import printable, require_regular, sha256_of, write_text, write_whole

INDEX, SCHEMA = "index.json", 1
QUALITY = 92  # of stored JPEGs
REMEDY = "prepare it again with eagrctl detector prepare --force"

Kind = Literal["heads", "photos", "backgrounds"]
KINDS: tuple[Kind, ...] = ("heads", "photos", "backgrounds")
Four = tuple[Number, Number, Number, Number]
Five = tuple[tuple[Number, Number] | None, ...]


@dataclass(frozen=True)
class HeadAbout(Versioned):
    """What is known of a head.

    Attributes:
        middle, reach, roll: of the ellipse that its face fills from brows to chin: its middle, half its width and
            height in pixels, and how far it is turned clockwise, in radians.
        points: five, null where one is hidden; None where none is known.
    """

    middle: tuple[Number, Number]
    reach: tuple[Number, Number]
    roll: Number
    points: Five | None = None


@dataclass(frozen=True)
class PhotoAbout(Versioned):
    """What is known of a photo's faces; see `eagrctl.readers.real_photos`."""

    boxes: tuple[Four, ...]
    points: tuple[Five | None, ...]
    ignored: tuple[Four, ...]


@dataclass(frozen=True)
class BackgroundAbout(Versioned):
    """Whether detectors are tempted to see a face there."""

    hard: Flag


About = HeadAbout | PhotoAbout | BackgroundAbout
_ABOUT: Mapping[Kind, type[Any]] = {"heads": HeadAbout, "photos": PhotoAbout, "backgrounds": BackgroundAbout}


@dataclass(frozen=True)
class Material:
    """One head, photo or background.

    Attributes:
        name: of its file.
        photo: a JPEG.
        mask: of a head: a PNG, the opacity of each pixel; empty for others.
        about: what is known of it.
    """

    name: str
    photo: bytes
    about: About
    mask: bytes = b""

    @classmethod
    def of(cls, name: str, photo: Pixels, about: About, mask: Pixels | None = None) -> Self:
        """Encode pixels, (H, W, 3) and (H, W) uint8."""
        opacity = b"" if mask is None else _encoded(mask, "PNG")
        return cls(name, _encoded(photo, "JPEG", quality=QUALITY), about, opacity)

    def picture(self, shrunk: int = 1) -> Image.Image:
        """The photo, RGB; read at a half, a quarter or an eighth of its size, which is quicker, where so asked.

        Raises:
            ShardError: it is damaged.
        """
        return self._decoded(self.photo, "JPEG", "RGB", shrunk)

    def opacity(self) -> Image.Image:
        """A head's opacity, grey, as large as the photo; errors as in `picture`."""
        return self._decoded(self.mask, "PNG", "L")

    def _decoded(self, data: bytes, kind: str, mode: str, shrunk: int = 1) -> Image.Image:
        try:
            picture = Image.open(io.BytesIO(data), formats=[kind])
            if shrunk > 1:
                picture.draft(mode, (-(-picture.width // shrunk), -(-picture.height // shrunk)))
            return picture.convert(mode)
        except Exception as error:  # Pillow's readers raise whatever damaged data make them stumble over
            raise ShardError(f"{printable(self.name)} is damaged ({error}): {REMEDY}") from None


def known_points(points: Five | None) -> Landmarks:
    """Points as an array, (5, 2) float64; NaN where one is not known."""
    rows = [(np.nan, np.nan) if point is None else point for point in points or [None] * 5]
    return np.array(rows, np.float64)


def _encoded(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@dataclass(frozen=True)
class MaterialShard(Versioned):
    """One line of the index."""

    kind: Kind
    split: Text
    file: Annotated[FileName, Field(pattern=r"^[\w-]+-[0-9]{5}\.h5$")]
    count: Annotated[Count, Field(le=1 << 20)]
    bytes: Count
    sha256: str


@dataclass(frozen=True)
class _Contents(Versioned):
    marks: ClassVar[Mapping[str, str | int]] = {"format": "eagrctl detector data", "schema": SCHEMA}

    sources: dict[Text, Text]
    split_rule: Text
    shards: tuple[MaterialShard, ...]


@dataclass(frozen=True)
class MaterialIndex:
    """Prepared material: what its index says, and its shards.

    Attributes:
        root: the folder.
        sources: where it came from, in words, by kind.
        split_rule: in words.
        shards: in order.
    """

    root: Path
    sources: Mapping[str, str]
    split_rule: str
    shards: tuple[MaterialShard, ...]

    @classmethod
    def load(cls, root: Path) -> Self:
        """Read the index in a folder; ShardError where there is none, or it cannot be read."""
        missing = f"no prepared material at {printable(root)} (no {INDEX}): run eagrctl detector prepare first"
        found = read_json(root / INDEX, _Contents, ShardError, REMEDY, missing)
        return cls(root, found.sources, found.split_rule, found.shards)

    def save(self) -> None:
        """Write the index, last of all files."""
        shards = [asdict(shard) for shard in self.shards]
        table = {**_Contents.marks, "sources": self.sources, "split_rule": self.split_rule, "shards": shards}
        write_text(json.dumps(table, indent=2) + "\n", self.root / INDEX)

    def count(self, kind: Kind, split: str) -> int:
        """How many there are."""
        return sum(shard.count for shard in self.shards if (shard.kind, shard.split) == (kind, split))

    def read(self, kind: Kind, split: str) -> list[Material]:
        """All of a kind and a split, into memory.

        Raises:
            ShardError: a shard is missing, has changed since it was indexed, or cannot be read.
        """
        shards = [shard for shard in self.shards if (shard.kind, shard.split) == (kind, split)]
        return [material for shard in shards for material in self._read(shard)]

    def _read(self, shard: MaterialShard) -> list[Material]:
        path = self.root / shard.file
        try:
            require_regular(path, ShardError)
            if path.stat().st_size != shard.bytes:
                raise ValueError("it changed since it was indexed")
            with h5py.File(path, "r", locking=False) as file:
                columns = {"name": ((), str), "about": ((), str), "photo": ((), None), "mask": ((), None)}
                check_columns(file, columns, shard.count)
                names, abouts = (file[column].asstr()[:] for column in ("name", "about"))
                photos, masks = (file[column][:] for column in ("photo", "mask"))
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            reason = printable(str(error).strip().partition("\n")[0])
            raise ShardError(f"cannot read {printable(path)} ({reason}): {REMEDY}") from None
        kind = _ABOUT[shard.kind]
        sources = (f"{path}, {name}" for name in names)
        known = [
            json_in(about, kind, source, ShardError, REMEDY) for about, source in zip(abouts, sources, strict=True)
        ]
        rows = zip(names, photos, known, masks, strict=True)
        return [Material(name, photo.tobytes(), about, mask.tobytes()) for name, photo, about, mask in rows]


def write_shard(path: Path, kind: Kind, split: str, materials: Sequence[Material]) -> MaterialShard:
    """Write a shard, whole or not at all; EagrctlError where it cannot be written."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        abouts = [json.dumps(asdict(each.about)) for each in materials]
        for column, texts in (("name", [each.name for each in materials]), ("about", abouts)):
            file.create_dataset(column, data=texts, dtype=h5py.string_dtype())
        for column in ("photo", "mask"):
            rows = file.create_dataset(column, (len(materials),), h5py.vlen_dtype(np.uint8))
            for place, each in enumerate(materials):
                rows[place] = np.frombuffer(getattr(each, column), np.uint8)
    content = buffer.getvalue()
    write_whole(content, path)
    return MaterialShard(kind, split, path.name, len(materials), len(content), sha256_of(path))
