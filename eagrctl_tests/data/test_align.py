import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.segmentation import find_boundaries
from skimage.transform import resize as independent_resize

from eagrctl.data.align import compose, invert, resize_matrix, unwarp_labels, warp_image, warp_labels
from eagrctl_tests.conftest import SUBSET

sides = st.integers(20, 90)


def similarity(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def blobs(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return ((rows * 4 // height) * 4 + columns * 4 // width).astype(np.uint8)


@given(height=sides, width=sides, size=sides)
def test_a_resize_matrix_takes_corners_to_corners(height: int, width: int, size: int) -> None:
    matrix = resize_matrix((height, width), size)
    corners = np.array([[-0.5, -0.5, 1], [width - 0.5, height - 0.5, 1]]).T
    assert np.allclose(matrix @ corners, [[-0.5, size - 0.5], [-0.5, size - 0.5]])


@given(st.floats(-3, 3), st.floats(0.3, 3), st.floats(-50, 50), st.floats(-50, 50))
def test_an_inverse_undoes_its_matrix(angle: float, scale: float, right: float, down: float) -> None:
    matrix = similarity(angle, scale, (right, down))
    assert np.allclose(compose(invert(matrix), matrix), np.eye(2, 3), atol=1e-9)


@given(height=sides, width=sides)
def test_the_identity_leaves_pixels_alone(height: int, width: int) -> None:
    labels = blobs(height, width)
    side = max(height, width)
    square = np.zeros((side, side), np.uint8)
    square[:height, :width] = labels
    assert np.array_equal(warp_labels(labels, np.eye(2, 3), side), square)
    photo = np.stack([labels] * 3, axis=2)
    assert np.array_equal(warp_image(photo, np.eye(2, 3), side)[:height, :width], photo)


def test_a_whole_shift_moves_pixels_by_whole_pixels() -> None:
    labels = blobs(40, 40)
    moved = warp_labels(labels, similarity(0, 1, (5, -3)), 40)
    assert np.array_equal(moved[:37, 5:], labels[3:, :35])
    assert not moved[:, :5].any()
    assert not moved[37:].any()


def test_a_quarter_turn_turns_pixels() -> None:
    labels = blobs(40, 40)
    matrix = np.array([[0.0, -1.0, 39.0], [1.0, 0.0, 0.0]])  # (x, y) -> (39 - y, x): clockwise
    assert np.array_equal(warp_labels(labels, matrix, 40), np.rot90(labels, -1))


@settings(max_examples=40)
@given(
    height=st.integers(60, 120),
    width=st.integers(60, 120),
    angle=st.floats(-0.6, 0.6),
    scale=st.floats(1.0, 1.6),
)
def test_unwarp_after_warp_agrees_inside_the_crop(height: int, width: int, angle: float, scale: float) -> None:
    size = 200
    centre = similarity(0, 1, (-(width - 1) / 2, -(height - 1) / 2))
    matrix = compose(similarity(angle, scale, ((size - 1) / 2, (size - 1) / 2)), centre)
    labels = blobs(height, width)
    back = unwarp_labels(warp_labels(labels, matrix, size), matrix, (height, width))
    rows, columns = np.mgrid[:height, :width]
    there = matrix @ np.stack([columns.ravel(), rows.ravel(), np.ones(labels.size)])
    inside = ((there >= 0) & (there <= size - 1)).all(axis=0).reshape(labels.shape)
    # Nearest twice can only move a pixel on a border between labels, and there by one.
    border = find_boundaries(np.pad(labels, 1, constant_values=255), connectivity=2, mode="thick")[1:-1, 1:-1]
    assert inside.mean() > 0.5
    assert (back == labels)[inside & ~border].all()


def test_a_photo_that_shrinks_is_averaged_not_sampled() -> None:
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::2] = 200
    shrunk = warp_image(stripes, resize_matrix((200, 200), 50), 50)
    assert np.abs(shrunk[5:-5, 5:-5].astype(int) - 100).max() <= 5


@pytest.mark.parametrize(("height", "width", "size"), [(120, 120, 80), (60, 60, 100), (90, 120, 75)])
def test_a_resized_photo_lies_where_scikit_image_puts_it(height: int, width: int, size: int) -> None:
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([120 + 100 * np.sin(rows / 9), 120 + 100 * np.cos(columns / 7), rows + columns], axis=2)
    photo = smooth.clip(0, 255).astype(np.uint8)
    ours = warp_image(photo, resize_matrix((height, width), size), size).astype(float)
    theirs = 255 * independent_resize(photo, (size, size), order=1, anti_aliasing=height > size)
    assert np.abs(ours - theirs)[2:-2, 2:-2].mean() < 3


@pytest.mark.shared
def test_real_labels_survive_the_way_to_473_and_back() -> None:
    paths = sorted((SUBSET / "labels").glob("*.png"))[:20]
    for path in paths:
        labels = np.array(Image.open(path))
        matrix = resize_matrix(labels.shape, 473)
        assert (unwarp_labels(warp_labels(labels, matrix, 473), matrix, labels.shape) == labels).mean() >= 0.99
