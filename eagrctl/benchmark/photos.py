"""How fast whole photos are parsed: part by part, and as a whole."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from eagrctl.arrays import Pixels
from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, Progress, ignore
from eagrctl.faces.found import FaceFinder, FoundFace
from eagrctl.faces.photo import read_any_photo
from eagrctl.inference.clock import Clock
from eagrctl.inference.predict import Segmenter
from eagrctl.parsing.labelling import label_face
from eagrctl.parsing.merging import merge_faces
from eagrctl.parsing.parsed import Failed
from eagrctl.parsing.parser import FaceParser
from eagrctl.parsing.placing import Placer

READ, FIND, ALIGN, NETWORK, MAP = "read", "find faces", "align", "network", "map back"
PARTS = (READ, FIND, ALIGN, NETWORK, MAP)


@dataclass(frozen=True)
class PhotoSpeed:
    """Parsing whole photos.

    Attributes:
        photos: how many.
        faces: found in them.
        seconds: by part, one photo after the other.
        together: seconds of `FaceParser.parse_many` for all of them.
    """

    photos: int
    faces: int
    seconds: dict[str, float]
    together: float

    @property
    def faces_per_second(self) -> float:
        """The whole: reading, finding and mapping included."""
        return self.faces / self.together


class _TimedPlacer(Placer):
    """Tells finding from aligning."""

    def __init__(self, size: int, finder: FaceFinder | None, clock: Clock) -> None:
        super().__init__(size, "faces", finder)
        self._clock = clock

    def find(self, photo: Pixels) -> list[FoundFace]:
        with self._clock.part(FIND):
            return super().find(photo)


def faces_of(photos: Sequence[Path], size: int, finder: FaceFinder | None) -> list[Pixels]:
    """The faces of photos as a network of this input size sees them, (size, size, 3) uint8 each.

    Raises:
        SourceError: a photo that cannot be read.
        EagrctlError: no face in any of them.
    """
    placer = Placer(size, "faces", finder)
    found = [face.pixels for path in photos for face in placer.place(read_any_photo(path))]
    if not found:
        raise EagrctlError(
            f"no face was found in {len(photos)} photo{'s' * (len(photos) > 1)}: name a folder of photos that show some"
        )
    return found


@torch.inference_mode()
def measure_photos(
    parser: FaceParser,
    predictor: Segmenter,
    photos: Sequence[Path],
    listener: Listener = ignore,
) -> PhotoSpeed:
    """Parse photos part by part, one after the other, then as a whole with what `FaceParser` does side by side.

    Args:
        parser: what `eagrctl parse` uses.
        predictor: the same network.
        photos: files, each of which can be read.
        listener: hears of progress.

    Raises:
        EagrctlError: a photo that cannot be read.
    """
    clock = Clock(PARTS, predictor.device)
    placer = _TimedPlacer(parser.size, parser.finder, clock)
    parser.parse(photos[0])  # warms up
    count = 0
    for number, path in enumerate(photos):
        with clock.part(READ):
            photo = read_any_photo(path)
        with clock.part(ALIGN):
            placed = placer.place(photo)
        if placed:
            with clock.part(NETWORK):
                logits = predictor.logits([face.pixels for face in placed])
            with clock.part(MAP):
                faces = [label_face(*each, parser.size) for each in zip(placed, logits, strict=True)]
                merge_faces(faces, photo.shape[:2])
        count += len(placed)
        listener(Progress("photos, part by part", number + 1, len(photos)))
    clock.seconds[ALIGN] -= clock.seconds[FIND]  # which is within it
    start = time.perf_counter()
    for parsed in parser.parse_many(iter(photos)):
        if isinstance(parsed, Failed):
            raise parsed.error
    return PhotoSpeed(len(photos), count, clock.seconds, time.perf_counter() - start)
