"""Photo -> faces -> squares, each of which shows one face as the network expects it."""

from contextlib import suppress
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Landmarks, Matrix, Pixels
from eagrctl.data.align import align_matrix, centre_matrix, resize_matrix
from eagrctl.errors import AlignmentError
from eagrctl.faces.found import FaceFinder, FoundFace
from eagrctl.geometry import invert, warp_image
from eagrctl.parsing.parsed import Placement, Window

Finding = Literal["faces", "crop", "whole"]

# Where a detector's box lies in the aligned frame, as fractions of the frame's side: its middle, and its own side.
# Medians over 393 training faces of CelebAMask-HQ, as landmarks align them; left and right averaged.
BOX_MIDDLE, BOX_SIDE = np.array([0.5, 0.617]), 0.591

# So many pixels of the shrunk photo around the network's square influence its outermost ones.
_MARGIN = 4


@dataclass(frozen=True, eq=False)
class Square:
    """One face, ready for the network; other attributes as in `ParsedFace`."""

    photo: Pixels  # (H, W, 3) uint8, that it was cut out of
    pixels: Pixels  # (S, S, 3) uint8, what the network sees; black where the photo ends
    matrix: Matrix
    window: Window
    placed: Placement
    box: tuple[float, float, float, float] | None = None
    confidence: float | None = None
    landmarks: Landmarks | None = None
    look: int | None = None


class Placer:
    """Finds the faces of a photo and cuts a square out for each. Threads may share one.

    Args:
        size: S, the side of the network's input.
        finding: as in `FaceParser`.
        finder: finds the faces; None where no face is looked for.
    """

    def __init__(self, size: int, finding: Finding, finder: FaceFinder | None) -> None:
        self.size, self.finding, self._finder = size, finding, finder

    def place(self, photo: Pixels) -> list[Square]:
        """The faces of a photo, (H, W, 3) uint8, largest first; the whole photo where the finding says so."""
        size, frame = self.size, photo.shape[:2]
        if self.finding == "crop":
            return [_cut(photo, resize_matrix(frame, size), size, "crop")]
        faces = [self.square(photo, face) for face in self.find(photo)]
        if not faces and self.finding == "whole":
            return [_cut(photo, centre_matrix(frame, size, whole=True), size, "whole")]
        return faces

    def square(self, photo: Pixels, face: FoundFace) -> Square:
        """What the network is to see of a face."""
        # Landmarks that a predictor misplaces may put a face out of sight, where nothing is to be parsed.
        with suppress(AlignmentError):
            matrix = align_matrix(face.landmarks, self.size)
            window = window_of(matrix, self.size, photo.shape)
            if window[0] < window[2] and window[1] < window[3]:
                return _cut(photo, matrix, self.size, "landmarks", face)
        return _cut(photo, box_matrix(face.box, self.size), self.size, "box", face)

    def find(self, photo: Pixels) -> list[FoundFace]:
        """The faces of a photo; none where none is looked for."""
        return [] if self._finder is None else self._finder.find_all(photo)


def box_matrix(box: NDArray[np.float64], size: int) -> Matrix:
    """The matrix that puts a detector's box, (4,) left, top, right and bottom, where alignment puts it on average."""
    upper, lower = np.asarray(box[:2]), np.asarray(box[2:])
    scale = BOX_SIDE * size / max(1.0, float((lower - upper + 1).mean()))
    shift = BOX_MIDDLE * size - 0.5 - scale * 0.5 * (upper + lower)
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def window_of(matrix: Matrix, size: int, frame: tuple[int, ...]) -> Window:
    """The part of a frame of (height, width) that a size x size square shows: top, left, bottom and right.

    All pixels whose middle the square shows lie in it. Empty where the square shows none of the frame.
    """
    near, far = -0.5, size - 0.5
    corners = np.array([[near, far, near, far], [near, near, far, far], [1, 1, 1, 1]])
    across, down = invert(matrix) @ corners
    edges = ((down, frame[0]), (across, frame[1]))
    (top, bottom), (left, right) = ((max(0, floor(each.min())), min(end, ceil(each.max()) + 1)) for each, end in edges)
    return top, left, max(top, bottom), max(left, right)


def shifted(matrix: Matrix, top: int, left: int) -> Matrix:
    """A matrix for points counted from a corner in the photo, from one for points of the whole photo."""
    moved = matrix.copy()
    moved[:, 2] = matrix @ [left, top, 1]
    return moved


def cut_out(photo: Pixels, matrix: Matrix, size: int) -> Pixels:
    """`warp_image`, at a cost that depends on the part of the photo that is seen, not on the photo."""
    frame, window = photo.shape, window_of(matrix, size, photo.shape)
    margin = ceil(_MARGIN / min(1.0, float(np.hypot(*matrix[:, :2]).min())))
    top, left = max(0, window[0] - margin), max(0, window[1] - margin)
    part = photo[top : window[2] + margin, left : window[3] + margin]
    if 2 * part.shape[0] * part.shape[1] >= frame[0] * frame[1]:
        return warp_image(photo, matrix, size)
    return warp_image(part, shifted(matrix, top, left), size)


def _cut(photo: Pixels, matrix: Matrix, size: int, placed: Placement, face: FoundFace | None = None) -> Square:
    pixels, window = np.array(cut_out(photo, matrix, size)), window_of(matrix, size, photo.shape)
    if face is None:
        return Square(photo, pixels, matrix, window, placed)
    left, top, right, bottom = face.box.tolist()
    box = left, top, right, bottom
    return Square(photo, pixels, matrix, window, placed, box, face.confidence, face.landmarks, face.look)
