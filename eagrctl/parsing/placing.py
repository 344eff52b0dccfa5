"""A photo -> its faces, each in the square that the network sees."""

from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Matrix, Pixels
from eagrctl.data.align import align_matrix, centre_matrix, invert, resize_matrix, warp_image
from eagrctl.errors import AlignmentError
from eagrctl.faces.landmarks import DlibLandmarks, FoundFace, find_predictor
from eagrctl.parsing.parsed import Placement, Window

Finding = Literal["faces", "crop", "whole"]

# Where a detector's box lies in the aligned frame, as fractions of the frame's side: its middle, and its own side.
# Medians over 393 training faces of CelebAMask-HQ, as landmarks align them; left and right averaged.
BOX_MIDDLE, BOX_SIDE = np.array([0.5, 0.617]), 0.591

# Around what the network sees, so many pixels of the shrunk photo decide over the outermost ones.
_MARGIN = 4


@dataclass(frozen=True, eq=False)
class Placed:
    """One face, ready for the network; attributes as in `ParsedFace`.

    Attributes:
        pixels: (S, S, 3) uint8, what the network sees; black where the photo ends.
    """

    pixels: Pixels
    matrix: Matrix
    window: Window
    placed: Placement
    box: tuple[float, float, float, float] | None = None
    confidence: float | None = None
    landmarks: NDArray[np.float64] | None = None


class Placer:
    """Finds the faces of a photo and puts each in its place. Threads may share one.

    Args:
        size: S, the side of the network's input.
        finding: as in `FaceParser`.
        predictor: dlib's landmark predictor; None looks for one. Not read where nothing is to be found.

    Raises:
        AlignmentError: there is no such predictor.
    """

    def __init__(self, size: int, finding: Finding, predictor: Path | None = None) -> None:
        self.size, self.finding = size, finding
        # A detector keeps the photo that it looks at, so that each thread needs one of its own while it looks.
        self._idle: list[DlibLandmarks] = []
        if finding != "crop":
            self._path = find_predictor(predictor, shipped_first=True)
            self._idle.append(DlibLandmarks(self._path))

    def place(self, photo: Pixels) -> list[Placed]:
        """The faces of a photo, (H, W, 3) uint8, largest first; the whole photo where the finding says so."""
        size, frame = self.size, (photo.shape[0], photo.shape[1])
        if self.finding == "crop":
            return [_placed(photo, resize_matrix(frame, size), size, "crop")]
        faces = [self._place(photo, face) for face in self._find(photo)]
        if not faces and self.finding == "whole":
            return [_placed(photo, centre_matrix(frame, size, whole=True), size, "whole")]
        return faces

    def _place(self, photo: Pixels, face: FoundFace) -> Placed:
        left, top, right, bottom = (float(edge) for edge in face.box)
        box = left, top, right, bottom
        matrix, placement = self._matrix(face, (photo.shape[0], photo.shape[1]))
        return _placed(photo, matrix, self.size, placement, box, face.confidence, face.landmarks)

    def _matrix(self, face: FoundFace, frame: tuple[int, int]) -> tuple[Matrix, Placement]:
        try:
            matrix = align_matrix(face.landmarks, self.size)
        except AlignmentError:
            return box_matrix(face.box, self.size), "box"
        # Points that a predictor loses may put a face out of sight, where nothing is to be parsed.
        top, left, bottom, right = window_of(matrix, self.size, frame)
        if top < bottom and left < right:
            return matrix, "landmarks"
        return box_matrix(face.box, self.size), "box"

    def _find(self, photo: Pixels) -> list[FoundFace]:
        try:
            finder = self._idle.pop()
        except IndexError:
            finder = DlibLandmarks(self._path)
        try:
            return finder.find_all(photo)
        finally:
            self._idle.append(finder)


def box_matrix(box: NDArray[np.float64], size: int) -> Matrix:
    """The matrix that puts a detector's box, (4,) left, top, right and bottom, where alignment puts it on average."""
    upper, lower = np.asarray(box[:2]), np.asarray(box[2:])
    scale = BOX_SIDE * size / max(1.0, float((lower - upper + 1).mean()))
    shift = BOX_MIDDLE * size - 0.5 - scale * 0.5 * (upper + lower)
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def window_of(matrix: Matrix, size: int, frame: tuple[int, int]) -> Window:
    """The part of a frame of (height, width) that a size x size square shows: top, left, bottom and right.

    All pixels whose middle the square shows lie in it. Empty where the square shows none of the frame.
    """
    near, far = -0.5, size - 0.5
    corners = np.array([[near, far, near, far], [near, near, far, far], [1, 1, 1, 1]])
    across, down = invert(matrix) @ corners
    edges = ((down, frame[0]), (across, frame[1]))
    (top, bottom), (left, right) = ((max(0, floor(each.min())), min(end, ceil(each.max()) + 1)) for each, end in edges)
    return top, left, max(top, bottom), max(left, right)


def shifted(matrix: Matrix, window: Window) -> Matrix:
    """A matrix for points counted from a window's corner, from one for points of the whole photo."""
    moved = matrix.copy()
    moved[:, 2] = matrix @ [window[1], window[0], 1]
    return moved


def cut_out(photo: Pixels, matrix: Matrix, size: int) -> Pixels:
    """`warp_image`, at a cost that depends on the part of the photo that is seen, not on the photo."""
    frame = photo.shape[0], photo.shape[1]
    window = window_of(matrix, size, frame)
    scale = min(1.0, float(np.hypot(*matrix[:, :2]).min()))
    margin = ceil(_MARGIN / scale)
    top, left = max(0, window[0] - margin), max(0, window[1] - margin)
    bottom, right = min(frame[0], window[2] + margin), min(frame[1], window[3] + margin)
    if 2 * (bottom - top) * (right - left) >= frame[0] * frame[1]:
        return warp_image(photo, matrix, size)
    return warp_image(photo[top:bottom, left:right], shifted(matrix, (top, left, bottom, right)), size)


def _placed(
    photo: Pixels,
    matrix: Matrix,
    size: int,
    placement: Placement,
    box: tuple[float, float, float, float] | None = None,
    confidence: float | None = None,
    landmarks: NDArray[np.float64] | None = None,
) -> Placed:
    window = window_of(matrix, size, (photo.shape[0], photo.shape[1]))
    return Placed(np.array(cut_out(photo, matrix, size)), matrix, window, placement, box, confidence, landmarks)
