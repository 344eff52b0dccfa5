import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.data.align import TEMPLATE
from eagrctl.parsing.merging import merge_faces
from eagrctl.parsing.parsed import ParsedFace

SIZE = 33
PHOTO = (14, 17)


def naive(faces: list[ParsedFace]) -> np.ndarray:
    """Pixel by pixel, all faces that have a class there, the nearest first."""
    middle = TEMPLATE.mean(axis=0) * SIZE - 0.5
    labels = np.zeros(PHOTO, np.uint8)
    for row in range(PHOTO[0]):
        for column in range(PHOTO[1]):
            claims = []
            for face in faces:
                top, left, bottom, right = face.window
                if top <= row < bottom and left <= column < right and face.labels[row - top, column - left]:
                    x, y = face.matrix @ [column, row, 1]
                    distance = (x - middle[0]) ** 2 + (y - middle[1]) ** 2
                    claims.append((distance, face.labels[row - top, column - left]))
            if claims:
                labels[row, column] = min(claims)[1]
    return labels


@st.composite
def some_faces(draw: st.DrawFn) -> list[ParsedFace]:
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    faces = []
    for _ in range(draw(st.integers(0, 4))):
        top, bottom = sorted(random.integers(0, PHOTO[0] + 1, 2))
        left, right = sorted(random.integers(0, PHOTO[1] + 1, 2))
        scale, angle = random.uniform(0.5, 4), random.uniform(-1, 1)
        across, down = scale * math.cos(angle), scale * math.sin(angle)
        matrix = np.array([[across, -down, random.uniform(-9, 9)], [down, across, random.uniform(-9, 9)]])
        labels = random.integers(0, 5, (bottom - top, right - left)).astype(np.uint8)
        faces.append(ParsedFace(matrix, (int(top), int(left), int(bottom), int(right)), labels, size=SIZE))
    # Twice the same face: whatever the order, equal distances.
    return [*faces, *faces[:1]] if draw(st.booleans()) else faces


@given(some_faces())
def test_of_several_classes_the_nearest_faces_wins(faces: list[ParsedFace]) -> None:
    merged = merge_faces(faces, PHOTO)
    assert merged.dtype == np.uint8
    assert np.array_equal(merged, naive(faces))


@given(some_faces())
def test_the_order_of_faces_changes_nothing(faces: list[ParsedFace]) -> None:
    maps = [merge_faces(order, PHOTO) for order in permutations(faces[:4])]
    assert all(np.array_equal(maps[0], other) for other in maps)


def test_equally_near_faces_leave_the_smaller_class() -> None:
    matrix = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    one, other = (ParsedFace(matrix, (0, 0, 1, 2), np.array([row], np.uint8), size=SIZE) for row in ([7, 2], [3, 9]))
    assert merge_faces([one, other], (1, 2)).tolist() == [[3, 2]]


@pytest.mark.parametrize("classes", [(1, 2), (2, 1)])
def test_a_large_face_reaches_farther_than_a_small_one(classes: tuple[int, int]) -> None:
    middle = TEMPLATE.mean(axis=0) * SIZE - 0.5
    # In a photo of one row, the middle of a face three times as large is at 0, that of the other at 40.
    matrices = (
        np.array([[scale, 0, middle[0] - scale * place], [0, scale, middle[1]]])
        for scale, place in ((1.0, 0), (3.0, 40))
    )
    large, small = (
        ParsedFace(matrix, (0, 0, 1, 41), np.full((1, 41), number, np.uint8), size=SIZE)
        for matrix, number in zip(matrices, classes, strict=True)
    )
    # They meet where x = 3 (40 - x): at 30, where the smaller class wins.
    expected = [classes[0]] * 30 + [min(classes)] + [classes[1]] * 10
    assert merge_faces([large, small], (1, 41)).tolist() == [expected]


def test_no_face_leaves_background() -> None:
    assert not merge_faces([], (3, 4)).any()


def test_faces_keep_their_own_labels() -> None:
    matrix = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    faces = [ParsedFace(matrix, (0, 0, 2, 2), np.full((2, 2), 4, np.uint8), size=SIZE) for _ in range(2)]
    merge_faces(faces, (5, 5))
    assert all((face.labels == 4).all() for face in faces)
