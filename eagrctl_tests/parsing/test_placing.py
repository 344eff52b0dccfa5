import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from eagrctl.data.align import TEMPLATE, align_matrix, centre_matrix, resize_matrix
from eagrctl.faces.found import FoundFace
from eagrctl.geometry import invert, warp_image
from eagrctl.parsing.placing import (
    BOX_MIDDLE,
    BOX_SIDE,
    Placer,
    box_matrix,
    cut_out,
    shifted,
    window_of,
)

SIZE = 65


class Told:
    """Finds the faces that it was told of; what detectors do is tested where they are."""

    description = identity = "told"

    def __init__(self) -> None:
        self.faces: tuple[FoundFace, ...] = ()

    def find(self, image: np.ndarray, near: np.ndarray | None = None) -> np.ndarray | None:
        raise NotImplementedError

    def find_all(self, image: np.ndarray) -> list[FoundFace]:
        return list(self.faces)


@pytest.fixture
def told() -> Told:
    return Told()


def similarity(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    across, down = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[across, -down, x], [down, across, y]])


@given(
    st.floats(0.3, 8),
    st.floats(-3.2, 3.2),
    st.floats(-90, 90),
    st.floats(-90, 90),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_a_window_holds_all_that_the_square_shows(
    scale: float, angle: float, x: float, y: float, height: int, width: int
) -> None:
    matrix = similarity(scale, angle, x, y)
    top, left, bottom, right = window_of(matrix, SIZE, (height, width))
    assert 0 <= top <= bottom <= height or top == bottom
    assert 0 <= left <= right <= width or left == right
    rows, columns = np.mgrid[:height, :width]
    across, down = (line[0] * columns + line[1] * rows + line[2] for line in matrix)
    seen = (across > -0.5) & (across < SIZE - 0.5) & (down > -0.5) & (down < SIZE - 0.5)
    outside = np.ones((height, width), bool)
    outside[top:bottom, left:right] = False
    assert not (seen & outside).any()
    # No larger than it has to be, but for the pixels that the corners lie in.
    if seen.any():
        corners = invert(matrix) @ np.array([[-0.5, SIZE - 0.5] * 2, [-0.5, -0.5, SIZE - 0.5, SIZE - 0.5], [1] * 4])
        assert bottom - top <= np.ptp(corners[1]) + 3
        assert right - left <= np.ptp(corners[0]) + 3


def test_a_shifted_matrix_counts_from_the_windows_corner() -> None:
    matrix = similarity(1.5, 0.4, 3, -2)
    moved = shifted(matrix, 10, 20)
    assert moved @ [5, 7, 1] == pytest.approx(matrix @ [25, 17, 1])


def test_a_face_of_a_large_photo_is_cut_out_as_from_the_whole() -> None:
    rows, columns = np.mgrid[:800, :1200]
    waves = [np.sin(columns / 17 + phase) * np.cos(rows / 23 - phase) for phase in range(3)]
    photo = np.round(127.5 + 127.5 * np.stack(waves, axis=2)).astype(np.uint8)
    for scale, apart in ((0.25, 8), (0.6, 3), (1.0, 1), (2.5, 1)):
        matrix = similarity(scale, 0.3, 20 - scale * 500, -scale * 420)
        ours, whole = cut_out(photo, matrix, SIZE), warp_image(photo, matrix, SIZE)
        assert whole.std() > 30
        # The shrunk photo and the shrunk part of it have their pixels elsewhere.
        assert np.abs(ours.astype(int) - whole).max() <= apart


def test_a_photo_that_is_seen_whole_is_warped_as_for_training() -> None:
    photo = astronaut()
    matrix = resize_matrix((512, 512), SIZE)
    assert np.array_equal(cut_out(photo, matrix, SIZE), warp_image(photo, matrix, SIZE))


def test_beyond_the_photo_it_is_black() -> None:
    photo = np.full((40, 40, 3), 200, np.uint8)
    cut = cut_out(photo, similarity(1, 0, SIZE - 10.0, SIZE - 10.0), SIZE)
    assert not cut[: SIZE - 12, : SIZE - 12].any()
    assert (cut[SIZE - 9 :, SIZE - 9 :] == 200).all()


def test_a_box_lands_where_boxes_of_aligned_faces_lie() -> None:
    matrix = box_matrix(np.array([10.0, 20, 109, 119]), SIZE)  # 100 pixels wide
    assert matrix @ [59.5, 69.5, 1] == pytest.approx(BOX_MIDDLE * SIZE - 0.5)
    assert matrix[0, 0] * 100 == pytest.approx(BOX_SIDE * SIZE)


@pytest.mark.parametrize("frame", [(100, 400), (400, 100), (7, 7), (1, 1), (1, 5000)])
def test_a_whole_photo_fits_into_the_middle_of_the_square(frame: tuple[int, int]) -> None:
    matrix = centre_matrix(frame, SIZE, whole=True)
    height, width = frame
    corners = matrix @ np.array([[-0.5, width - 0.5], [-0.5, height - 0.5], [1, 1]])
    assert (corners > -0.5 - 1e-9).all()
    assert (corners < SIZE - 0.5 + 1e-9).all()
    assert np.ptp(corners, axis=1).max() == pytest.approx(SIZE)
    assert corners.mean(axis=1) == pytest.approx([0.5 * (SIZE - 1)] * 2)
    assert matrix[0, 0] == matrix[1, 1]


def test_landmarks_put_a_face_where_training_saw_it(told: Told) -> None:
    photo, landmarks = astronaut(), TEMPLATE * 200 + [100, 20]
    told.faces = (FoundFace(np.array([150.0, 100, 250, 200]), 1.5, landmarks, 640),)
    (face,) = Placer(SIZE, "faces", told).place(photo)
    assert face.placed == "landmarks"
    assert np.array_equal(face.matrix, align_matrix(landmarks, SIZE))
    assert face.pixels.flags.writeable
    assert face.box == (150, 100, 250, 200)
    assert (face.confidence, face.look) == (1.5, 640)


@pytest.mark.parametrize(
    "landmarks",
    [np.full((5, 2), np.nan), np.full((5, 2), 130.0), TEMPLATE * 200 + [9000, 9000]],
    ids=["none known", "all in one place", "out of sight"],
)
def test_without_usable_landmarks_the_box_decides(told: Told, landmarks: np.ndarray) -> None:
    box = np.array([150.0, 100, 250, 200])
    told.faces = (FoundFace(box, 0.7, landmarks),)
    (face,) = Placer(SIZE, "faces", told).place(astronaut())
    assert face.placed == "box"
    assert np.array_equal(face.matrix, box_matrix(box, SIZE))
    assert face.pixels.any()


def test_a_photo_without_faces_has_none_or_is_placed_whole(told: Told) -> None:
    photo = astronaut()[:100]
    assert Placer(SIZE, "faces", told).place(photo) == []
    (whole,) = Placer(SIZE, "whole", told).place(photo)
    assert whole.placed == "whole"
    assert whole.window == (0, 0, 100, 512)
    assert (whole.box, whole.confidence, whole.landmarks) == (None, None, None)
    told.faces = (FoundFace(np.array([150.0, 100, 250, 200]), 1.5, TEMPLATE * 200),)
    assert [face.placed for face in Placer(SIZE, "whole", told).place(photo)] == ["landmarks"]


def test_a_crop_needs_no_detector() -> None:
    photo = astronaut()[:300]
    (face,) = Placer(SIZE, "crop", None).place(photo)
    assert face.placed == "crop"
    assert face.window == (0, 0, 300, 512)
    assert np.array_equal(face.pixels, warp_image(photo, resize_matrix((300, 512), SIZE), SIZE))
