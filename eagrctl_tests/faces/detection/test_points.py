import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from eagrctl.errors import AlignmentError
from eagrctl.faces.detection.points import (
    CROP,
    GOAL,
    STRIDE,
    PointsNetwork,
    crop_of,
    refine_points,
    upright_matrix,
)
from eagrctl.geometry import invert, transform, warp_image
from eagrctl_tests.faces.detection.test_network import stirred


def test_a_point_is_the_mean_place_under_its_map() -> None:
    network = PointsNetwork()
    logits = torch.full((1, 5, CROP // STRIDE, CROP // STRIDE), -1e9)
    logits[0, 0, 0, 0] = 0
    logits[0, 1, 2, 5] = logits[0, 1, 2, 6] = 3
    points = network.points(logits)
    assert points[0, 0].tolist() == [1.5, 1.5]
    assert points[0, 1].tolist() == [1.5 + 4 * 5.5, 1.5 + 4 * 2]


def test_its_maps_have_a_quarter_of_the_side_and_points_lie_in_the_crop() -> None:
    network = PointsNetwork().eval()
    crops = np.random.default_rng(0).integers(0, 256, (3, CROP, CROP, 3)).astype(np.uint8)
    assert network(torch.zeros(2, 3, CROP, CROP)).shape == (2, 5, 32, 32)
    points = refine_points(network, crops)
    assert points.shape == (3, 5, 2)
    assert points.dtype == np.float64
    assert ((points > 0) & (points < CROP - 1)).all()


def test_folded_it_gives_the_same_points() -> None:
    network = stirred(PointsNetwork())
    assert isinstance(network, PointsNetwork)
    crops = np.random.default_rng(0).integers(0, 256, (2, CROP, CROP, 3)).astype(np.uint8)
    assert np.allclose(refine_points(network, crops), refine_points(network.folded(), crops), atol=1e-2)


@given(st.floats(-3.1, 3.1), st.floats(0.1, 20), st.floats(-500, 500), st.floats(-500, 500))
def test_any_similarity_of_an_average_face_is_put_upright(turn: float, scale: float, x: float, y: float) -> None:
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]])
    matrix[:, 2] = x, y
    assert np.allclose(transform(upright_matrix(transform(matrix, GOAL)), transform(matrix, GOAL)), GOAL, atol=1e-6)


def test_points_in_one_place_are_no_face() -> None:
    with pytest.raises(AlignmentError):
        upright_matrix(np.full((5, 2), 7.0))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (-200.0, 30.0), (9000.0, 9000.0)])
def test_a_crop_is_what_warping_the_whole_photo_gives(shift: tuple[float, float]) -> None:
    landmarks = np.array([[203.0, 102], [246, 104], [221, 125], [201, 140], [245, 141]]) + shift
    matrix = upright_matrix(landmarks)
    whole = warp_image(astronaut(), matrix, CROP)
    cut = crop_of(astronaut(), matrix)
    assert np.abs(whole.astype(int) - cut).mean() < 2
    assert np.allclose(transform(invert(matrix), GOAL), landmarks, atol=8)
