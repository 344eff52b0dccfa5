from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagrctl.faces.detection import search as module
from eagrctl.faces.detection.look import Found
from eagrctl.faces.detection.points import CANONICAL
from eagrctl.faces.detection.search import search
from eagrctl.faces.found import roll_of
from eagrctl_tests.faces.detection.painted import BlueLooker, blue_photo


def test_one_look_is_enough_for_a_portrait_and_a_second_one_at_its_face() -> None:
    looker = BlueLooker()
    found = search(looker, blue_photo(400, 300, [(150, 180, 120, 0)]))
    assert np.allclose(found.boxes, [[90, 120, 210, 240]], atol=4)
    assert found.looks.tolist() == [400]
    assert [shape[1:3] for shape in looker.looks] == [(400, 300), (128, 128)]


def test_faces_come_largest_first_each_once() -> None:
    faces = [(60.0, 60.0, 50.0, 10.0), (300, 100, 110, -20), (200, 260, 70, 0)]
    found = search(BlueLooker(), blue_photo(350, 400, faces))
    sides = [float(np.sqrt(np.prod(box[2:] - box[:2]))) for box in found.boxes]
    assert sides == pytest.approx([110, 70, 50], rel=0.08)
    assert [roll_of(points) for points in found.points] == pytest.approx([-20, 0, 10], abs=6)


@settings(max_examples=12)
@given(st.floats(-179, 179))
def test_a_face_of_any_turn_comes_out_with_it(degrees: float) -> None:
    # Of one that is turned by more than 50 degrees, the looker sees nothing unless the photo is turned.
    found = search(BlueLooker(steepest=50), blue_photo(300, 300, [(140, 160, 100, degrees)]))
    assert np.allclose(found.boxes, [[90, 110, 190, 210]], atol=5)
    roll = roll_of(found.points[0])
    assert roll is not None
    assert abs((roll - degrees + 180) % 360 - 180) < 6


def test_small_faces_are_sought_larger_and_smaller_ones_in_tiles() -> None:
    looker = BlueLooker(smallest=12)
    small = search(looker, blue_photo(700, 700, [(200, 200, 40, 0), (500, 500, 9, 0)]))
    assert small.looks.tolist() == [640]
    looker = BlueLooker(smallest=12)
    found = search(looker, blue_photo(600, 600, [(200, 200, 26, 0), (500, 500, 9, 0)]))
    assert found.looks.tolist() == [600, 1200]
    looker = BlueLooker(smallest=12)
    found = search(looker, blue_photo(2400, 2400, [(300, 300, 32, 0), (2100, 2000, 16, 0)]))
    assert found.looks.tolist() == [1280, 2400]
    assert np.allclose(found.boxes[1], [2092, 1992, 2108, 2008], atol=2)


def test_long_photos_are_looked_at_in_tiles() -> None:
    found = search(BlueLooker(), blue_photo(60, 9000, [(100, 30, 40, 0), (8800, 30, 40, 0), (4000, 30, 40, 0)]))
    assert sorted(np.round(found.boxes[:, 0]).tolist()) == pytest.approx([80, 3980, 8780], abs=2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (40, 3), (3000, 20)])
def test_where_nothing_is_nothing_is_found(shape: tuple[int, int]) -> None:
    for photo in (np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 255, np.uint8)):
        found = search(BlueLooker(), photo)
        assert found.boxes.shape == (0, 4)
        assert found.points.shape == (0, 5, 2)


class _Sure(BlueLooker):
    """Sees a face in any photo that is larger than a crop, and in crops as `opinion` says."""

    def __init__(self, opinion: float) -> None:
        super().__init__()
        self.opinion = opinion

    def see(self, images: np.ndarray, least: float) -> list[Found]:
        side = images.shape[1]
        box = np.array([[0.22, 0.22, 0.78, 0.78]]) * side
        score = 0.9 if side != 128 else self.opinion
        points = (0.5 + 0.56 * CANONICAL)[None] * side
        found = Found(box, np.array([score]), points)
        return [found if score >= least else found.rows(np.zeros(1, bool)) for _ in images]


def test_a_second_look_has_a_say() -> None:
    photo = np.zeros((300, 300, 3), np.uint8)
    assert search(_Sure(0.9), photo, certain=0.7).scores.tolist() == pytest.approx([0.9])
    assert search(_Sure(0.64), photo, certain=0.7).scores.tolist() == pytest.approx([0.9**0.5 * 0.8])
    assert len(search(_Sure(0.5), photo, certain=0.7)) == 0
    assert len(search(_Sure(0.0), photo, certain=0.7)) == 0


@given(st.integers(1, 9000), st.integers(1, 30_000))
def test_tiles_cover_a_frame_and_overlap(height: int, width: int) -> None:
    tiles = list(module._tiles(height, width))
    for place, end in ((0, height), (1, width)):
        starts = sorted({tile[place] for tile in tiles})
        assert starts[0] == 0
        assert starts[-1] + module.TILE >= end
        assert all(later - earlier <= module.TILE - module.OVERLAP for earlier, later in pairwise(starts))


def test_however_large_a_photo_there_are_not_too_many_looks() -> None:
    looker = BlueLooker(smallest=1e9)
    search(looker, np.zeros((1000, 30_000, 3), np.uint8))
    assert len(looker.looks) <= module.MOST_TILES


def test_points_that_are_no_faces_are_refused() -> None:
    box = np.array([10.0, 10, 110, 110])
    face = 60 + 100 * CANONICAL
    assert module._plausible(box, face)
    profile = 60 + 100 * CANONICAL * [0.3, 1]
    assert module._plausible(box, profile)
    for points in (60 + 20 * CANONICAL, 60 + 300 * CANONICAL, np.full((5, 2), 60.0), face[[0, 1, 2, 4, 3]] * [1, -1]):
        assert not module._plausible(box, points)
