from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet
from eagrctl.errors import DataError
from eagrctl.training.scenes.label_landmarks import EYE_RATIO, NOSE_DROP, LabelLandmarks

# The eye on the viewer's left, the one on the right, the nose, and three parts of a mouth.
NAMES = {
    "celebamask-hq": (CELEBAMASK_HQ, ("r_eye", "l_eye", "nose", "u_lip", "mouth", "l_lip")),
    "helen": (HELEN, ("left eye", "right eye", "nose", "upper lip", "inner mouth", "lower lip")),
}
LEFT, RIGHT = slice(20, 31), slice(60, 71)


def drawn(ids: list[int]) -> np.ndarray:
    """A face of rectangles, (100, 100) uint8."""
    left, right, nose, upper, inner, lower = ids
    face = np.full((100, 100), 1, np.uint8)
    face[28:33, LEFT] = left  # centre (25, 30)
    face[28:33, RIGHT] = right  # centre (65, 30)
    face[40:51, 40:51] = nose  # centre (45, 45)
    face[70:73, 30:59] = upper
    face[73:76, 33:58] = inner
    face[76:81, 30:61] = lower
    return face


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest, tiny_data: ShardIndex) -> tuple[LabelLandmarks, np.ndarray, list[int]]:
    labels, names = NAMES[request.param]
    ids = [labels.id(name) for name in names]
    return LabelLandmarks.of(replace(tiny_data, labels=labels)), drawn(ids), ids


def test_points_lie_where_the_parts_lie(case: tuple[LabelLandmarks, np.ndarray, list[int]]) -> None:
    reader, face, _ = case
    # The mouth's left end is one column of upper and lower lip, eight pixels; its right end the lower lip's five.
    expected = [[25, 30], [65, 30], [45, 45 + 40 * NOSE_DROP], [30, (70 + 71 + 72 + 5 * 78) / 8], [60, 78]]
    assert np.allclose(reader.read(face), expected)


def test_a_face_that_lies_on_its_side_has_the_same_points(case: tuple[LabelLandmarks, np.ndarray, list[int]]) -> None:
    reader, face, _ = case
    upright = reader.read(face)
    fallen = reader.read(np.ascontiguousarray(np.rot90(face, -1)))  # clockwise: (x, y) -> (99 - y, x)
    assert np.allclose(fallen, np.stack([99 - upright[:, 1], upright[:, 0]], axis=1))


def test_without_both_eyes_there_are_no_points(case: tuple[LabelLandmarks, np.ndarray, list[int]]) -> None:
    reader, face, ids = case
    for eye in ids[:2]:
        one = np.where(face == eye, 1, face).astype(np.uint8)
        assert np.isnan(reader.read(one)).all()
    assert np.isnan(reader.read(np.zeros((9, 9), np.uint8))).all()


def test_a_half_hidden_eye_is_none(case: tuple[LabelLandmarks, np.ndarray, list[int]]) -> None:
    reader, face, _ = case
    for columns, seen in ((5, True), (4, False)):
        half = face.copy()
        half[28:33, RIGHT][:, columns:] = 1
        assert (columns / 11 >= EYE_RATIO) == seen
        assert np.isfinite(reader.read(half)).all() == seen


def test_a_rest_of_a_part_is_no_part(case: tuple[LabelLandmarks, np.ndarray, list[int]]) -> None:
    reader, face, ids = case
    rest = np.where(np.isin(face, ids[2:]), 1, face).astype(np.uint8)
    rest[45, 40:44], rest[75, 40:44] = ids[2], ids[3]
    points = reader.read(rest)
    assert np.isfinite(points[:2]).all()
    assert np.isnan(points[2:]).all()


@given(st.lists(st.integers(0, 18), min_size=64, max_size=64))
def test_points_of_any_labels_lie_among_them(numbers: list[int]) -> None:
    points = LabelLandmarks(((5,), (4,), (2,), (10, 11, 12))).read(np.array(numbers, np.uint8).reshape(8, 8))
    assert points.shape == (5, 2)
    known = points[[0, 1, 3, 4]]
    known = known[np.isfinite(known).all(axis=1)]
    assert ((known >= 0) & (known <= 7)).all()


def test_a_dataset_without_such_classes_is_refused(tiny_data: ShardIndex) -> None:
    mine = LabelSet(names=("background", "skin", "nose"), colours=((0, 0, 0),) * 3)
    with pytest.raises(DataError, match="no class of the dataset is left eye or right eye or mouth, of which"):
        LabelLandmarks.of(replace(tiny_data, labels=mine))


def test_a_dataset_of_aligned_faces_is_refused(tiny_data: ShardIndex) -> None:
    aligned = replace(tiny_data, root=Path("data/mine"), alignment="similarity by landmarks annotated by the dataset")
    with pytest.raises(DataError, match=r"the faces of data/mine are aligned, .*: prepare the dataset with --no-align"):
        LabelLandmarks.of(aligned)
