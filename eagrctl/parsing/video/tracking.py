"""Faces from frame to frame: who is who, where a detector trembles or blinks.

A face is the same as one of the frame before if both lie in one place: by the overlap of their boxes and the distance
of their points, and so that all pairs together fit best. One that is missing in up to `GAP` frames between two is taken
to have moved evenly in between. Where it stands is then smoothed along time by a one-euro filter (Casiez et al., CHI
2012): the slower a face moves, the longer the average, so that a still one does not tremble and a quick one does not
lag.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from eagrctl.faces.found import FoundFace

GAP = 5  # frames at most, between two in which a face was found
FARTHEST = 1.0  # of a face's height: so far it moves from one frame to the next, at most
SLOWEST = 0.5  # Hz: what a still face's place is cut off at
QUICKER = 2.0  # how much that grows with speed, in Hz for each height of the face a second
OF_SPEED = 1.0  # Hz: what the speed itself is cut off at

Item = TypeVar("Item")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face in a frame, and whose it is: one number for one face of a film."""

    number: int
    face: FoundFace


@dataclass
class OneEuro:
    """The filter, of several values at once."""

    value: Floats | None = None
    speed: Floats = field(default_factory=lambda: np.zeros(0))
    time: float = 0.0

    def __call__(self, values: Floats, time: float, unit: float) -> Floats:
        """The smoothed values of a time, in seconds; `unit` is what speed is measured in."""
        elapsed = time - self.time
        if self.value is None or elapsed <= 0:
            self.value, self.speed, self.time = values, np.zeros_like(values), time
            return values
        # Where a value was not known, it begins anew.
        before = np.where(np.isfinite(self.value), self.value, values)
        moved = np.nan_to_num((values - before) / (elapsed * unit))
        self.speed = self.speed + _share(np.array(OF_SPEED), elapsed) * (moved - self.speed)
        share = _share(SLOWEST + QUICKER * np.abs(self.speed), elapsed)
        self.value, self.time = before + share * (values - before), time
        return self.value


def _share(cutoff: Floats, elapsed: float) -> Floats:
    """What a new value weighs in an average of this cutoff, in Hz."""
    slow = 1 / (2 * math.pi * cutoff)
    weight: Floats = 1 / (1 + slow / elapsed)
    return weight


@dataclass
class _Track:
    number: int
    last: FoundFace
    missed: int = 0


@dataclass(eq=False)
class _Waiting(Generic[Item]):
    item: Item
    seconds: float
    faces: list[TrackedFace]


class Tracker:
    """Tells faces apart and steadies them, frame by frame."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0
        self._filters: dict[int, tuple[OneEuro, OneEuro]] = {}

    def follow(self, frames: Iterable[tuple[Item, float, list[FoundFace]]]) -> Iterator[tuple[Item, list[TrackedFace]]]:
        """Give each frame with its faces, smoothed and numbered, up to `GAP` frames later than it came.

        Args:
            frames: each with its time in seconds, and the faces that were found in it.
        """
        waiting: deque[_Waiting[Item]] = deque()
        for item, seconds, faces in frames:
            waiting.append(_Waiting(item, seconds, []))
            self._match(faces, waiting)
            # A frame waits while a face that is missing in it may still come back.
            while waiting and all(track.missed < len(waiting) for track in self._tracks):
                yield self._smoothed(waiting.popleft())
        while waiting:
            yield self._smoothed(waiting.popleft())

    def _match(self, faces: list[FoundFace], waiting: deque[_Waiting[Item]]) -> None:
        """Find out whose the faces of the newest frame are."""
        costs = np.array([[_apart(track.last, face) for face in faces] for track in self._tracks])
        pairs = zip(*linear_sum_assignment(costs), strict=True) if costs.size else ()
        known = {int(place): self._tracks[row] for row, place in pairs if costs[row, place] < FARTHEST}
        seen = set()
        for place, face in enumerate(faces):
            track = known.get(place)
            if track is None:
                track = _Track(self._count, face)
                self._count += 1
                self._tracks.append(track)
            # The frames in between, oldest first; the newest is the last of those that wait.
            for step in range(1, track.missed + 1):
                part = step / (track.missed + 1)
                between = waiting[len(waiting) - 2 - track.missed + step]
                between.faces.append(TrackedFace(track.number, _between(track.last, face, part)))
            track.last, track.missed = face, 0
            seen.add(track.number)
            waiting[-1].faces.append(TrackedFace(track.number, face))
        for track in self._tracks:
            track.missed += track.number not in seen
        self._tracks = [track for track in self._tracks if track.missed <= GAP]

    def _smoothed(self, frame: _Waiting[Item]) -> tuple[Item, list[TrackedFace]]:
        kept = {track.number for track in self._tracks} | {tracked.number for tracked in frame.faces}
        self._filters = {number: each for number, each in self._filters.items() if number in kept}
        faces = []
        for tracked in frame.faces:
            face = tracked.face
            points, box = self._filters.setdefault(tracked.number, (OneEuro(), OneEuro()))
            steady = replace(
                face,
                landmarks=points(face.landmarks, frame.seconds, _height(face)),
                box=box(face.box, frame.seconds, _height(face)),
            )
            faces.append(TrackedFace(tracked.number, steady))
        # As photos have them: the largest first.
        faces.sort(key=lambda tracked: -_height(tracked.face))
        return frame.item, faces


def _height(face: FoundFace) -> float:
    return max(1.0, float(face.box[3] - face.box[1]))


def _apart(one: FoundFace, other: FoundFace) -> float:
    """How little two faces look like one that moved: 0 in one place, 1 and more where they cannot be."""
    height = min(_height(one), _height(other))
    distances = np.linalg.norm(one.landmarks - other.landmarks, axis=1)
    middle = 0.5 * np.linalg.norm(one.box[:2] + one.box[2:] - other.box[:2] - other.box[2:])
    distance = float(np.nanmean(distances)) if np.isfinite(distances).any() else float(middle)
    grown = max(_height(one), _height(other)) / height
    return distance / height + (grown - 1) + 0.5 * (1 - _overlap(one.box, other.box))


def _overlap(one: Floats, other: Floats) -> float:
    """Intersection over union of two boxes."""
    corners = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(0, corners[1] - corners[0])))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return shared / max(1e-9, sum(areas) - shared)


def _between(one: FoundFace, other: FoundFace, part: float) -> FoundFace:
    """A face on its even way from one place to another."""
    return replace(
        other,
        box=one.box + part * (other.box - one.box),
        landmarks=one.landmarks + part * (other.landmarks - one.landmarks),
        confidence=min(one.confidence, other.confidence),
    )
