import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.segmentation import find_boundaries
from skimage.transform import resize as independent_resize

from eagrctl.data.align import (
    TEMPLATE,
    WEIGHTS,
    align_matrix,
    centre_matrix,
    plausible,
    resize_matrix,
    warp_labels,
    weights_of,
)
from eagrctl.errors import AlignmentError
from eagrctl.geometry import compose, invert, warp_image
from eagrctl.geometry import similarity as best_similarity
from eagrctl_tests.conftest import SUBSET

sides = st.integers(20, 90)


def similarity(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def move(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def unwarped(labels: np.ndarray, matrix: np.ndarray, frame: tuple[int, ...]) -> np.ndarray:
    return warp_labels(labels, invert(matrix), max(frame))[: frame[0], : frame[1]]


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


angles = st.floats(-math.pi, math.pi)
scales = st.floats(0.05, 20)
shifts = st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000))
# At least two of five landmarks stay.
unknown = st.sets(st.integers(0, 4), max_size=3)


@given(angles, scales, shifts, unknown, unknown, st.integers(0, 2**32 - 1))
def test_a_similarity_is_recovered_from_whichever_points_are_known(
    angle: float, scale: float, shift: tuple[float, float], here: set[int], there: set[int], seed: int
) -> None:
    points = 100 * (TEMPLATE + np.random.default_rng(seed).uniform(-0.05, 0.05, size=(5, 2)))
    true = similarity(angle, scale, shift)
    targets = move(points, true)
    points[list(here)] = np.nan
    targets[sorted(there)[: max(0, 3 - len(here))], 1] = np.nan  # half a point is none
    assert np.allclose(best_similarity(points, targets), true, rtol=0, atol=1e-6)


@given(angles, scales, shifts, st.integers(0, 2**32 - 1))
def test_even_mirrored_points_are_turned_not_mirrored(
    angle: float, scale: float, shift: tuple[float, float], seed: int
) -> None:
    points = np.random.default_rng(seed).uniform(0, 100, size=(5, 2))
    matrix = best_similarity(points * [-1, 1], move(points, similarity(angle, scale, shift)))
    (a, b), (c, d) = matrix[:, :2]
    assert a == d
    assert b == -c
    assert a * d - b * c > 0


@given(st.integers(0, 2**32 - 1), unknown)
def test_no_other_similarity_comes_closer(seed: int, here: set[int]) -> None:
    random = np.random.default_rng(seed)
    points, targets = random.uniform(0, 100, size=(5, 2)), 4 * TEMPLATE * 100 + random.normal(0, 5, size=(5, 2))
    points[list(here)] = np.nan

    def error(matrix: np.ndarray) -> float:
        return float(np.nansum((move(points, matrix) - targets) ** 2))

    best = best_similarity(points, targets)
    for _ in range(20):
        angle, scale = random.normal(0, 0.02), 1 + random.normal(0, 0.02)
        shift = random.normal(0, 2, size=2)
        assert error(best) <= error(compose(similarity(angle, scale, tuple(shift)), best)) + 1e-9


@pytest.mark.parametrize("known", [[], [3]])
def test_fewer_than_two_points_align_nothing(known: list[int]) -> None:
    points = np.full((5, 2), np.nan)
    points[known] = 7
    with pytest.raises(AlignmentError, match=rf"^{len(known)} of 5 landmarks .*--landmarks$"):
        align_matrix(points, 473)


def test_one_point_given_five_times_aligns_nothing() -> None:
    with pytest.raises(AlignmentError, match=r"^5 of 5 landmarks are known, and no two of them differ"):
        align_matrix(np.full((5, 2), 7.0), 473)


def test_points_in_a_hopeless_order_are_refused_not_shrunk_to_nothing() -> None:
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    with pytest.raises(AlignmentError, match=r"^landmarks shrink to a single point.*in the order viewer's left eye"):
        best_similarity(corners, corners * [-1, 1])


@given(angles, scales, shifts, st.integers(10, 600), unknown)
def test_landmarks_land_on_the_template(
    angle: float, scale: float, shift: tuple[float, float], size: int, here: set[int]
) -> None:
    landmarks = move(TEMPLATE * 300, similarity(angle, scale, shift))
    known = landmarks.copy()
    known[list(here)] = np.nan
    # A fraction of the side counts from the frame's edge, which lies half a pixel before the first pixel's centre.
    assert np.allclose((move(landmarks, align_matrix(known, size)) + 0.5) / size, TEMPLATE, atol=1e-6)


@given(angles, scales, shifts, st.floats(-40, 40))
def test_two_eyes_alone_land_on_the_template(
    angle: float, scale: float, shift: tuple[float, float], astray: float
) -> None:
    landmarks = np.full((5, 2), np.nan)
    landmarks[:2] = move(np.array([[100.0, 100.0], [200.0, 100.0 + astray]]), similarity(angle, scale, shift))
    assert np.allclose(move(landmarks[:2], align_matrix(landmarks, 473)), TEMPLATE[:2] * 473 - 0.5, atol=1e-6)


def test_the_template_is_the_same_from_left_and_right() -> None:
    mirrored = (TEMPLATE * [-1, 1] + [1, 0])[[1, 0, 2, 4, 3]]
    assert np.allclose(mirrored, TEMPLATE)
    with pytest.raises(ValueError, match="read-only"):
        TEMPLATE[0, 0] = 0


@given(height=sides, width=sides, size=sides)
def test_the_fallback_shows_the_largest_centred_square(height: int, width: int, size: int) -> None:
    side = min(height, width)
    left, top = (width - side) / 2 - 0.5, (height - side) / 2 - 0.5
    corners = np.array([[left, top], [left + side, top + side]])
    assert np.allclose(move(corners, centre_matrix((height, width), size)), [[-0.5] * 2, [size - 0.5] * 2])


def test_the_fallback_leaves_a_square_of_the_right_size_alone() -> None:
    assert np.array_equal(centre_matrix((473, 473), 473), np.eye(2, 3))


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
    back = unwarped(warp_labels(labels, matrix, size), matrix, (height, width))
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
        assert (unwarped(warp_labels(labels, matrix, 473), matrix, labels.shape) == labels).mean() >= 0.99


@pytest.mark.shared
@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.3, 0.95), (-0.2, 1.15)])
def test_real_labels_survive_a_turn_onto_473_and_back_inside_the_crop(angle: float, scale: float) -> None:
    for path in sorted((SUBSET / "labels").glob("*.png"))[:10]:
        with Image.open(path) as picture:
            labels = np.array(picture)
        centre = similarity(0, 1, (-255.5, -255.5))
        matrix = compose(similarity(angle, scale * 473 / 512, (236, 236)), centre)
        back = unwarped(warp_labels(labels, matrix, 473), matrix, labels.shape)
        rows, columns = np.mgrid[:512, :512]
        there = matrix @ np.stack([columns.ravel(), rows.ravel(), np.ones(labels.size)])
        inside = ((there >= 0) & (there <= 472)).all(axis=0).reshape(labels.shape)
        assert (back == labels)[inside].mean() >= 0.99


FACE = TEMPLATE * 200 + 20


def moved(row: int | slice, by: tuple[float, float]) -> np.ndarray:
    points = FACE.copy()
    points[row] += by
    return points


@given(st.floats(0, 6.3), st.floats(0.1, 3), st.integers(0, 31))
def test_a_face_is_plausible_however_it_is_turned_and_whatever_is_unknown(
    angle: float, scale: float, unknown: int
) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (FACE - FACE.mean(axis=0)) @ turn.T * scale + 120
    points[[bool(unknown & 1 << row) for row in range(5)]] = np.nan
    assert plausible(points, (240, 240))


@pytest.mark.parametrize(
    "points",
    [
        np.array([[100.0, 100], [101, 101], [102, 120], [95, 140], [105, 140]]),  # as in some files of LaPa
        FACE[[1, 0, 2, 3, 4]],  # the sides are swapped, or the photo stands on its head
        moved(slice(0, 5), (250, 0)),
        moved(slice(3, 5), (0, -150)),
        np.array([[x, x + 3.0] for x in (10, 30, 50, 70, 90)]),
        FACE * 3,
        np.full((5, 2), 7.0),
    ],
    ids=["eyes", "sides", "outside", "mouth above eyes", "a line", "too large", "a point"],
)
def test_what_is_no_face_is_not_plausible(points: np.ndarray) -> None:
    assert not plausible(points, (240, 240))
    assert plausible(FACE, (240, 240))


@given(st.floats(0.75, 1.3))
def test_of_a_head_that_hardly_turns_the_eyes_decide(width: float) -> None:
    assert np.array_equal(weights_of(TEMPLATE * [width, 1]), WEIGHTS)
    eyes = np.vstack([TEMPLATE[:2] * [0.2, 1], np.full((3, 2), np.nan)])
    assert np.array_equal(weights_of(eyes), WEIGHTS)


def test_a_profile_is_not_blown_up() -> None:
    profile = TEMPLATE * [0.3, 1]
    assert np.allclose(weights_of(profile), 1)
    scale = np.sqrt(np.linalg.det(align_matrix(profile, 100)[:, :2])) / 100
    assert 0.9 < scale < 1.4  # by the eyes alone it would be 3.3
    by_eyes = best_similarity(profile[:2], TEMPLATE[:2])
    assert np.sqrt(np.linalg.det(by_eyes[:, :2])) > 3
