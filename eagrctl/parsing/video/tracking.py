"""Faces from frame to frame: who is who, where a detector trembles or blinks.

A face is the same as one of the frame before if both lie in one place: by the overlap of their boxes and the distance
of their points, and so that all pairs together fit best. One that is missing in up to `GAP` frames between two is taken
to have moved evenly in between. Where it stands is then smoothed along time, by the parabola that fits the frames
before and behind best: it lags behind no face that moves, as an average of what was would, and follows one that turns
back.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from eagrctl.faces.found import FoundFace

GAP = 5  # frames at most, between two in which a face was found
FARTHEST = 1.0  # of a face's height: so far it moves from one frame to the next, at most
AROUND = 6  # frames before, and behind as far as they have come, by which a place is smoothed

Item = TypeVar("Item")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face in a frame, and whose it is: one number for one face of a film."""

    number: int
    face: FoundFace


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

    def follow(self, frames: Iterable[tuple[Item, float, list[FoundFace]]]) -> Iterator[tuple[Item, list[TrackedFace]]]:
        """Give each frame with its faces, smoothed and numbered, `GAP` frames later than it came.

        Args:
            frames: each with its time in seconds, and the faces that were found in it.
        """
        waiting: deque[_Waiting[Item]] = deque()
        gone: deque[_Waiting[Item]] = deque(maxlen=AROUND)

        def first() -> tuple[Item, list[TrackedFace]]:
            steady = _smoothed(waiting[0], [*gone, *islice(waiting, AROUND + 1)])
            gone.append(waiting.popleft())
            return gone[-1].item, steady

        for item, seconds, faces in frames:
            waiting.append(_Waiting(item, seconds, []))
            self._match(faces, waiting)
            if len(waiting) > GAP:
                yield first()
        while waiting:
            yield first()

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


def _smoothed(frame: _Waiting[Item], around: Sequence[_Waiting[Item]]) -> list[TrackedFace]:
    """The faces of a frame, each where a parabola through its places in frames around it has it; the largest first."""
    faces = []
    for tracked in frame.faces:
        near = [
            (other.seconds - frame.seconds, each.face)
            for other in around
            for each in other.faces
            if each.number == tracked.number
        ]
        times = np.array([time for time, _ in near])
        curve = np.linalg.pinv(np.vander(times, 3, increasing=True))[0]  # weights, which give its value here
        # A point that is not known in a frame around is left where it was found.
        points = np.einsum("f,fpx->px", curve, [face.landmarks for _, face in near])
        known = np.isfinite(points)
        box = np.einsum("f,fb->b", curve, [face.box for _, face in near])
        face = replace(tracked.face, box=box, landmarks=np.where(known, points, tracked.face.landmarks))
        faces.append(TrackedFace(tracked.number, face))
    return sorted(faces, key=lambda tracked: -_height(tracked.face))


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
