"""How good a detector is: average precision, recall and false boxes, counted as detection benchmarks do.

Boxes are compared best score first. One hits the face with which it shares most, if that is at least `SAME` and nobody
has hit it before; one that hits none is false, unless it lies in a region where nothing counts, which is left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from eagrctl.faces.detection.boxes import shares

SAME = 0.5  # intersection over union; WIDER FACE's and VOC's
WITHIN = 0.5  # of a box's own area, in a region where nothing counts

HIT, FALSE, LEFT_OUT = 1, 0, -1


class Matches(NamedTuple):
    """What became of a photo's boxes.

    Attributes:
        kinds: (N,) int8, `HIT`, `FALSE` or `LEFT_OUT` for each box.
        faces: (N,) int64, the face that each has hit; -1 where none.
    """

    kinds: NDArray[np.int8]
    faces: NDArray[np.int64]


def match(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
    true: NDArray[np.floating],
    ignored: NDArray[np.floating],
    same: float = SAME,
) -> Matches:
    """Compare a photo's boxes, (N, 4), with its faces, (M, 4), and its regions where nothing counts, (K, 4)."""
    kinds, faces = np.full(len(boxes), FALSE, np.int8), np.full(len(boxes), -1)
    overlap = _shares(boxes, true)
    free = np.ones(len(true), bool)
    for row in np.argsort(-scores, kind="stable"):
        sharing = np.where(free, overlap[row], 0.0)
        if len(true) and sharing.max() >= same:
            face = int(sharing.argmax())
            free[face], kinds[row], faces[row] = False, HIT, face
        elif _within(boxes[row], ignored):
            kinds[row] = LEFT_OUT
    return Matches(kinds, faces)


def average_precision(scores: NDArray[np.float64], hits: NDArray[np.bool_], faces: int) -> float:
    """The area under the curve of precision over recall, each precision the best at that recall or above.

    Args:
        scores: (N,) of all photos' boxes that count.
        hits: (N,) bool.
        faces: how many there are to be found.
    """
    if not faces:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    precision = found / np.arange(1, len(order) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best * hits[order]).sum() / faces)


def pooled(matches: Sequence[tuple[NDArray[np.float64], Matches]], faces: int) -> float:
    """The average precision over photos, of each of which the scores and what became of the boxes are given."""
    scores = np.concatenate([np.empty(0), *(each for each, _ in matches)])
    kinds = np.concatenate([np.empty(0, np.int8), *(each.kinds for _, each in matches)])
    counted = kinds != LEFT_OUT
    return average_precision(scores[counted], kinds[counted] == HIT, faces)


def _shares(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    both = [torch.from_numpy(np.asarray(boxes, np.float64).reshape(-1, 4)) for boxes in (one, other)]
    return shares(*both).numpy()


def _within(box: NDArray[np.float64], regions: NDArray[np.floating]) -> bool:
    if not len(regions):
        return False
    shared = np.clip(np.minimum(box[2:], regions[:, 2:]) - np.maximum(box[:2], regions[:, :2]), 0, None).prod(axis=1)
    return bool(shared.max() >= WITHIN * max(float(np.prod(box[2:] - box[:2])), 1e-9))
