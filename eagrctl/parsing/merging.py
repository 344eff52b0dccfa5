"""Several faces of a photo -> one label map.

Faces that stand close see one another: each one's window holds parts of its neighbours, and the network only guesses
at these, because it was trained to parse the one face in the middle. So

* a class beats the background: where one face ends says nothing about its neighbour;
* of two classes, the one whose face is nearer wins. Distance is measured in the network's frame, from where alignment
  puts the middle of a face: there all faces are of one size, so that a large face reaches farther than a small one, as
  it does in the photo. At equal distances the smaller id wins.

Nothing depends on the order of the faces.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Pixels
from eagrctl.data.align import TEMPLATE
from eagrctl.data.labels import BACKGROUND
from eagrctl.parsing.parsed import ParsedFace, Window

MIDDLE = TEMPLATE.mean(axis=0)  # Where alignment puts the middle of a face, as x and y in shares of the frame's side.

Item = TypeVar("Item", np.uint8, np.bool_)


def merge_faces(faces: Sequence[ParsedFace], photo_size: tuple[int, ...]) -> Pixels:
    """One label map, uint8, of all faces in a photo of (height, width).

    Beyond the map itself, time and memory depend on the faces' windows, not on the photo.
    """
    if len(faces) == 1:
        return faces[0].in_photo(photo_size)
    labels = np.zeros(photo_size, np.uint8)
    for face, lost in zip(faces, lost_to_neighbours(faces), strict=True):
        top, left, bottom, right = face.window
        np.copyto(labels[top:bottom, left:right], face.labels, where=(face.labels != BACKGROUND) & ~lost)
    return labels


def lost_to_neighbours(faces: Sequence[ParsedFace]) -> list[NDArray[np.bool_]]:
    """Of each face's window, where another face's class wins over its own."""
    lost = [np.zeros(face.labels.shape, np.bool_) for face in faces]
    for (one, its_own), (other, the_others) in combinations(zip(faces, lost, strict=True), 2):
        both = _common(one.window, other.window)
        if both is None:
            continue
        # Views: what is struck out here is struck out of `lost`.
        here, there = _part(its_own, one.window, both), _part(the_others, other.window, both)
        shown = [_part(face.labels, face.window, both) for face in (one, other)]
        rows, columns = np.nonzero((shown[0] != BACKGROUND) & ~here & (shown[1] != BACKGROUND) & ~there)
        places = rows + both[0], columns + both[1]
        apart = _distance(one, places) - _distance(other, places)
        first = (apart < 0) | ((apart == 0) & np.less(*(labels[rows, columns] for labels in shown)))
        here[rows[~first], columns[~first]] = True
        there[rows[first], columns[first]] = True
    return lost


def _common(one: Window, other: Window) -> Window | None:
    """Where two windows overlap."""
    top, left = max(one[0], other[0]), max(one[1], other[1])
    bottom, right = min(one[2], other[2]), min(one[3], other[3])
    return (top, left, bottom, right) if top < bottom and left < right else None


def _part(values: NDArray[Item], window: Window, part: Window) -> NDArray[Item]:
    """What an array that covers `window` holds of `part`, as a view."""
    top, left, bottom, right = part
    return values[top - window[0] : bottom - window[0], left - window[1] : right - window[1]]


def _distance(face: ParsedFace, places: tuple[NDArray[np.intp], NDArray[np.intp]]) -> NDArray[np.float64]:
    """Squared distance of rows and columns of the photo from the middle of a face, in the network's frame."""
    rows, columns = places
    middle = MIDDLE * face.size - 0.5
    across, down = (line[0] * columns + line[1] * rows + line[2] for line in face.matrix)
    squared: NDArray[np.float64] = (across - middle[0]) ** 2 + (down - middle[1]) ** 2
    return squared
