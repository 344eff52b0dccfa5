"""Matrix -> warp and unwarp: between the source frame and the square that the network sees.

A matrix is (2, 3) float64 and takes a point (x, y, 1) of the source frame to the aligned frame. Pixel centres lie on
integers, so a frame of width W reaches from -0.5 to W - 0.5.
"""

import math

import numpy as np
from PIL import Image

from eagrctl.data.labels import BACKGROUND
from eagrctl.data.sample import Matrix, Pixels


def resize_matrix(source_size: tuple[int, int], size: int) -> Matrix:
    """The matrix that stretches a whole frame of (height, width) onto a size x size square."""
    height, width = source_size
    across, down = size / width, size / height
    return np.array([[across, 0.0, 0.5 * across - 0.5], [0.0, down, 0.5 * down - 0.5]])


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
        grow = np.array(
            [
                [width / shrunk[0], 0.0, 0.5 * width / shrunk[0] - 0.5],
                [0.0, height / shrunk[1], 0.5 * height / shrunk[1] - 0.5],
            ]
        )
        matrix = compose(matrix, grow)
    if shrunk == (size, size) and np.allclose(matrix, np.eye(2, 3), atol=1e-9):
        return np.asarray(picture)
    return _sample(picture, matrix, (size, size), Image.Resampling.BILINEAR)


def warp_labels(labels: Pixels, matrix: Matrix, size: int) -> Pixels:
    """Move (h, w) uint8 labels into the aligned frame, (size, size) uint8, nearest; background outside."""
    return _sample(Image.fromarray(labels), matrix, (size, size), Image.Resampling.NEAREST)


def unwarp_labels(labels: Pixels, matrix: Matrix, source_size: tuple[int, int]) -> Pixels:
    """Move (S, S) uint8 labels back into the source frame of (height, width), nearest; background outside."""
    return _sample(Image.fromarray(labels), invert(matrix), source_size, Image.Resampling.NEAREST)


def _sample(picture: Image.Image, matrix: Matrix, size: tuple[int, int], resampling: Image.Resampling) -> Pixels:
    """Pull a frame of (height, width) out of `picture`, of which `matrix` tells where its points go."""
    # Pillow wants the way back, between frames whose origin is the corner of the first pixel, not its centre.
    back = invert(matrix)
    back[:, 2] += 0.5 - 0.5 * back[:, :2].sum(axis=1)
    height, width = size
    return np.asarray(
        picture.transform(
            (width, height), Image.Transform.AFFINE, tuple(back.ravel()), resampling, fillcolor=BACKGROUND
        )
    )


def _square(matrix: Matrix) -> Matrix:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])
