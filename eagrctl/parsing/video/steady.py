"""A film whose labels do not flicker: faces are tracked, and what the network says of each is averaged along time.

What is averaged are the logits in the face's own frame, into which its smoothed matrix has brought it, so that a head
that moves takes its average along. Where the picture there changes, as at lips that speak, the newest frame alone
counts: the weight of what was before falls with the change, place by place.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import shift, uniform_filter
from skimage.registration import phase_cross_correlation

from eagrctl.arrays import Pixels
from eagrctl.data.augment import LUMA
from eagrctl.faces.found import FoundFace
from eagrctl.parsing.labelling import label_face
from eagrctl.parsing.parsed import ParsedFace
from eagrctl.parsing.pipeline import Pipeline, PlacedPhoto, working_threads
from eagrctl.parsing.placing import Placer, Square
from eagrctl.parsing.video.tracking import TrackedFace, Tracker

LEAST = 0.5  # what the newest frame weighs where nothing changes
FINENESS = 20  # parts of a step of the grid, to which the move from frame to frame is found
FURTHEST = 0.1  # of the grid's side: a move beyond is none, but another picture
STILL, CHANGED = 4.0, 14.0  # of 255: change in brightness below which nothing does, and above which all does

Floats = NDArray[np.float32]

_NOTHING = np.empty((0, 0, 3), np.uint8)


@dataclass(eq=False)
class FaceMemory:
    """What is known of a face from the frames before: logits, and brightness at their points."""

    logits: Floats
    brightness: Floats

    def moved_to(self, brightness: Floats) -> "FaceMemory":
        """The same, shifted to where it looks most like the next frame: a smoothed place lags behind a face."""
        window = np.outer(*(np.hanning(side + 2)[1:-1] for side in brightness.shape))
        pictures = [(each - each.mean()) * window for each in (brightness, self.brightness)]
        with np.errstate(invalid="ignore", divide="ignore"):
            offset = phase_cross_correlation(*pictures, upsample_factor=FINENESS, normalization=None)[0]
        if np.abs(offset).max() > FURTHEST * min(brightness.shape):
            return self
        by = partial(shift, order=3, mode="nearest")
        return FaceMemory(by(self.logits, (0, *offset)), by(self.brightness, offset))


@dataclass(eq=False)
class FilmMemory:
    """What is known of a film up to a frame: another run goes on from there as if it were the same.

    Attributes:
        found: of each frame its time in seconds, and the faces that the detector found in it.
        faces: by the numbers of those that were there last.
    """

    found: list[tuple[float, list[FoundFace]]] = field(default_factory=list)
    faces: dict[int, FaceMemory] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Tracked:
    """A frame with its faces."""

    photo: Pixels
    faces: list[TrackedFace]


class Steadier:
    """Averages what the network says of each face along time.

    Args:
        known: what is known of the faces before the first frame, by their numbers.

    Attributes:
        known: the same after the last frame.
    """

    def __init__(self, known: Mapping[int, FaceMemory] | None = None) -> None:
        self.known: Mapping[int, FaceMemory] = known or {}

    def steady(
        self, numbers: Sequence[int], squares: Sequence[Square], faces: Sequence[ParsedFace]
    ) -> list[ParsedFace]:
        """The faces of the next frame, with labels by the averaged logits.

        Args:
            numbers: whose the faces are.
            squares: what the network has seen of them.
            faces: what it said.
        """
        found, known = [], {}
        for number, square, face in zip(numbers, squares, faces, strict=True):
            assert face.logits is not None
            brightness = _brightness(square.pixels, (face.logits.shape[1], face.logits.shape[2]))
            memory, logits = self.known.get(number), face.logits
            # Another number of looks gives another grid.
            if memory is not None and memory.logits.shape == logits.shape:
                memory = memory.moved_to(brightness)
                change = uniform_filter(np.abs(brightness - memory.brightness), 3, mode="nearest")
                share = LEAST + (1 - LEAST) * np.clip((change - STILL) / (CHANGED - STILL), 0, 1)
                logits = memory.logits + share * (logits - memory.logits)
                brightness = memory.brightness + share * (brightness - memory.brightness)
                steady = label_face(square, torch.from_numpy(logits), face.size, face.matrices, face.probabilities)
            else:
                steady = face
            known[number] = FaceMemory(logits, brightness)
            found.append(steady)
        self.known = known
        return found


def _brightness(pixels: Pixels, grid: tuple[int, int]) -> Floats:
    """The brightness of a square, averaged around the points of a grid of (height, width), 0..255."""
    grey = torch.from_numpy((pixels @ np.array(LUMA)).astype(np.float32))[None, None]
    pooled = torch.nn.functional.adaptive_avg_pool2d(grey, grid)
    found: Floats = pooled[0, 0].numpy()
    return found


def parse_film(
    frames: Iterable[tuple[Pixels, float]],
    placer: Placer,
    label: Callable[[Sequence[Square]], list[ParsedFace]],
    batch: int,
    device: torch.device,
    workers: int,
    memory: FilmMemory | None = None,
) -> Generator[tuple[Pixels, list[ParsedFace]], None, None]:
    """The faces of a film, frame by frame, in order.

    Args:
        frames: (H, W, 3) uint8 each, with its time in seconds.
        placer: finds faces, and cuts out squares.
        label: the network.
        batch: the most faces that are labelled together.
        device: where the network runs.
        workers: threads that find faces, and as many that label them.
        memory: of the frames before the first of these; with each frame that is given, it becomes that after it.
    """
    memory = memory or FilmMemory()
    before = tuple(memory.found)
    tracker, steadier = Tracker(), Steadier(memory.faces)
    numbers: deque[list[int]] = deque()
    found: deque[tuple[float, list[FoundFace]]] = deque()

    def detected() -> Iterator[tuple[Pixels, float, list[FoundFace]]]:
        for photo, seconds, faces in _found(frames, placer, workers):
            found.append((seconds, faces))
            yield photo, seconds, faces

    def tracked() -> Iterator[_Tracked]:
        # Frames before these are followed once more, though nobody looks at them: whose a face is depends on them.
        known = ((_NOTHING, seconds, faces) for seconds, faces in before)
        for photo, faces in islice(tracker.follow(chain(known, detected())), len(before), None):
            numbers.append([each.number for each in faces])
            yield _Tracked(photo, faces)

    def cut(frame: _Tracked) -> PlacedPhoto:
        return PlacedPhoto(frame.photo, [placer.square(frame.photo, each.face) for each in frame.faces])

    pipeline = Pipeline(cut, label, batch, device, workers)
    for placed, faces in pipeline.run(tracked()):
        assert isinstance(placed, PlacedPhoto)
        steady = steadier.steady(numbers.popleft(), placed.squares, faces)
        memory.found.append(found.popleft())
        memory.faces = dict(steadier.known)
        yield placed.photo, steady


def _found(
    frames: Iterable[tuple[Pixels, float]], placer: Placer, workers: int
) -> Iterator[tuple[Pixels, float, list[FoundFace]]]:
    """The faces that a detector finds in each frame, which several threads look at."""
    coming = iter(frames)
    under_way: deque[tuple[Pixels, float, Future[list[FoundFace]]]] = deque()
    with working_threads(workers, max(1, torch.get_num_threads() // workers)) as pool:
        while True:
            for photo, seconds in islice(coming, 2 * workers - len(under_way)):
                under_way.append((photo, seconds, pool.submit(placer.find, photo)))
            if not under_way:
                return
            photo, seconds, faces = under_way.popleft()
            yield photo, seconds, faces.result()
