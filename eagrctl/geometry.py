"""Similarities between frames of pixels: found, applied, put together and undone; and pictures moved by them.

A matrix is (2, 3) float64 and takes a point (x, y, 1) of one frame to another. Pixel centres lie on integers, so a
frame of width W reaches from -0.5 to W - 0.5.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Matrix, Pixels
from eagrctl.errors import AlignmentError

# Points closer together than this, in units of their frame, are one point.
_DISTINCT = 1e-6


def stretch_matrix(size: tuple[int, ...], target: tuple[int, ...]) -> Matrix:
    """The matrix that stretches a whole frame of (height, width) onto another one."""
    (height, width), (target_height, target_width) = size, target
    across, down = target_width / width, target_height / height
    return np.array([[across, 0.0, 0.5 * across - 0.5], [0.0, down, 0.5 * down - 0.5]])


def similarity(
    points: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> Matrix:
    """The turn, scale and shift that takes points closest to targets, by least squares; it never mirrors.

    scikit-image's estimate agrees to 1e-12, knows no weights, and takes 1.8 times as long.

    Args:
        points: (N, 2) float64, x and y; rows with a number that is not finite, here or in `targets`, are left out.
        targets: (N, 2) float64.
        weights: (N,) float64, above zero, of the squared distances; all alike unless given.

    Raises:
        AlignmentError: fewer than two distinct points are known, or the best scale is zero.
    """
    known = np.isfinite(points).all(axis=1) & np.isfinite(targets).all(axis=1)
    # As complex numbers a similarity is z -> turn * z + shift, which cannot mirror: least squares is one division.
    sources, goals = (pairs[known, 0] + 1j * pairs[known, 1] for pairs in (points, targets))
    if not known.any() or np.abs(sources - sources[0]).max() < _DISTINCT:
        raise AlignmentError(
            f"{known.sum()} of {len(points)} landmarks are known, and no two of them differ, which alignment needs: "
            "give others with --landmarks"
        )
    share = np.ones(known.sum()) if weights is None else weights[known]
    source_mean, goal_mean = (np.average(numbers, weights=share) for numbers in (sources, goals))
    around = share * (sources - source_mean)
    turn = np.vdot(around, goals - goal_mean) / np.vdot(around, sources - source_mean)
    if np.abs(turn) * np.abs(sources - source_mean).max() < _DISTINCT:
        raise AlignmentError(
            "landmarks shrink to a single point, as mirrored or shuffled ones do: give them with --landmarks in the "
            "order viewer's left eye, right eye, nose tip, left mouth corner, right mouth corner"
        )
    shift = goal_mean - turn * source_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def transform(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a matrix takes points, (N, 2) x and y."""
    moved: NDArray[np.float64] = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """The matrix that applies `inner`, then `outer`."""
    both: Matrix = _square(outer) @ _square(inner)
    return both[:2]


def invert(matrix: Matrix) -> Matrix:
    """The matrix that undoes `matrix`; numpy.linalg.LinAlgError where it is singular."""
    return np.asarray(np.linalg.inv(_square(matrix))[:2], np.float64)


def warp_image(image: Pixels, matrix: Matrix, size: int) -> Pixels:
    """Move an (H, W, 3) uint8 photo into the aligned frame, (size, size, 3) uint8; black where it has no pixels.

    Where the matrix shrinks, the photo is shrunk first with every pixel weighed in, because sampling it at
    points would alias.
    """
    height, width = image.shape[:2]
    picture = Image.fromarray(image)
    across = min(1.0, math.hypot(matrix[0, 0], matrix[1, 0]))
    down = min(1.0, math.hypot(matrix[0, 1], matrix[1, 1]))
    shrunk = max(1, round(width * across)), max(1, round(height * down))
    if shrunk != (width, height):
        picture = picture.resize(shrunk, Image.Resampling.BICUBIC)
        # From the shrunk frame, back to the photo's own, on to the aligned one.
        matrix = compose(matrix, stretch_matrix(shrunk[::-1], (height, width)))
    if shrunk == (size, size) and np.allclose(matrix, np.eye(2, 3), atol=1e-9):
        return np.asarray(picture)
    return sample(picture, matrix, size, Image.Resampling.BILINEAR)


def sample(picture: Image.Image, matrix: Matrix, size: int, resampling: Image.Resampling) -> Pixels:
    """Pull a size x size square out of a picture; `matrix` takes the picture's pixels to the square's; 0 outside."""
    square = (size, size)
    return np.asarray(picture.transform(square, Image.Transform.AFFINE, way_back(matrix), resampling, fillcolor=0))


def way_back(matrix: Matrix) -> tuple[float, ...]:
    """A matrix as Pillow wants it: the way back, between frames whose origin is the corner of the first pixel."""
    back = invert(matrix)
    back[:, 2] += 0.5 - 0.5 * back[:, :2].sum(axis=1)
    return tuple(back.ravel().tolist())


def _square(matrix: Matrix) -> Matrix:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])
