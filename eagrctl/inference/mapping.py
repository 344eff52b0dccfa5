"""Logits -> labels in the source frame, fast on a CPU.

Interpolating all N logits at every pixel of a photo costs more than a small network does. Most of it decides nothing:
between four neighbouring grid points that agree on the best class, interpolation agrees with them, because it is a
convex combination. And of the classes between four points that do not agree, few can win: one whose highest value at
the four stays below another's lowest cannot. So only pixels in contested cells are interpolated, and only for classes
that contest them; most often two, whose difference is enough. The labels are those of the plain way but for the last
bit's rounding.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Matrix, Pixels
from eagrctl.data.labels import BACKGROUND

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def map_labels(logits: Floats, matrix: Matrix, size: int, source_size: tuple[int, int]) -> Pixels:
    """Interpolate logits between their grid points where the source frame's pixels fall, and take the best class.

    Args:
        logits: (N, h, w) float32, N >= 2; their corners are aligned with those of the network's input.
        matrix: (2, 3), source -> network input.
        size: side of the network's input.
        source_size: height and width of the source frame.

    Returns:
        (height, width) uint8 labels; background where the network's input ends.
    """
    if matrix[0, 1] == 0 and matrix[1, 0] == 0:
        return _straight(logits, matrix, size, source_size)
    return _turned(logits, matrix, size, source_size)


@dataclass(frozen=True)
class _Contested:
    """The cells between four grid points that do not agree on the best class.

    Attributes:
        rows, columns: of their upper left points, (M,).
        corners: logits at upper left, upper right, lower left and lower right, (4, N, M).
        ranked: classes by their highest corner, best first, (N, M).
        count: how many of them, from the best on, can win, (M,); at least 2.
    """

    rows: Indices
    columns: Indices
    corners: Floats
    ranked: Indices
    count: Indices

    @classmethod
    def among(cls, logits: Floats, best: Pixels) -> "_Contested":
        corner = best[:-1, :-1]
        apart = (corner != best[:-1, 1:]) | (corner != best[1:, :-1]) | (corner != best[1:, 1:])
        rows, columns = np.nonzero(apart)
        corners = np.stack(
            [logits[:, rows + down, columns + across] for down, across in ((0, 0), (0, 1), (1, 0), (1, 1))]
        )
        highest = corners.max(axis=0)
        count = (highest >= corners.min(axis=0).max(axis=0)).sum(axis=0)
        return cls(rows, columns, corners, np.argsort(-highest, axis=0), np.maximum(count, 2))

    def decide(self, chosen: Indices, cell: Indices, across: Floats, down: Floats) -> Pixels:
        """The best class of pixels in some of the cells.

        Args:
            chosen: which of the cells.
            cell: for each pixel, its cell's place in `chosen`.
            across: for each pixel, how far it lies from its cell's left to its right, 0..1.
            down: likewise from top to bottom.
        """
        count = self.count[chosen]
        most = np.full(cell.size, -np.inf, np.float32)
        best = np.zeros(cell.size, np.uint8)
        for rank in range(int(count.max(initial=0))):
            classes = self.ranked[rank, chosen]
            first, right, below, opposite = self.corners[:, classes, chosen]
            # Bilinear: first + a * across + b * down + ab * across * down.
            a, b = right - first, below - first
            value = (opposite - below - a).take(cell)
            value *= down
            value += a.take(cell)
            value *= across
            value += first.take(cell)
            value += b.take(cell) * down
            if rank >= 2:
                value[count.take(cell) <= rank] = -np.inf
            better = value > most
            np.maximum(most, value, out=most)
            # uint8 wraps around, and comes back: cheaper than a choice.
            best += (classes.astype(np.uint8).take(cell) - best) * better
        return best


def _straight(logits: Floats, matrix: Matrix, size: int, source_size: tuple[int, int]) -> Pixels:
    """Without rotation, a pixel's cell follows from its row and its column, each by itself."""
    _, high, wide = logits.shape
    height, width = source_size
    down, seen_down = _along(matrix[1, 1], matrix[1, 2], height, size, high)
    across, seen_across = _along(matrix[0, 0], matrix[0, 2], width, size, wide)
    top, left = (np.minimum(each.astype(np.intp), grid - 2) for each, grid in ((down, high), (across, wide)))
    down, across = down - top.astype(np.float32), across - left.astype(np.float32)

    best = logits.argmax(axis=0).astype(np.uint8)
    contested = _Contested.among(logits, best)
    rows, columns = contested.rows, contested.columns
    # In every cell a first and a second class, one and the same where nobody contests it, and their difference.
    first, second = best[:-1, :-1].copy(), best[:-1, :-1].copy()
    difference = np.zeros((4, high - 1, wide - 1), np.float32)
    number = np.arange(rows.size)
    one, other = contested.ranked[:2]
    first[rows, columns], second[rows, columns] = one, other
    difference[:, rows, columns] = contested.corners[:, one, number] - contested.corners[:, other, number]
    # Between top and bottom first, at each cell's left and right, then between these.
    at_left, at_right = difference[0].take(top, axis=0), difference[1].take(top, axis=0)
    at_left += (difference[2].take(top, axis=0) - at_left) * down[:, None]
    at_right += (difference[3].take(top, axis=0) - at_right) * down[:, None]
    value = (at_right - at_left).take(left, axis=1)
    value *= across
    value += at_left.take(left, axis=1)
    labels: Pixels = (first - second).take(top, axis=0).take(left, axis=1)  # uint8 wraps around, and comes back
    labels *= value > 0
    labels += second.take(top, axis=0).take(left, axis=1)

    crowded = np.flatnonzero(contested.count > 2)
    if crowded.size:
        place = np.full((high - 1, wide - 1), -1, np.int32)
        place[rows[crowded], columns[crowded]] = np.arange(crowded.size)
        where = place.take(top, axis=0).take(left, axis=1).ravel()
        pixels = np.flatnonzero(where >= 0)
        row = pixels // width
        column = pixels - row * width
        cell = where[pixels].astype(np.intp)
        labels.reshape(-1)[pixels] = contested.decide(crowded, cell, across.take(column), down.take(row))
    if not seen_down.all():
        labels[~seen_down] = BACKGROUND
    if not seen_across.all():
        labels[:, ~seen_across] = BACKGROUND
    return labels


def _turned(logits: Floats, matrix: Matrix, size: int, source_size: tuple[int, int]) -> Pixels:
    """With rotation, each pixel has a cell of its own to be found."""
    _, high, wide = logits.shape
    columns, rows = np.arange(source_size[1]), np.arange(source_size[0])[:, None]
    across, down = (line[0] * columns + (line[1] * rows + line[2]) for line in matrix)
    seen = (across > -0.5) & (across < size - 0.5) & (down > -0.5) & (down < size - 0.5)
    across = (across * ((wide - 1) / (size - 1))).clip(0, wide - 1).astype(np.float32)
    down = (down * ((high - 1) / (size - 1))).clip(0, high - 1).astype(np.float32)
    left, top = np.minimum(across.astype(np.intp), wide - 2), np.minimum(down.astype(np.intp), high - 2)
    cells = top * (wide - 1) + left

    best = logits.argmax(axis=0).astype(np.uint8)
    contested = _Contested.among(logits, best)
    place = np.full((high - 1, wide - 1), -1, np.int32)
    place[contested.rows, contested.columns] = np.arange(contested.rows.size)
    labels: Pixels = best[:-1, :-1].ravel().take(cells)
    where = place.ravel().take(cells)
    pixels = np.flatnonzero((where >= 0) & seen)
    labels.reshape(-1)[pixels] = contested.decide(
        np.arange(contested.rows.size),
        where.ravel()[pixels].astype(np.intp),
        across.ravel()[pixels] - left.ravel()[pixels].astype(np.float32),
        down.ravel()[pixels] - top.ravel()[pixels].astype(np.float32),
    )
    labels[~seen] = BACKGROUND
    return labels


def _along(scale: float, shift: float, pixels: int, size: int, grid: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Where a line of pixels falls between grid points, 0..grid - 1; and whether each lies in the network's input."""
    places = scale * np.arange(pixels) + shift
    seen = (places > -0.5) & (places < size - 0.5)
    return (places * ((grid - 1) / (size - 1))).clip(0, grid - 1).astype(np.float32), seen
