import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.faces.detection import boxes as module
from eagrctl.faces.detection.boxes import distinct, shares, suppressed


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    upper, sides = random.uniform(0, 60, (count, 2)), random.uniform(5, 40, (count, 2))
    return np.concatenate([upper, upper + sides], 1).astype(np.float32), random.permutation(count).astype(np.float32)


def share(one: np.ndarray, other: np.ndarray) -> float:
    across = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    down = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    both = sum(float((box[2] - box[0]) * (box[3] - box[1])) for box in (one, other))
    return across * down / (both - across * down)


def plainly(boxes: np.ndarray, scores: np.ndarray, same: float) -> list[int]:
    """Greedy suppression, as the textbook has it."""
    left, kept = list(np.argsort(-scores)), []
    while left:
        first = left.pop(0)
        kept.append(int(first))
        left = [row for row in left if share(boxes[first], boxes[row]) <= same]
    return kept


def test_shares_of_boxes_by_hand() -> None:
    one = torch.tensor([[0.0, 0, 10, 10], [100, 100, 110, 110]])
    other = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 10, 20, 20], [3, 3, 3, 3]])
    assert torch.allclose(shares(one, other), torch.tensor([[1, 1 / 3, 0, 0], [0, 0, 0, 0]]))


@given(st.integers(0, 60), st.integers(0, 10_000), st.floats(0.05, 0.95), st.integers(1, 70))
def test_suppression_keeps_what_the_textbook_keeps(count: int, seed: int, same: float, block: int) -> None:
    boxes, scores = drawn(count, seed)
    before, module.BLOCK = module.BLOCK, block
    try:
        assert suppressed(boxes, scores, same).tolist() == plainly(boxes, scores, same)
    finally:
        module.BLOCK = before


def test_a_box_within_another_one_is_the_same_face() -> None:
    boxes = np.array([[0.0, 0, 100, 100], [30, 30, 60, 60], [200, 0, 240, 40], [205, 5, 300, 100]])
    scores = np.array([0.9, 0.8, 0.5, 0.6])
    assert distinct(boxes, scores).tolist() == [0, 3]  # of the third and the fourth, one lies in the other
    assert distinct(boxes[:0], scores[:0]).tolist() == []
