"""What parsing a photo gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eagrctl.data.sample import Matrix, Pixels


@dataclass(frozen=True)
class ParsedFace:
    """One face of a photo.

    Attributes:
        matrix: (2, 3) float64, takes a point (x, y, 1) of the photo to the network's input.
        window: top, left, bottom and right, in the photo's pixels: the part of the photo that the network has seen,
            at most the photo itself; bottom and right lie one beyond the last row and column.
        labels: (bottom - top, right - left) uint8, this face's classes in its window, background where it ends.
        aligned: whether landmarks put the face in place; else the network saw the photo as a whole.
        box: left, top, right and bottom in the photo's pixels, as the detector found the face; None without a detector.
        confidence: the detector's, above zero; None without one.
        landmarks: (5, 2) float64, x and y in the photo: centres of the viewer's left and right eye, tip of the nose,
            viewer's left and right corner of the mouth; NaN where unknown. None without a detector.
        probabilities: (N, h, w) float32, 0..1, of each class at each point of the network's output, whose corners are
            those of its input; None unless asked for.
    """

    matrix: Matrix
    window: tuple[int, int, int, int]
    labels: Pixels
    aligned: bool = True
    box: tuple[float, float, float, float] | None = None
    confidence: float | None = None
    landmarks: NDArray[np.float64] | None = None
    probabilities: NDArray[np.float32] | None = None

    def in_photo(self, size: tuple[int, int]) -> Pixels:
        """This face's labels in the whole photo of (height, width), uint8; background outside the window."""
        labels = np.zeros(size, np.uint8)
        top, left, bottom, right = self.window
        labels[top:bottom, left:right] = self.labels
        return labels


@dataclass(frozen=True)
class ParsedPhoto:
    """All faces of a photo, merged.

    Attributes:
        labels: (H, W) uint8, the class of each of the photo's pixels; background where no face is.
        classes: their names, by id.
        faces: largest first; empty where none was found.
        shares: of the photo's pixels that each class has, 0..1, by name.
    """

    labels: Pixels
    classes: tuple[str, ...]
    faces: tuple[ParsedFace, ...] = ()
    shares: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        shares = {name: float(count / self.labels.size) for name, count in zip(self.classes, counts, strict=True)}
        object.__setattr__(self, "shares", shares)
