import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix

from eagrctl.scoring.confusion import Confusion, merge

classes = st.integers(0, 4)
maps = st.integers(1, 9).flatmap(
    lambda side: st.tuples(
        arrays(np.uint8, (side, side + 1), elements=st.sampled_from([0, 1, 2, 3, 4, 255])),
        arrays(np.uint8, (side, side + 1), elements=classes),
    )
)


@given(st.lists(maps, min_size=1, max_size=4))
def test_counts_equal_scikit_learns_over_all_images(images: list[tuple[np.ndarray, np.ndarray]]) -> None:
    confusion = Confusion(5)
    for labels, prediction in images:
        confusion.add(labels, prediction)
    truth = np.concatenate([labels.ravel() for labels, _ in images])
    guess = np.concatenate([prediction.ravel() for _, prediction in images])
    known = truth != 255
    expected = np.zeros((5, 5)) if not known.any() else confusion_matrix(truth[known], guess[known], labels=range(5))
    assert np.array_equal(confusion.counts, expected)


def test_by_hand() -> None:
    confusion = Confusion(3)
    confusion.add(np.array([[0, 1, 1, 2, 255]], np.uint8), np.array([[0, 1, 2, 2, 1]], np.uint8))
    assert confusion.counts.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert merge(confusion.counts, [(1, 2), (2,)]).tolist() == [[3, 1], [3, 1], [3, 2]]


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
        Confusion(3).add(labels, prediction)
