"""A face that was found in a photo, how it is turned, and what finds faces."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Landmarks, Pixels

# How far the tip of the nose lies before the plane of eyes and mouth, as a share of the distance from the eyes to the
# mouth: 28 of 66 mm in an average face. Where a head turns, that moves the tip against the line between them.
NOSE = 0.42


@dataclass(frozen=True)
class FoundFace:
    """A face that was found in a photo.

    Attributes:
        box: (4,) float64, left, top, right and bottom in pixels; it reaches beyond the photo where the border cuts a
            face.
        confidence: the detector's: 0..1, or above zero for dlib's.
        landmarks: (5, 2) float64, in pixels of the photo; NaN where the detector does not know one.
        look: the photo's longer side, in pixels, when the face was found; None where that is not told.
    """

    box: NDArray[np.float64]
    confidence: float
    landmarks: Landmarks
    look: int | None = None

    @property
    def roll(self) -> float | None:
        """How far the face is turned in the photo, clockwise, in degrees, -180..180; None where it is not known."""
        return roll_of(self.landmarks)

    @property
    def yaw(self) -> float | None:
        """How far the head is turned to the viewer's right, roughly, in degrees, -90..90; None where not known."""
        return yaw_of(self.landmarks)


def roll_of(landmarks: Landmarks) -> float | None:
    """The angle of the line through the eyes, clockwise, in degrees; None without both eyes."""
    across = landmarks[1] - landmarks[0]
    if not np.isfinite(across).all() or not across.any():
        return None
    return math.degrees(math.atan2(across[1], across[0]))


def yaw_of(landmarks: Landmarks) -> float | None:
    """How far a head is turned, by how far its nose lies beside the line from the eyes to the mouth.

    In degrees, above zero to the viewer's right; None where a landmark is not known.
    """
    if not np.isfinite(landmarks).all():
        return None
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    down = mouth - eyes
    length = math.hypot(*down)
    if not length:
        return None
    beside = (landmarks[2] - eyes) @ np.array([down[1], -down[0]]) / length
    return math.degrees(math.asin(float(np.clip(beside / (NOSE * length), -1, 1))))


class FaceFinder(Protocol):
    """What finds faces and their landmarks in photos; pickled to worker processes."""

    @property
    def description(self) -> str:
        """In words, for indexes and reports."""

    @property
    def identity(self) -> str:
        """Tells it from all others, contents of files included."""

    def find(self, image: Pixels, near: Landmarks | None = None) -> Landmarks | None:
        """The landmarks of the face that is meant in an image, (H, W, 3) uint8 RGB; None where no face is found.

        `near` is that of `choose_face`.
        """

    def find_all(self, image: Pixels) -> list[FoundFace]:
        """All faces in a photo, (H, W, 3) uint8 RGB of any size, the largest first."""


def choose_face(
    boxes: NDArray[np.float64],
    confidences: NDArray[np.float64],
    image_size: tuple[int, int],
    near: Landmarks | None = None,
    doubtful: float = 0.25,
) -> int | None:
    """Which of several detected faces is meant.

    Args:
        boxes: (N, 4).
        confidences: (N,).
        image_size: height and width.
        near: (5, 2) float64, known landmarks in the image's frame, NaN where unknown: a face must hold one of them, and
            the one that holds most is meant. Without any, it is the largest and most central face.
        doubtful: where one face is meant, boxes below this share of the best confidence count as false. With dlib,
            upsampled, scikit-image's astronaut has a face at 1.16 and a patch of her suit at 0.12.

    Returns:
        The row of `boxes`; None where there is none, or none that holds a known landmark.
    """
    if not len(boxes):
        return None
    height, width = image_size
    upper, lower = boxes[:, :2], boxes[:, 2:]
    middle = 0.5 * np.array([width - 1, height - 1])
    distance = np.linalg.norm(0.5 * (upper + lower) - middle, axis=1) / (0.5 * np.hypot(width, height))
    merit = np.prod(lower - upper, axis=1) * np.clip(1 - distance, 0, None)
    known = np.empty((0, 2)) if near is None else near[np.isfinite(near).all(axis=1)]
    if len(known):
        held = ((known >= upper[:, None]) & (known <= lower[:, None])).all(axis=2).sum(axis=1)
        eligible = (held > 0) & (held == held.max())
    else:
        eligible = confidences >= doubtful * confidences.max()
    return int(np.argmax(np.where(eligible, merit, -1))) if eligible.any() else None
