import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.data.align import TEMPLATE
from eagrctl.faces.found import FoundFace, roll_of, yaw_of


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@given(st.floats(-179, 179), st.floats(1, 1000))
def test_roll_is_the_angle_of_the_eyes_clockwise(degrees: float, scale: float) -> None:
    roll = roll_of(turned(scale * TEMPLATE, degrees))
    assert roll == pytest.approx(degrees, abs=1e-6)


@given(st.floats(-80, 80), st.floats(-170, 170))
def test_a_head_that_turns_is_read_by_its_nose(yaw: float, roll: float) -> None:
    # An average face in millimetres, turned about its upright axis and seen from afar.
    face = np.array([[-31.0, 0, 0], [31, 0, 0], [0, 40, 28], [-25, 66, 0], [25, 66, 0]])
    angle = np.deg2rad(yaw)
    seen = np.stack([face[:, 0] * np.cos(angle) + face[:, 2] * np.sin(angle), face[:, 1]], 1)
    assert yaw_of(turned(seen, roll)) == pytest.approx(yaw, abs=5)


def test_without_points_nothing_is_known() -> None:
    face = FoundFace(np.zeros(4), 0.9, np.full((5, 2), np.nan))
    assert (face.roll, face.yaw, face.look) == (None, None, None)
    one_place = FoundFace(np.zeros(4), 0.9, np.zeros((5, 2)))
    assert (one_place.roll, one_place.yaw) == (None, None)
    eyes = np.vstack([TEMPLATE[:2], np.full((3, 2), np.nan)])
    assert roll_of(eyes) == pytest.approx(0)
    assert yaw_of(eyes) is None
