"""Boxes: how much two of them share, and which of several that show one face is kept.

A box is left, top, right and bottom in pixels.
"""

import numpy as np
import torch
from numpy.typing import NDArray

SAME = 0.4  # Of two boxes that share more than this of what they cover, the less certain one is left out.
INSIDE = 0.75  # of the smaller one's area
BLOCK = 2048  # boxes that are compared at once: more would take memory by the square


def shares(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Intersection over union of every box of one list, (..., N, 4), with every one of another, (..., M, 4)."""
    upper = torch.maximum(one[..., :, None, :2], other[..., None, :, :2])
    lower = torch.minimum(one[..., :, None, 2:], other[..., None, :, 2:])
    shared = (lower - upper).clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1) for boxes in (one, other)]
    return shared / (areas[0][..., :, None] + areas[1][..., None, :] - shared).clamp(min=1e-9)


def suppressed(boxes: NDArray[np.float32], scores: NDArray[np.float32], same: float = SAME) -> NDArray[np.intp]:
    """Which boxes are kept, best first: greedy suppression (NMS).

    A box is left out where one that is kept, and scores higher, shares more than `same` with it.

    Args:
        boxes: (N, 4).
        scores: (N,).
        same: intersection over union.

    Returns:
        Rows of `boxes`, int.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = torch.from_numpy(np.ascontiguousarray(boxes[order], np.float32))
    kept: list[int] = []
    alive = np.ones(len(order), bool)
    for start in range(0, len(order), BLOCK):
        block = ranked[start : start + BLOCK]
        if kept:
            alive[start : start + BLOCK] &= ~(shares(block, ranked[kept]) > same).any(1).numpy()
        close = (shares(block, block) > same).numpy()
        for row in range(len(block)):
            if alive[start + row]:
                kept.append(start + row)
                alive[start + row + 1 : start + len(block)] &= ~close[row, row + 1 :]
    return np.asarray(order[kept], np.intp)


def distinct(boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """As `suppressed`, and without boxes of which `INSIDE` or more lies in one that scores higher."""
    kept = suppressed(boxes.astype(np.float32), scores.astype(np.float32))
    chosen: list[int] = []
    for row in kept:
        upper = np.maximum(boxes[row, :2], boxes[chosen, :2])
        lower = np.minimum(boxes[row, 2:], boxes[chosen, 2:])
        shared = np.clip(lower - upper, 0, None).prod(axis=1)
        areas = (boxes[[row, *chosen], 2:] - boxes[[row, *chosen], :2]).prod(axis=1)
        if not (shared >= INSIDE * np.minimum(areas[0], areas[1:])).any():
            chosen.append(int(row))
    return np.array(chosen, np.intp)
