"""What parsing gives: faces, photos, and how it went."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Landmarks, Matrix, Pixels
from eagrctl.errors import EagrctlError
from eagrctl.faces.found import roll_of, yaw_of
from eagrctl.parsing.photos import Photo

# What decided where a face is: landmarks; the detector's box alone, where landmarks give no alignment; the frame of a
# photo that shows one cropped face; the frame of a photo in which no face was found.
Placement = Literal["landmarks", "box", "crop", "whole"]

# Top, left, bottom and right of a part of a photo, in whole pixels; bottom and right lie one beyond its last.
Window = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class ParsedFace:
    """One face of a photo.

    Attributes:
        matrix: (2, 3) float64, takes a point (x, y, 1) of the photo to the network's input; pixel centres are integers.
        window: the part of the photo that the network has seen, at most the photo itself.
        labels: (bottom - top, right - left) uint8, this face's classes in its window, background where it ends.
        placed: what decided where the face is.
        box: left, top, right and bottom in the photo's pixels, as the detector found the face; None without a detector.
        confidence: the detector's, 0..1, or above zero for dlib's; None without one.
        landmarks: (5, 2) float64 in the photo, see `eagrctl.arrays.Landmarks`; None without a detector.
        look: the photo's longer side, in pixels, when the detector found the face; None where that is not told.
        probabilities: (N, h, w) float32, 0..1, of each class at each point of the network's output, whose corners are
            those of its input, in the closest look; None unless asked for.
        matrices: as `matrix`, for each look at the face, the closest first; see `eagrctl.parsing.frames`.
        size: side of the network's square input, in pixels.
        logits: (N, h, w) float32, of each class at each point of what all looks gave together, whose corners are those
            of the widest square; masks are made of them.
    """

    matrix: Matrix
    window: Window
    labels: Pixels
    placed: Placement = "landmarks"
    box: tuple[float, float, float, float] | None = None
    confidence: float | None = None
    landmarks: Landmarks | None = None
    look: int | None = None
    probabilities: NDArray[np.float32] | None = None
    matrices: tuple[Matrix, ...] = ()
    size: int = 0
    logits: NDArray[np.float32] | None = None

    @property
    def roll(self) -> float | None:
        """How far the face is turned in the photo, clockwise, in degrees; None where it is not known."""
        return None if self.landmarks is None else roll_of(self.landmarks)

    @property
    def yaw(self) -> float | None:
        """How far the head is turned to the viewer's right, roughly, in degrees; None where it is not known."""
        return None if self.landmarks is None else yaw_of(self.landmarks)

    def in_photo(self, size: tuple[int, ...]) -> Pixels:
        """This face's labels in the whole photo of (height, width), uint8; background outside the window."""
        labels = np.zeros(size, np.uint8)
        top, left, bottom, right = self.window
        labels[top:bottom, left:right] = self.labels
        return labels


@dataclass(frozen=True, eq=False)
class ParsedPhoto:
    """All faces of a photo, merged.

    Attributes:
        image: (H, W, 3) uint8, the photo as it was parsed: RGB, and upright, whichever way it was stored.
        labels: (H, W) uint8, the class of each of the photo's pixels; background where no face is.
        classes: their names, by id.
        faces: largest first; empty where none was found.
    """

    image: Pixels
    labels: Pixels
    classes: tuple[str, ...]
    faces: tuple[ParsedFace, ...] = ()

    @cached_property
    def shares(self) -> dict[str, float]:
        """Of the photo's pixels that each class has, 0..1, by name."""
        counts = Image.fromarray(self.labels).histogram()  # bincount would first widen all labels to 64 bits
        return {name: count / self.labels.size for name, count in zip(self.classes, counts, strict=False)}

    def mask(self, part: str, *, feather: float = 0, grow: float = 0) -> NDArray[np.float32]:
        """How far each pixel belongs to a part, (H, W) float32, 0..1; soft where the network is unsure.

        Args:
            part: a class, a group such as "lips" or "head", or several, as in "hair+hat"; see `eagrctl.parsing.masks`.
            feather: deviation of the Gaussian that softens the edge, in pixels.
            grow: how far the mask grows beyond its edge, in pixels; below 0, it shrinks.

        Raises:
            EagrctlError: no such part; or a width that no photo needs.
        """
        from eagrctl.parsing.masks import classes_of, mask_of

        wanted = frozenset().union(*(classes_of(name, self.classes) for name in part.split("+")))
        height, width = self.labels.shape
        return mask_of(self.faces, wanted, (height, width), feather, grow)

    def cutout(self, part: str, *, feather: float = 0, grow: float = 0) -> Pixels:
        """The photo, (H, W, 4) uint8, whose opacity is a mask; arguments and errors are those of `mask`."""
        from eagrctl.parsing.masks import cutout_of

        return cutout_of(self.image, self.mask(part, feather=feather, grow=grow))


@dataclass(frozen=True)
class Failed:
    """A photo that could not be parsed; `error` says in one line what was wrong with it, and what to do."""

    error: EagrctlError


@dataclass
class Tally:
    """How it went."""

    total: int = 0  # photos or videos to parse
    pictures: int = 0  # photos, or frames of videos, that were parsed now
    faces: int = 0  # that were parsed in them
    without: list[Photo] = field(default_factory=list)  # any face, a video once for each such frame
    failed: list[tuple[Photo, str]] = field(default_factory=list)  # and why
    skipped: int = 0  # done already
    seconds: float = 0.0  # that it took

    def add(self, photo: Photo, parsed: ParsedPhoto) -> None:
        """Count a photo or a frame that was parsed."""
        self.pictures += 1
        self.faces += len(parsed.faces)
        if not parsed.faces or parsed.faces[0].placed == "whole":
            self.without.append(photo)
