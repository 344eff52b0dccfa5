"""The fast way from logits to labels, against interpolation pixel by pixel."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eagrctl.inference.mapping import map_labels


def interpolated(
    logits: NDArray[np.float32], matrix: NDArray[np.float64], size: int, source_size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """All logits at every pixel, in double precision, (N, height, width); and which pixels the input covers."""
    classes, high, wide = logits.shape
    values = np.zeros((classes, *source_size))
    seen = np.zeros(source_size, bool)
    for row in range(source_size[0]):
        for column in range(source_size[1]):
            x, y = matrix @ [column, row, 1.0]
            seen[row, column] = -0.5 < x < size - 0.5 and -0.5 < y < size - 0.5
            across = min(max(x * (wide - 1) / (size - 1), 0), wide - 1)
            down = min(max(y * (high - 1) / (size - 1), 0), high - 1)
            left, top = min(int(across), wide - 2), min(int(down), high - 2)
            a, b = across - left, down - top
            corner = logits[:, top : top + 2, left : left + 2].astype(np.float64)
            upper = corner[:, 0, 0] * (1 - a) + corner[:, 0, 1] * a
            lower = corner[:, 1, 0] * (1 - a) + corner[:, 1, 1] * a
            values[:, row, column] = upper * (1 - b) + lower * b
    return values, seen


@settings(max_examples=60)
@given(
    classes=st.integers(2, 7),
    grid=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    source=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    angle=st.sampled_from([0.0, 0.0, 0.3, -2.0]),
    scale=st.floats(0.3, 3.0),
    shift=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
    smooth=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_every_pixel_gets_the_class_that_interpolation_finds_best(
    classes: int,
    grid: tuple[int, int],
    source: tuple[int, int],
    angle: float,
    scale: float,
    shift: tuple[float, float],
    smooth: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(classes, *grid)).astype(np.float32)
    if smooth:
        # Most cells agree on one class, as in a real map.
        logits[random.integers(classes)] += 3
    size = 17
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    matrix = np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])
    labels = map_labels(logits, matrix, size, source)
    values, seen = interpolated(logits, matrix, size, source)
    assert labels.dtype == np.uint8
    assert labels.shape == source
    chosen = np.take_along_axis(values, labels[None].astype(int), axis=0)[0]
    # Where two classes are equal but for rounding, either may win; where a pixel lies on the frame's very edge, too.
    sure = seen & (np.abs(values.max(axis=0) - chosen) > 1e-4)
    assert not sure.any()
    points = np.stack(np.meshgrid(np.arange(source[1]), np.arange(source[0])), axis=-1) @ matrix[:, :2].T + matrix[:, 2]
    on_the_edge = (np.abs(points + 0.5) < 1e-6).any(-1) | (np.abs(points - (size - 0.5)) < 1e-6).any(-1)
    assert (labels[~seen & ~on_the_edge] == 0).all()


@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_all_classes_may_contest_one_cell(angle: float) -> None:
    logits = np.zeros((5, 2, 2), np.float32)
    for number, corner in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        logits[(number, *corner)] = 1.0
    logits[4] = 0.3  # best in the very middle alone
    turn = np.array([[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]])
    middle = 8 - turn[:, :2] @ [8, 8]
    matrix = np.column_stack([turn[:, :2], middle])
    labels = map_labels(logits, matrix, 17, (17, 17))
    assert labels[8, 8] == 4
    values, seen = interpolated(logits, matrix, 17, (17, 17))
    best = values.argmax(axis=0)
    apart = np.sort(values, axis=0)[-1] - np.sort(values, axis=0)[-2] > 1e-6
    assert np.array_equal(labels[apart & seen], best[apart & seen])
    assert len(np.unique(labels)) == 5
