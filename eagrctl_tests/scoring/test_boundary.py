import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eagrctl.scoring.boundary import Boundary

CLASSES = 4
sides = st.tuples(st.integers(1, 7), st.integers(1, 7))
pairs = sides.flatmap(
    lambda shape: st.tuples(
        arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 3, 255])),
        arrays(np.uint8, shape, elements=st.integers(0, CLASSES - 1)),
    )
)


def boundary_pixels(labels: np.ndarray, wanted: int) -> list[tuple[int, int]]:
    height, width = labels.shape
    found = []
    for y in range(height):
        for x in range(width):
            if labels[y, x] != wanted:
                continue
            for beside, across in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= beside < height and 0 <= across < width
                if inside and labels[beside, across] not in (wanted, 255):
                    found.append((y, x))
                    break
    return found


def near(pixels: list[tuple[int, int]], others: list[tuple[int, int]], tolerance: int) -> int:
    return sum(any(math.dist(pixel, other) <= tolerance for other in others) for pixel in pixels)


def by_loops(images: list[tuple[np.ndarray, np.ndarray]], wanted: int, tolerance: int) -> float:
    labelled = predicted = recalled = right = 0
    for labels, prediction in images:
        guess = prediction.copy()
        guess[labels == 255] = 255
        inner, outer = boundary_pixels(labels, wanted), boundary_pixels(guess, wanted)
        labelled, predicted = labelled + len(inner), predicted + len(outer)
        recalled += near(inner, outer, tolerance)
        right += near(outer, inner, tolerance)
    if labelled + predicted == 0:
        return math.nan
    if recalled == 0:
        return 0
    precision, recall = right / predicted, recalled / labelled
    return 2 * precision * recall / (precision + recall)


@given(st.lists(pairs, min_size=1, max_size=3))
def test_it_equals_naive_loops_summed_over_all_images(images: list[tuple[np.ndarray, np.ndarray]]) -> None:
    boundary = Boundary(CLASSES, (1, 2, 5))
    for labels, prediction in images:
        boundary.add(labels, prediction)
    expected = [[by_loops(images, wanted, tolerance) for wanted in range(CLASSES)] for tolerance in (1, 2, 5)]
    assert np.allclose(boundary.f1(), expected, rtol=0, atol=1e-12, equal_nan=True)


def square(left: int, side: int = 20) -> np.ndarray:
    labels = np.zeros((40, 60), np.uint8)
    labels[10 : 10 + side, left : left + side] = 1
    return labels


@pytest.mark.parametrize(("shift", "found"), [(0, (1, 1, 1)), (1, (1, 1, 1)), (3, (None, 1, 1)), (25, (0, 0, 0))])
def test_a_square_is_matched_within_as_many_pixels_as_it_is_shifted(
    shift: int, found: tuple[float | None, ...]
) -> None:
    boundary = Boundary(2)
    boundary.add(square(10), square(10 + shift))
    for score, expected in zip(boundary.f1()[:, 1], found, strict=True):
        assert (0 < score < 1) if expected is None else score == expected


def test_distance_is_measured_as_the_crow_flies() -> None:
    labels, prediction = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    labels[1, 1] = prediction[4, 5] = 1  # 3 down, 4 across
    boundary = Boundary(2, (4, 5))
    boundary.add(labels, prediction)
    assert boundary.f1()[:, 1].tolist() == [0, 1]


def test_pixels_are_summed_and_images_are_not_averaged() -> None:
    boundary = Boundary(2)
    boundary.add(square(10), square(10))
    boundary.add(square(10, side=4), np.zeros((40, 60), np.uint8))
    # 76 boundary pixels are right, 12 are missed: precision 1, recall 76 / 88.
    assert boundary.f1()[0, 1] == pytest.approx(2 * 76 / (76 + 88))


def test_neither_the_images_border_nor_pixels_without_a_label_make_a_boundary() -> None:
    labels = np.ones((6, 6), np.uint8)
    labels[:, 3:] = 255
    boundary = Boundary(3)
    boundary.add(labels, np.where(labels == 255, np.uint8(2), labels))
    assert np.isnan(boundary.f1()).all()
    assert boundary.labelled.sum() == boundary.predicted.sum() == 0


@pytest.mark.parametrize(
    ("labels", "prediction", "complaint"),
    [
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), "differ in shape"),
        (np.full((2, 2), 3, np.uint8), np.zeros((2, 2), np.uint8), r"outside 0\.\.2"),
        (np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8), r"outside 0\.\.2"),
    ],
)
def test_what_cannot_be_counted_is_refused(labels: np.ndarray, prediction: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Boundary(3).add(labels, prediction)
