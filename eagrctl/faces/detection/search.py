"""How a photo is searched: at several sizes and turns, and each face once more upright.

One look at the photo as it is, shrunk to `FIRST` pixels, is enough for a portrait. Where small faces show, or none is
sure, the photo is looked at again at `SECOND` pixels, enlarged if need be; where faces are smaller still, in tiles of
that size. Where no face is sure then, the photo is turned by a quarter, a half and three quarters.

Each face is then cut out upright, as its points have it, at a size that suits the network, and looked at once more,
twice where it was turned much. That gives its points whatever its roll, and a second opinion on whether it is a face.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Matrix, Pixels
from eagrctl.errors import AlignmentError
from eagrctl.faces.detection.boxes import distinct
from eagrctl.faces.detection.look import Found, Looker, look
from eagrctl.faces.detection.points import CANONICAL, CROP, FACE, PointsNetwork, crop_of, refine_points, upright_matrix
from eagrctl.geometry import invert, similarity, transform

FIRST, SECOND = 640, 1280  # pixels of the longer side
LEAST_FIRST, LARGEST_FACTOR = 320, 4.0  # a smaller photo is enlarged to this, at most so much
SMALL, TINY = 32.0, 20.0  # pixels in a look; where a face is smaller, others may be too small for it
TILE, OVERLAP, MOST_TILES = 1280, 160, 24  # of the largest look, in its pixels
LONG = 4.0  # times as long as wide, a photo is looked at in tiles: shrunk to a look, it would be a line

# The least score of a face in the end, and of one that makes further looks needless. A box below its square is not
# looked at once more: however sure the second look was, the geometric mean of both would be below it.
CERTAIN = 0.88

BATCH = 32  # crops at once
OBVIOUS = 0.95  # score
MOVED = 0.08  # of the face's size; a point that was further off is looked at twice
STEEP = 15.0  # degrees; a face that is turned by more, and so was seen badly, is looked at twice
# Of an average face that is laid on a face's points: its size in sizes of the face's box, and how far its points lie
# from them, in the same; a profile is off by 0.12.
SMALLEST, LARGEST, MISFIT = 0.5, 1.6, 0.2
UNSEEN = 0.05  # opinion of a second look that finds no face
BLURRED = 14.0  # pixels of the photo; a smaller face shows too little for a second opinion


@dataclass(frozen=True)
class Searched(Found):
    """Faces, largest first, with the size of the look that found each, (N,) float64: the photo's longer side there."""

    looks: NDArray[np.float64]

    @classmethod
    def none(cls) -> "Searched":
        """No face."""
        return cls.of(Found(np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2))), 0.0)

    @classmethod
    def of(cls, found: Found, size: float) -> "Searched":
        """What one look found."""
        return cls(found.boxes, found.scores, found.points, np.full(len(found), size))


def search(looker: Looker, image: Pixels, points: PointsNetwork | None = None, certain: float = CERTAIN) -> Searched:
    """Every face in a photo.

    Args:
        looker: what finds faces in pixels.
        points: what refines their points; None leaves them as the looker has them.
        image: (H, W, 3) uint8.
        certain: the least score of a face.
    """
    found = _looked(looker, image, certain)
    found = _kept(second_looks(looker, image, found), certain)
    if points is not None:
        found = replace(found, points=refined(points, image, found.points))
    found = found.rows(np.array([_plausible(*each) for each in zip(found.boxes, found.points, strict=True)], bool))
    order = np.argsort(-np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1), kind="stable")
    return found.rows(order)


def _looked(looker: Looker, image: Pixels, certain: float) -> Searched:
    """The boxes of all looks that a photo needs, one a face."""
    longest, shortest, doubtful = max(image.shape[:2]), min(image.shape[:2]), certain**2
    largest = LARGEST_FACTOR * longest
    first = min(FIRST, max(longest, LEAST_FIRST), largest)
    if longest > LONG * shortest and longest > first:
        return _merged([_tiled(looker, image, longest, doubtful)])
    looks = [Searched.of(look(looker, image, first, doubtful), first)]
    least = _smallest(looks[-1], longest, certain)
    second = min(SECOND, 2 * first, largest)
    if least < SMALL and second > first:
        looks.append(Searched.of(look(looker, image, second, doubtful), second))
        least = _smallest(looks[-1], longest, certain)
        if least < TINY and longest > SECOND and len(looks[-1]):
            looks.append(_tiled(looker, image, min(longest, 2 * SECOND), doubtful))
    if not any((each.scores >= certain).any() for each in looks):
        looks.extend(_turned(looker, image, first, doubtful))
    return _merged(looks)


def _smallest(found: Searched, longest: int, certain: float) -> float:
    """The size of the smallest sure face of a look, in the look's pixels; 0 where none is sure."""
    sure = found.scores >= certain
    if not sure.any():
        return 0.0
    sides = np.sqrt(np.prod(found.boxes[sure, 2:] - found.boxes[sure, :2], axis=1))
    return float(sides.min() * found.looks[0] / longest)


def _tiled(looker: Looker, image: Pixels, size: float, doubtful: float) -> Searched:
    """A photo at a size, or a smaller one that takes `MOST_TILES`, looked at in tiles that overlap."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    while math.prod(_counts(height * scale, width * scale)) > MOST_TILES:
        scale *= 0.95
    size = scale * max(height, width)
    looks = []
    for top, left, side in _tiles(round(height * scale), round(width * scale)):
        rows, columns = (slice(round(start / scale), round((start + side) / scale)) for start in (top, left))
        part = image[rows, columns]
        found = look(looker, part, max(part.shape[:2]) * scale, doubtful)
        corner = np.array([columns.start, rows.start], np.float64)
        moved = replace(found, boxes=found.boxes + np.tile(corner, 2), points=found.points + corner)
        looks.append(Searched.of(moved, size))
    return _merged(looks)


def _tiles(height: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Top, left and side of tiles that cover a frame."""
    starts = []
    for side, count in zip((height, width), _counts(height, width), strict=True):
        room = max(0, side - TILE)
        starts.append([round(room * step / max(1, count - 1)) for step in range(count)])
    yield from ((top, left, TILE) for top in starts[0] for left in starts[1])


def _counts(height: float, width: float) -> tuple[int, int]:
    """How many tiles a frame takes, down and across."""
    down, across = (1 + math.ceil(max(0, side - TILE) / (TILE - OVERLAP)) for side in (height, width))
    return down, across


def _turned(looker: Looker, image: Pixels, size: float, doubtful: float) -> Iterator[Searched]:
    """A photo turned by one, two and three quarters."""
    height, width = image.shape[:2]
    for quarters in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(image, quarters))
        found = look(looker, turned, size, doubtful)
        # From the turned frame back to the photo's.
        back = {
            1: np.array([[0.0, -1.0, width - 1], [1.0, 0.0, 0.0]]),
            2: np.array([[-1.0, 0.0, width - 1], [0.0, -1.0, height - 1]]),
            3: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, height - 1]]),
        }[quarters]
        corners = transform(back, found.boxes.reshape(-1, 2)).reshape(-1, 2, 2)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        points = transform(back, found.points.reshape(-1, 2)).reshape(-1, 5, 2)
        yield Searched.of(Found(boxes, found.scores, points), size)


def _merged(looks: list[Searched]) -> Searched:
    """What several looks found, each face once."""
    if not looks:
        return Searched.none()
    every = Searched(
        *(np.concatenate([getattr(each, name) for each in looks]) for name in ("boxes", "scores", "points", "looks"))
    )
    return every.rows(distinct(every.boxes, every.scores))


def _kept(found: Searched, certain: float) -> Searched:
    kept = found.rows(found.scores >= certain)
    return kept.rows(distinct(kept.boxes, kept.scores))


def second_looks(looker: Looker, image: Pixels, found: Searched) -> Searched:
    """Look at each face once more, cut out upright; its score is then the mean of both looks' in the logarithm.

    An upright face that is obvious is not looked at again.
    """
    boxes, scores, points = found.boxes.copy(), found.scores.copy(), found.points.copy()
    upright = np.array([abs(_roll(five)) <= STEEP for five in points], bool)
    again = np.flatnonzero((scores < OBVIOUS) | ~upright)
    for _ in range(2):
        steep = []
        for start in range(0, len(again), BATCH):
            rows = again[start : start + BATCH]
            matrices = [_upright(boxes[row], points[row]) for row in rows]
            seen = looker.see(np.stack([crop_of(image, matrix) for matrix in matrices]), UNSEEN)
            for row, matrix, answer in zip(rows, matrices, seen, strict=True):
                box, opinion, five = _central(answer)
                size = float(np.sqrt(np.prod(found.boxes[row, 2:] - found.boxes[row, :2])))
                if size >= BLURRED or opinion > found.scores[row]:
                    scores[row] = math.sqrt(found.scores[row] * opinion)
                if five is None:
                    continue
                back, before = invert(matrix), _roll(points[row])
                points[row], boxes[row] = transform(back, five), _around(back, box)
                if abs((_roll(points[row]) - before + 180) % 360 - 180) > STEEP:
                    steep.append(row)
        again = np.array(steep, np.intp)
    return Searched(boxes, scores, points, found.looks)


def refined(network: PointsNetwork, image: Pixels, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points of faces, (N, 5, 2) float64, each looked at once more, upright; again where they moved much."""
    better = points.copy()
    again = np.array([row for row, five in enumerate(points) if np.ptp(five, axis=0).all()], np.intp)
    for _ in range(2):
        moved = []
        for start in range(0, len(again), BATCH):
            rows = again[start : start + BATCH]
            matrices = [upright_matrix(five) for five in better[rows]]
            found = refine_points(network, np.stack([crop_of(image, matrix) for matrix in matrices]))
            for row, matrix, five in zip(rows, matrices, found, strict=True):
                if np.abs(five - transform(matrix, better[row])).max() > MOVED * FACE:
                    moved.append(row)
                better[row] = transform(invert(matrix), five)
        again = np.array(moved, np.intp)
    return better


def _upright(box: NDArray[np.float64], points: NDArray[np.float64]) -> Matrix:
    """The matrix that takes a face upright into the middle of a crop.

    The points tell the turn alone: their spread shrinks where a face is seen from the side.
    """
    scale = FACE / max(float(np.sqrt(np.prod(box[2:] - box[:2]))), 1.0)
    try:
        linear = upright_matrix(points)[:, :2]
        linear *= scale / math.sqrt(abs(float(np.linalg.det(linear))))
    except AlignmentError:
        linear = scale * np.eye(2)
    middle = 0.5 * (box[:2] + box[2:])
    return np.column_stack([linear, 0.5 * (CROP - 1) - linear @ middle])


def _central(seen: Found) -> tuple[NDArray[np.float64], float, NDArray[np.float64] | None]:
    """The face in the middle of an upright crop: its box, score and points; no points, and a low score, without one."""
    half = 0.5 * (CROP - 1)
    if len(seen):
        middles = 0.5 * (seen.boxes[:, :2] + seen.boxes[:, 2:])
        sizes = np.sqrt(np.prod(seen.boxes[:, 2:] - seen.boxes[:, :2], axis=1))
        off = np.hypot(*(middles - half).T) / FACE + np.abs(np.log(np.maximum(sizes, 1) / FACE))
        merit = np.where(off < 0.9, seen.scores * (1 - 0.5 * off), 0)
        best = int(np.argmax(merit))
        if merit[best] > 0:
            return seen.boxes[best], float(seen.scores[best]), seen.points[best]
    return np.zeros(4), UNSEEN, None


def _plausible(box: NDArray[np.float64], points: NDArray[np.float64]) -> bool:
    """Whether five points are arranged as those of a face that is about as large as its box, seen from any side."""
    size = float(np.sqrt(np.prod(box[2:] - box[:2])))
    try:
        matrix = similarity(CANONICAL, points)
    except AlignmentError:
        return False
    scale = math.hypot(matrix[0, 0], matrix[1, 0]) / size
    off = float(np.sqrt(np.square(transform(matrix, CANONICAL) - points).sum(axis=1).mean())) / size
    return SMALLEST <= scale <= LARGEST and off <= MISFIT


def _around(back: Matrix, box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box in the photo around the ellipse that fills a box in an upright crop."""
    middle = transform(back, 0.5 * (box[None, :2] + box[None, 2:]))[0]
    reach = np.hypot(*(back[:, :2] * (0.5 * (box[2:] - box[:2]))).T)  # rows are x and y, columns the half axes
    return np.concatenate([middle - reach, middle + reach])


def _roll(points: NDArray[np.float64]) -> float:
    """In degrees, clockwise, by all points."""
    try:
        matrix = similarity(CANONICAL, points)
    except AlignmentError:
        return 0.0
    return math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
