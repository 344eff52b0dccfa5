"""Photos with annotated faces, heads with label maps, and photos without a face: what a detector learns from.

The layout: three folders, `faces/`, `heads/` and `backgrounds/`, and beside each a list of the same name that ends in
`.jsonl`, a line of JSON for each photo:

* faces: `file`; `boxes`, each left, top, right and bottom in pixels; `points`, five for each box or null; `ignore`,
  boxes of what may be faces, but nobody annotated.
* heads: `file`, `labels` (a label map), and `kind`: "parts" or "hair" (`HEADS` are their classes).
* backgrounds: `file`, and whether it is `hard`.

A hash of its file's name decides whose a photo is: eight in ten are to learn from, one to choose by, one to test on.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from eagrctl.data.labels import LabelSet, distinct_colours
from eagrctl.data.source import SPLITS, Provenance, Sample
from eagrctl.documents import FileName, Flag, Number, Versioned, json_in, read_text
from eagrctl.errors import SourceError
from eagrctl.faces.photo import read_any_photo
from eagrctl.files import printable
from eagrctl.readers.images import FileSource, read_labels

Kind = Literal["parts", "hair"]
PARTS = ("background", "hair", "skin", "hat", "glasses", "sunglasses", "clothes")
# Of "hair", whatever is no hair has one label, the face included.
HEADS: Mapping[Kind, tuple[str, ...]] = MappingProxyType({"parts": PARTS, "hair": ("all else", "hair")})
SPLIT_RULE = "a hash of the file's name: 80 % train, 10 % val, 10 % test"
REMEDY = "give the folder that holds faces.jsonl, heads.jsonl and backgrounds.jsonl"

Listed = TypeVar("Listed", bound="_Listed")
Four = tuple[Number, Number, Number, Number]
Points = tuple[tuple[Number, Number], ...]


@dataclass(frozen=True)
class _Listed(Versioned):
    file: FileName

    @property
    def split(self) -> str:
        """Whose it is: "train", "val" or "test"."""
        place = int.from_bytes(hashlib.sha256(self.file.encode()).digest()[:4]) % 10
        return "train" if place < 8 else "val" if place == 8 else "test"


@dataclass(frozen=True)
class AnnotatedPhoto(_Listed):
    """A photo whose faces are known; the module's docstring says what each key is."""

    boxes: tuple[Four, ...]
    points: tuple[Points | None, ...] | None = None
    ignore: tuple[Four, ...] = ()

    def __post_init__(self) -> None:
        points = self.points or ()
        if (points and len(points) != len(self.boxes)) or any(face and len(face) != 5 for face in points):
            raise ValueError("it must have five points, or null, for each box")
        if any(right <= left or bottom <= top for left, top, right, bottom in (*self.boxes, *self.ignore)):
            raise ValueError("a box must have its left before its right, and its top above its bottom")


@dataclass(frozen=True)
class HeadPhoto(_Listed):
    """A head with its label map."""

    labels: FileName
    kind: Kind


@dataclass(frozen=True)
class BackgroundPhoto(_Listed):
    """A photo without a face."""

    hard: Flag = False


@dataclass(frozen=True)
class RealPhotos:
    """A folder of such photos, read.

    Attributes:
        root: the folder; names of files are relative to it.
        faces, heads, backgrounds: in the order of the lists; of heads, those of the kind "parts".
    """

    root: Path
    faces: tuple[AnnotatedPhoto, ...]
    heads: tuple[HeadPhoto, ...]
    backgrounds: tuple[BackgroundPhoto, ...]

    @classmethod
    def load(cls, root: Path) -> "RealPhotos":
        """Read the three lists.

        Raises:
            SourceError: one is missing or malformed.
        """
        faces = _lines(root / "faces.jsonl", AnnotatedPhoto)
        heads = tuple(head for head in _lines(root / "heads.jsonl", HeadPhoto) if head.kind == "parts")
        return cls(root, faces, heads, _lines(root / "backgrounds.jsonl", BackgroundPhoto))


def open_heads(root: Path, kind: Kind) -> FileSource:
    """Open the heads of one kind, with their label maps.

    Raises:
        SourceError: their list is missing, malformed, or has none.
    """
    heads = {Path(head.file).stem: head for head in _lines(root / "heads.jsonl", HeadPhoto) if head.kind == kind}
    if not heads:
        raise SourceError(f"{printable(root / 'heads.jsonl')} lists no head of the kind {kind}: {REMEDY}")
    names = HEADS[kind]
    splits = {split: [name for name, head in heads.items() if head.split == split] for split in SPLITS}
    provenance = Provenance(f"heads-{kind}", root.resolve().name, SPLIT_RULE)
    reader = partial(_read_head, root, heads, len(names))
    return FileSource(splits, provenance, LabelSet(names, distinct_colours(len(names))), reader)


def _read_head(root: Path, heads: Mapping[str, HeadPhoto], classes: int, _: str, name: str) -> Sample:
    head = heads[name]
    return Sample(name, read_any_photo(root / head.file), read_labels(root / head.labels, classes))


def _lines(path: Path, kind: type[Listed]) -> tuple[Listed, ...]:
    if not path.is_file():
        raise SourceError(f"{printable(path)} is missing: {REMEDY}")
    lines: list[Any] = read_text(path, SourceError, REMEDY).splitlines()
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    found = tuple(json_in(line, kind, f"{path}, line {number}", SourceError, REMEDY) for number, line in numbered)
    if not found:
        raise SourceError(f"{printable(path)} lists no photo: {REMEDY}")
    return found
