import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from eagrctl.training.detector.measure import FALSE, HIT, LEFT_OUT, average_precision, match, pooled

FACES = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
NONE = np.empty((0, 4))


def test_the_best_box_hits_a_face_and_the_next_one_is_false() -> None:
    boxes = np.array([[0.0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60], [51, 50, 61, 60]])
    found = match(boxes, np.array([0.5, 0.9, 0.3, 0.2]), FACES, np.array([[45.0, 45, 60, 65]]))
    assert found.kinds.tolist() == [FALSE, HIT, LEFT_OUT, LEFT_OUT]
    assert found.faces.tolist() == [-1, 0, -1, -1]


def test_without_faces_or_boxes_nothing_matches() -> None:
    assert match(FACES, np.ones(2), NONE, NONE).kinds.tolist() == [FALSE, FALSE]
    assert match(NONE, np.ones(0), FACES, NONE).kinds.tolist() == []


@given(st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), min_size=1, unique_by=lambda pair: pair[0]))
def test_average_precision_is_at_least_sklearns_whose_curve_is_not_smoothed(pairs: list[tuple[int, bool]]) -> None:
    scores, hits = np.array([score for score, _ in pairs], float), np.array([hit for _, hit in pairs])
    ours = average_precision(scores, hits, max(1, int(hits.sum())))
    if hits.any():
        assert ours >= average_precision_score(hits, scores) - 1e-9
    assert 0 <= ours <= 1 + 1e-9


def test_average_precision_by_hand_and_of_misses() -> None:
    scores, hits = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True])
    assert average_precision(scores, hits, 4) == pytest.approx((1 + 0.75 + 0.75) / 4)
    assert average_precision(scores[:0], hits[:0], 3) == 0
    assert np.isnan(average_precision(scores, hits, 0))


def test_photos_are_pooled_and_what_is_left_out_counts_neither_way() -> None:
    one = match(FACES[:1], np.array([0.9]), FACES, NONE)
    other = match(np.array([[50.0, 50, 60, 60]]), np.array([0.95]), NONE, np.array([[45.0, 45, 65, 65]]))
    assert pooled([(np.array([0.9]), one), (np.array([0.95]), other)], 2) == pytest.approx(0.5)
    assert pooled([], 3) == 0
