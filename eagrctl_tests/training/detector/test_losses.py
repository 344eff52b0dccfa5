import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.faces.detection.network import SAYS, STRIDES, UNIT, Answers, decoded, middles
from eagrctl.training.detector.losses import RANGES, Faces, LossWeights, detector_losses, targets

SIZE = (128, 160)
CELLS = [(SIZE[0] // stride) * (SIZE[1] // stride) for stride in STRIDES]
NAN = float("nan")


def faces(*boxes: tuple[float, float, float, float], ignored: tuple[float, ...] = ()) -> Faces:
    known = torch.tensor(boxes).reshape(1, -1, 4) if boxes else torch.full((1, 1, 4), NAN)
    points = torch.full((1, known.shape[1], 5, 2), NAN)
    return Faces(known, points, torch.tensor(ignored or (NAN,) * 4).reshape(1, -1, 4))


def of_strides(values: torch.Tensor) -> list[torch.Tensor]:
    return list(values[0].split(CELLS))


def test_a_face_belongs_to_the_strides_of_its_size_and_the_smaller_one_wins() -> None:
    chosen = targets(faces((20, 20, 60, 60), (30, 30, 50, 50)), SIZE)
    eight, sixteen, last = of_strides(chosen.face)
    assert set(eight.tolist()) == {-1, 0, 1}  # 20 and 40 pixels: both are eight's
    assert set(sixteen.tolist()) == {-1, 0}  # 40 is also sixteen's
    assert set(last.tolist()) == {-1}
    middle = middles(SIZE[0] // 8, SIZE[1] // 8, 8, torch.device("cpu"))
    nearest = (middle - torch.tensor([40.0, 40])).abs().amax(1) <= 4
    assert (eight[nearest] == 1).all()


@given(st.floats(4, 300), st.floats(20, 100), st.floats(20, 140))
def test_a_face_of_any_size_has_a_cell(size: float, y: float, x: float) -> None:
    box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
    chosen = targets(faces(box), SIZE)
    assert (chosen.face >= 0).any()
    assert chosen.counts[chosen.face >= 0].all()
    for cells, stride, (low, high) in zip(of_strides(chosen.face), STRIDES, RANGES, strict=True):
        near = middles(SIZE[0] // stride, SIZE[1] // stride, stride, torch.device("cpu"))[cells >= 0]
        assert not len(near) or (low <= size * (1 + 1e-4) and size * (1 - 1e-4) < high)
        assert ((near - torch.tensor([x, y])).abs() <= max(0.5, 1.6) * stride + 1e-3).all()


def test_nothing_counts_in_what_nobody_annotated_or_beside_a_range() -> None:
    left_out = targets(faces(ignored=(0, 0, 40, 40)), SIZE)
    counts = of_strides(left_out.counts)[0].reshape(SIZE[0] // 8, -1)
    assert not counts[:5, :5].any()
    assert counts[5:].all()
    assert counts[:, 5:].all()
    # 50 pixels are no longer eight's, nor nobody's there.
    eight = of_strides(targets(faces((20, 20, 70, 70)), SIZE).counts)[0]
    assert 0 < int((~eight).sum()) <= 4


def test_perfect_answers_cost_nothing_but_what_the_score_lacks() -> None:
    box, points = (30.0, 26.0, 62.0, 58.0), torch.rand(1, 1, 5, 2) * 60
    known = faces(box)._replace(points=points)
    wanted = targets(known, SIZE)
    count = sum(CELLS)
    perfect = Answers(
        torch.where(wanted.face >= 0, 20.0, -20.0),
        torch.tensor(box).expand(1, count, 4).clone(),
        points[:, 0, None].expand(1, count, 5, 2).clone(),
    )
    losses = detector_losses(perfect, known, SIZE, LossWeights(2.0, 3.0))
    assert float(losses.total) == pytest.approx(0, abs=1e-6)
    off = perfect._replace(points=perfect.points + 32 * 0.1)
    worse = detector_losses(off, known, SIZE, LossWeights(2.0, 3.0))
    assert float(worse.points) == pytest.approx(10 * (0.1 - 0.0025), rel=1e-3)
    assert float(worse.total) == pytest.approx(3 * float(worse.points), rel=1e-3)


def test_boxes_cost_one_minus_giou_by_hand() -> None:
    known = faces((0.0, 0.0, 20.0, 20.0))
    wanted = targets(known, SIZE)
    boxes = torch.tensor([10.0, 0, 30, 20]).expand(1, sum(CELLS), 4).clone()
    answers = Answers(torch.full_like(wanted.face, -20.0, dtype=torch.float32), boxes, torch.zeros(1, sum(CELLS), 5, 2))
    losses = detector_losses(answers, known, SIZE, LossWeights(1.0, 1.0))
    # 200 shared of 600 covered, in a box of 30 x 20 around both.
    assert float(losses.box) == pytest.approx(1 - 200 / 600)
    # Scores of 0 where (1 + 1/3) / 2 is wanted: that squared, times its cross-entropy with nothing.
    quality = 0.5 + 0.5 / 3
    assert float(losses.score) == pytest.approx(quality**2 * 20 * quality, rel=1e-3)


def test_hidden_points_and_empty_photos_cost_nothing_and_have_gradients() -> None:
    said = [torch.randn(1, SAYS, SIZE[0] // stride, SIZE[1] // stride, requires_grad=True) for stride in STRIDES]
    losses = detector_losses(decoded(said), faces(), SIZE, LossWeights(1.0, 1.0))
    assert losses.box.item() == 0
    assert losses.points.item() == 0
    losses.total.backward()
    assert all(bool(each.grad.isfinite().all()) for each in said if each.grad is not None)
    assert np.isclose(UNIT, 4)
