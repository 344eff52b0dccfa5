"""Photos with annotated faces, heads with label maps, and photos without a face: what a detector learns from.

The layout: three folders, `faces/`, `heads/` and `backgrounds/`, and beside each a list of the same name that ends in
`.jsonl`, a line of JSON for each photo:

* faces: `file`; `boxes`, each left, top, right and bottom in pixels; `points`, five for each box or null; `ignore`,
  boxes of what may be faces, but nobody annotated.
* heads: `file`, `labels` (a label map), and `kind`: "parts" (`PARTS` are its classes) or "hair", which is passed over.
* backgrounds: `file`, and whether it is `hard`.

A hash of its file's name decides whose a photo is: eight in ten are to learn from, one to choose by, one to test on.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from eagrctl.documents import FileName, Flag, Number, Versioned, json_in, read_text
from eagrctl.errors import SourceError
from eagrctl.files import printable

PARTS = ("background", "hair", "skin", "hat", "glasses", "sunglasses", "clothes")
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
    kind: Literal["parts", "hair"]


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


def _lines(path: Path, kind: type[Listed]) -> tuple[Listed, ...]:
    if not path.is_file():
        raise SourceError(f"{printable(path)} is missing: {REMEDY}")
    lines: list[Any] = read_text(path, SourceError, REMEDY).splitlines()
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    found = tuple(json_in(line, kind, f"{path}, line {number}", SourceError, REMEDY) for number, line in numbered)
    if not found:
        raise SourceError(f"{printable(path)} lists no photo: {REMEDY}")
    return found
