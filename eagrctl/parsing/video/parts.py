"""What an interrupted film leaves for the same command to go on from: its parts that are whole.

They lie in a hidden folder beside the results, which is taken away when the film is done:

* `frames/000001.png` and so on: labels.
* `0000.json`: what was found in the frames of the first part, by the detector too; written last, so that a part is
  whole where it is there.
* `0000.nut`: the overlay of these frames.
* `0000.safetensors`: what `eagrctl.parsing.video.steady` knows of each face after the last of them.

All of it is of one video, parsed in one way, which a key tells; what is of another, or damaged, counts as nothing.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from eagrctl.documents import Count, Number, Text, Versioned, read_json_or_none
from eagrctl.errors import SourceError
from eagrctl.faces.found import FoundFace
from eagrctl.files import replacing
from eagrctl.locks import locked
from eagrctl.parsing.record import Record, compact
from eagrctl.parsing.video.steady import FaceMemory, FilmMemory, Floats

LENGTH = 100  # frames of a part

Point = tuple[Number | None, Number | None]


@dataclass(frozen=True)
class _Face(Versioned):
    """A face as the detector found it; None is a coordinate that it does not know."""

    box: tuple[Number, Number, Number, Number]
    confidence: Number
    landmarks: Annotated[tuple[Point, ...], Field(min_length=5, max_length=5)]
    look: Count | None = None

    @classmethod
    def of(cls, face: FoundFace) -> Record:
        points = [[None if np.isnan(each) else each for each in point] for point in face.landmarks.tolist()]
        return {"box": face.box.tolist(), "confidence": float(face.confidence), "landmarks": points, "look": face.look}

    def found(self) -> FoundFace:
        points = np.array([[np.nan if each is None else each for each in point] for point in self.landmarks])
        return FoundFace(np.array(self.box), self.confidence, points, self.look)


@dataclass(frozen=True)
class _Frame(Versioned):
    seconds: Number
    faces: tuple[_Face, ...]


@dataclass(frozen=True)
class _Part(Versioned):
    key: Text
    size: tuple[Count, Count]
    frames: tuple[dict[str, Any], ...]
    occurring: tuple[Count, ...]
    found: tuple[_Frame, ...]


class Parts:
    """The whole parts of a film.

    Attributes:
        frames: the folder of labels.
        count: of whole parts.
        last: the number of their last frame; 0 where there is none.
        size: height and width of the frames; None where there are none.
        occurring: ids of the classes in them.
        done, faces: how many frames they have, and how many faces were found in these.
        memory: what is known after their last frame.
    """

    def __init__(self, folder: Path, key: str, overlay: bool) -> None:
        self._folder, self._key, self._overlay = folder, key, overlay
        self.frames = folder / "frames"
        self.count = self.last = self.done = self.faces = 0
        self.size: tuple[int, int] | None = None
        self.occurring: set[int] = set()
        self._numbers: list[int] = []
        self.memory = FilmMemory()
        while (part := self._read(self.count)) is not None:
            self._count(part.size, part.frames, part.occurring)
            self.memory.found += [(each.seconds, [face.found() for face in each.faces]) for each in part.found]
        memory = self._remembered() if self.memory.found else {}
        if not self.count or memory is None:
            self._begin()
        else:
            self.memory.faces = memory
            self._end()

    def film(self, number: int) -> Path:
        """Where the overlay of a part stands, by its number from 0."""
        return self._folder / f"{number:04}.nut"

    @property
    def films(self) -> list[Path]:
        """The overlays of all parts."""
        return [self.film(number) for number in range(self.count)]

    def picture(self, frame: int) -> Path:
        """Where the labels of a frame stand, by its number."""
        return self.frames / f"{frame:06}.png"

    def add(self, size: tuple[int, int], frames: Sequence[Record], occurring: set[int]) -> None:
        """The part is whole, all of whose labels and whose overlay are written: note it.

        Args:
            size: height and width.
            frames: what a film's JSON says of each.
            occurring: ids of the classes in them.

        `memory` is by now that after the last of them; OSError where it cannot be written.
        """
        found = self.memory.found[self.done :]
        seen = [{"seconds": seconds, "faces": [_Face.of(face) for face in faces]} for seconds, faces in found]
        tensors: dict[str, Floats] = {}
        for number, face in self.memory.faces.items():
            tensors |= {f"{number}.logits": face.logits, f"{number}.brightness": face.brightness}
        with replacing(self._memory(self.count)) as temporary:
            save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, temporary)
        content = {"key": self._key, "size": size, "frames": frames, "occurring": sorted(occurring), "found": seen}
        with replacing(self._record(self.count)) as temporary:
            temporary.write_text(compact(content), encoding="utf-8")
        if self.count:
            self._memory(self.count - 1).unlink(missing_ok=True)
        self._count(size, frames, occurring)

    def records(self) -> Iterator[Record]:
        """What a film's JSON says of each frame; OSError where a part cannot be read any more."""
        for number in range(self.count):
            part = self._read(number)
            if part is None:
                raise OSError(f"{self._record(number)} was changed meanwhile")
            yield from part.frames

    def _count(self, size: tuple[int, int], frames: Sequence[Record], occurring: Sequence[int] | set[int]) -> None:
        self.size = size
        self.occurring.update(occurring)
        self.count += 1
        self._numbers += [frame["frame"] for frame in frames]
        self.last = self._numbers[-1]
        self.done += len(frames)
        self.faces += sum(len(frame["faces"]) for frame in frames)

    def _begin(self) -> None:
        """Take everything away, but for the lock, and begin."""
        for path in self._folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif not path.name.startswith("."):
                path.unlink()
        self.frames.mkdir()
        self.count = self.last = self.done = self.faces = 0
        self.size, self.occurring, self._numbers, self.memory = None, set(), [], FilmMemory()

    def _end(self) -> None:
        """Take away what lies behind the last whole part: nothing is written through links, or over other things."""
        kept = {self._record(number) for number in range(self.count)} | {*self.films, self._memory(self.count - 1)}
        kept |= {self.picture(number) for number in self._numbers}
        for path in (*self._folder.iterdir(), *self.frames.iterdir()):
            if path not in kept and path != self.frames and not path.name.startswith("."):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _record(self, number: int) -> Path:
        return self._folder / f"{number:04}.json"

    def _memory(self, number: int) -> Path:
        return self._folder / f"{number:04}.safetensors"

    def _read(self, number: int) -> _Part | None:
        """A whole part; None where it is none, or of something else."""
        part = read_json_or_none(self._record(number), _Part)
        if part is None or part.key != self._key or not part.frames or self.frames.is_symlink():
            return None
        if part.found and len(part.found) != len(part.frames):
            return None
        for frame in part.frames:
            whole = isinstance(frame.get("frame"), int) and isinstance(frame.get("faces"), list)
            if not whole or not _is_own(self.picture(frame["frame"])):
                return None
        return part if not self._overlay or _is_own(self.film(number)) else None

    def _remembered(self) -> dict[int, FaceMemory] | None:
        """What is known of each face after the last part; None where that is damaged."""
        try:
            tensors = load_file(self._memory(self.count - 1))
        except (OSError, SafetensorError):
            return None
        faces = {}
        for name, logits in tensors.items():
            number = re.fullmatch(r"([0-9]{1,9})\.logits", name)
            if number is None:
                continue
            brightness = tensors.get(f"{number[1]}.brightness")
            arrays = [each for each in (logits, brightness) if each is not None and each.dtype == np.float32]
            if len(arrays) < 2 or [each.ndim for each in arrays] != [3, 2] or logits.shape[1:] != arrays[1].shape:
                return None
            faces[int(number[1])] = FaceMemory(*arrays)
        return faces


def _is_own(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


@contextmanager
def parts_of(where: Path, name: str, key: object, overlay: bool) -> Iterator[Parts]:
    """The parts of a film, which are kept when the block is interrupted, and else taken away.

    Args:
        where: the folder of its results.
        name: of the film among them.
        key: what tells it, and the way it is parsed, from all others; as JSON.
        overlay: whether a part needs one.

    Raises:
        SourceError: another process parses it into the same folder.
        OSError: something cannot be written.
    """
    folder = where / f".eagrctl-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}.film"
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    folder.mkdir(exist_ok=True)
    with locked(folder, SourceError):
        parts = Parts(folder, hashlib.sha256(compact(key).encode()).hexdigest(), overlay)
        try:
            yield parts
        except SourceError:  # the film ends here, next time as well
            shutil.rmtree(folder)
            raise
        except BaseException:
            if not parts.count:
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)
