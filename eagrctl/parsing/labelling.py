"""Squares -> logits -> labels of each face in the photo -> one label map.

Faces that stand close see one another: each one's window holds parts of its neighbours, and the network only guesses
at these, because it was trained to parse the one face in the middle. So

* a class beats the background: where one face ends says nothing about its neighbour;
* of two classes, the one whose face is nearer wins. Distance is measured in the network's frame, from where alignment
  puts the middle of a face: there all faces are of one size, so that a large face reaches farther than a small one, as
  it does in the photo. At equal distances the smaller id wins.

Nothing depends on the order of the faces.
"""

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from eagrctl.arrays import Matrix, Pixels
from eagrctl.data.align import TEMPLATE, widened
from eagrctl.data.labels import BACKGROUND
from eagrctl.inference.predict import Segmenter, labels_in_source
from eagrctl.parsing.frames import LOOKS, WIDER, blended, reaches_out
from eagrctl.parsing.parsed import ParsedFace, Window
from eagrctl.parsing.placing import Square, cut_out, shifted, window_of

MIDDLE = TEMPLATE.mean(axis=0)  # Where alignment puts the middle of a face, as x and y in shares of the frame's side.
BAND = 1 << 20  # So many pixels are mapped back at once: more fit into no cache, and take twice as long.

Item = TypeVar("Item", np.uint8, np.bool_)


@torch.inference_mode()
def label_faces(
    segmenter: Segmenter, squares: Sequence[Square], probabilities: bool = False, outer: Collection[int] = ()
) -> list[ParsedFace]:
    """Label faces of one or several photos, which go through the network together, each in the window of its photo.

    Args:
        segmenter: the network.
        squares: of the faces.
        probabilities: whether faces carry those of all classes.
        outer: ids of parts that the network looks for in a wider square where they reach out of the first; see
            `eagrctl.parsing.frames`.
    """
    size = segmenter.recipe.size
    closest = segmenter.logits([square.pixels for square in squares])
    logits, matrices = list(closest), [[square.matrix] for square in squares]
    looking = list(range(len(squares)))
    for _ in range(LOOKS - 1 if outer else 0):
        looking = [
            face
            for face in looking
            if reaches_out(logits[face], matrices[face][-1], size, squares[face].photo.shape, outer)
        ]
        if not looking:
            break
        for face in looking:
            matrices[face].append(widened(matrices[face][-1], size, WIDER))
        seen = segmenter.logits([np.array(cut_out(squares[face].photo, matrices[face][-1], size)) for face in looking])
        for face, wide in zip(looking, seen, strict=True):
            logits[face] = blended(logits[face], wide, outer)
    given = closest.float().softmax(dim=1).cpu().numpy() if probabilities else [None] * len(squares)
    return [
        label_face(square, scores, size, looks, each)
        for square, scores, looks, each in zip(squares, logits, matrices, given, strict=True)
    ]


def label_face(
    square: Square,
    logits: torch.Tensor,
    size: int,
    matrices: Sequence[Matrix] = (),
    probabilities: NDArray[np.float32] | None = None,
) -> ParsedFace:
    """The face whose widest square, of size x size pixels, has these logits, (N, h, w).

    `matrices` take the photo to the squares of all looks, the closest first; by default there is one.
    """
    matrices = tuple(matrices) or (square.matrix,)
    window = square.window if len(matrices) == 1 else window_of(matrices[-1], size, square.photo.shape)
    top, left, bottom, right = window
    rows = max(1, BAND // max(1, right - left))
    maps = [
        labels_in_source(logits, shifted(matrices[-1], start, left), size, (min(rows, bottom - start), right - left))
        for start in range(top, bottom, rows)
    ]
    labels = maps[0] if len(maps) == 1 else np.concatenate(maps)
    placed = square.placed, square.box, square.confidence, square.landmarks, square.look
    return ParsedFace(square.matrix, window, labels, *placed, probabilities, matrices)


def merge_faces(faces: Sequence[ParsedFace], photo_size: tuple[int, ...], size: int) -> Pixels:
    """One label map, uint8, of all faces in a photo of (height, width); `size` is the side of the network's input.

    Beyond the map itself, time and memory depend on the faces' windows, not on the photo.
    """
    if len(faces) == 1:
        return faces[0].in_photo(photo_size)
    shown = [face.labels != BACKGROUND for face in faces]
    for (one, its_own), (other, the_others) in combinations(zip(faces, shown, strict=True), 2):
        both = _common(one.window, other.window)
        if both is None:
            continue
        # Views: what is struck out here is struck out of `shown`.
        here, there = _part(its_own, one.window, both), _part(the_others, other.window, both)
        rows, columns = np.nonzero(here & there)
        places = rows + both[0], columns + both[1]
        apart = _distance(one, places, size) - _distance(other, places, size)
        classes = (_part(face.labels, face.window, both)[rows, columns] for face in (one, other))
        first = (apart < 0) | ((apart == 0) & np.less(*classes))
        here[rows[~first], columns[~first]] = False
        there[rows[first], columns[first]] = False
    labels = np.zeros(photo_size, np.uint8)
    for face, mask in zip(faces, shown, strict=True):
        top, left, bottom, right = face.window
        np.copyto(labels[top:bottom, left:right], face.labels, where=mask)
    return labels


def _common(one: Window, other: Window) -> Window | None:
    """Where two windows overlap."""
    top, left = max(one[0], other[0]), max(one[1], other[1])
    bottom, right = min(one[2], other[2]), min(one[3], other[3])
    return (top, left, bottom, right) if top < bottom and left < right else None


def _part(values: NDArray[Item], window: Window, part: Window) -> NDArray[Item]:
    """What an array that covers `window` holds of `part`, as a view."""
    top, left, bottom, right = part
    return values[top - window[0] : bottom - window[0], left - window[1] : right - window[1]]


def _distance(face: ParsedFace, places: tuple[NDArray[np.intp], NDArray[np.intp]], size: int) -> NDArray[np.float64]:
    """Squared distance of rows and columns of the photo from the middle of a face, in the network's frame."""
    rows, columns = places
    middle = MIDDLE * size - 0.5
    across, down = (line[0] * columns + line[1] * rows + line[2] for line in face.matrix)
    squared: NDArray[np.float64] = (across - middle[0]) ** 2 + (down - middle[1]) ** 2
    return squared
