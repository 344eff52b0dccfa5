"""Landmarks -> matrix -> warp: from the source frame to the square that the network sees.

A matrix is (2, 3) float64 and takes a point (x, y, 1) of the source frame to the aligned frame. Pixel centres lie on
integers, so a frame of width W reaches from -0.5 to W - 0.5.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Matrix, Pixels
from eagrctl.geometry import compose, sample, similarity, stretch_matrix

# Where alignment puts a face's landmarks, as x and y in fractions of the frame's side. The face is as small as in
# CelebAMask-HQ's own frame, so that hair, chin and neck stay in view. Eyes are the mean centroids and mouth corners the
# mean ends in 585 of its label maps. The nose's label does not show its tip, which is the median of dlib's 68-point
# predictor on 484 of its photos. Left and right are averaged.
TEMPLATE = np.array([[0.380, 0.479], [0.620, 0.479], [0.500, 0.627], [0.390, 0.731], [0.610, 0.731]])
TEMPLATE.flags.writeable = False

# Eyes decide, and the rest steadies: a turned head fits no similarity, and a predictor of eyes alone must put a face
# where five annotated landmarks put it. With equal weights the misfit lands on the eyes (64 % of them come within 6 of
# 473 pixels, instead of 96 %). With eyes alone, heads that turn away grow more (the logarithm of scale spreads by 0.060
# instead of 0.049).
WEIGHTS = np.array([1.0, 1.0, 0.02, 0.02, 0.02])
WEIGHTS.flags.writeable = False

# Where the eyes' distance is less than the first share of that from the eyes to the mouth, nose and mouth begin to
# weigh more; at the second, as much as the eyes. The template has 0.95.
NARROW, NARROWEST = 0.71, 0.43


def resize_matrix(source_size: tuple[int, ...], size: int) -> Matrix:
    """The matrix that stretches a whole frame of (height, width) onto a size x size square."""
    return stretch_matrix(source_size, (size, size))


def plausible(landmarks: NDArray[np.float64], frame: tuple[int, ...]) -> bool:
    """Whether landmarks, (5, 2) float64, NaN where unknown, may be those of a face in a frame of (height, width).

    They are not where the eyes are closer together than 3 pixels, or than a twentieth of their distance from the mouth,
    or further apart than the frame is wide; where four points lie on one line; where the mouth lies above the eyes, as
    they see it; or where the middle of all lies outside the frame by more than a quarter of it.
    """
    known = np.isfinite(landmarks[:, 0]) & np.isfinite(landmarks[:, 1])
    found, size = landmarks[known], np.array(frame[1::-1], np.float64)
    middle = found.mean(axis=0) if len(found) else 0.5 * size
    if (np.abs(middle - 0.5 * size) > 0.75 * size).any():
        return False
    if len(found) >= 4:
        spread = np.linalg.svd(found - middle, compute_uv=False)
        if spread[1] < 1e-3 * spread[0]:
            return False
    if not known[:2].all():
        return True
    across = landmarks[1] - landmarks[0]
    apart = math.hypot(*across)
    if not 3 <= apart <= math.hypot(*size):
        return False
    if not known[3:].all():
        return True
    down = landmarks[3:].mean(axis=0) - landmarks[:2].mean(axis=0)
    return bool(apart >= 0.05 * math.hypot(*down) and across[0] * down[1] - across[1] * down[0] > 0)


def align_matrix(landmarks: NDArray[np.float64], size: int) -> Matrix:
    """The similarity that takes a face's landmarks, (5, 2) float64, onto `TEMPLATE` in a size x size frame.

    The eyes weigh most, see `WEIGHTS`, unless they are as close together as those of a head that is seen from the side:
    by them alone, a profile would be blown up. Errors as in `similarity`.
    """
    return similarity(landmarks, TEMPLATE * size - 0.5, weights_of(landmarks))


def widened(matrix: Matrix, size: int, factor: float) -> Matrix:
    """The matrix of the size x size frame around `factor` times as much as `matrix` shows, with the same middle."""
    middle = 0.5 * (size - 1)
    shift = middle * (1 - 1 / factor)
    return compose(np.array([[1 / factor, 0, shift], [0, 1 / factor, shift]]), matrix)


def weights_of(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each of five landmarks weighs, (5,) float64: the nose and the mouth more, the less the eyes say."""
    if not np.isfinite(landmarks).all():
        return WEIGHTS
    apart = math.dist(landmarks[0], landmarks[1])
    down = math.dist(landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0))
    share = (NARROW - apart / max(down, 1e-9)) / (NARROW - NARROWEST)
    return WEIGHTS + min(1.0, max(0.0, share)) * (1 - WEIGHTS)


def centre_matrix(frame: tuple[int, ...], size: int, whole: bool = False) -> Matrix:
    """The similarity that fits a frame of (height, width) into a size x size square.

    Its largest centred square fits, or, if `whole`, all of it.
    """
    scale = size / (max if whole else min)(frame)
    down, across = (0.5 * (size - 1) - scale * 0.5 * (side - 1) for side in frame)
    return np.array([[scale, 0.0, across], [0.0, scale, down]])


def warp_labels(labels: Pixels, matrix: Matrix, size: int) -> Pixels:
    """Move (h, w) uint8 labels into the aligned frame, (size, size) uint8, nearest; background outside."""
    return sample(Image.fromarray(labels), matrix, size, Image.Resampling.NEAREST)
