import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eagrctl.training.detector.losses import Faces
from eagrctl.training.detector.views import FAR_VIEW, NEAR_VIEW, View, drawn_view

CPU = torch.device("cpu")
SIDE = 96


def drawn(seed: int, count: int = 3) -> View:
    return drawn_view(count, SIDE, FAR_VIEW, torch.Generator().manual_seed(seed), CPU)


def still(side: int, slope: tuple[float, float], start: tuple[float, float]) -> View:
    return View(side, torch.tensor([slope]), torch.tensor([start]), torch.ones(1, 3))


def test_a_view_that_changes_nothing_shows_the_photo() -> None:
    image = torch.rand(1, 3, 8, 8) * 255
    view = still(8, (1.0, 1.0), (0.0, 0.0))
    assert torch.allclose(view.images(image), image, atol=1e-2)


def test_a_mirrored_and_shifted_photo_is_that_of_numpy() -> None:
    image = torch.rand(1, 3, 8, 8) * 255
    seen = still(8, (-1.0, 1.0), (7.0, 2.0)).images(image)
    wanted = np.zeros((3, 8, 8), np.float32)
    wanted[:, :6] = image[0].numpy()[:, 2:, ::-1]
    assert np.allclose(seen[0], wanted, atol=1e-2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_points_and_boxes_are_where_their_pixels_went(seed: int) -> None:
    view = drawn(seed)
    places = torch.tensor([[30.0, 40], [60, 40], [45, 50], [35, 65], [55, 65]])
    images = torch.zeros(3, 5, SIDE, SIDE)  # a channel for each point, here
    for channel, (x, y) in enumerate(places.int().tolist()):
        images[:, channel, y - 2 : y + 3, x - 2 : x + 3] = 255
    plain = View(SIDE, view.slope, view.start, torch.ones(3, 5))
    seen = plain.images(images)
    points = view.points(places.expand(3, 5, 2))
    boxes = view.boxes(torch.tensor([[25.0, 30, 65, 70]]).expand(3, 1, 4))[:, 0]
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for row in range(3):
        channels = [1, 0, 2, 4, 3] if view.slope[row, 0] < 0 else range(5)
        for point, channel in zip(points[row], channels, strict=True):
            # Only where the whole spot is in view is its middle the point.
            if torch.isfinite(point).all() and ((point > 5) & (point < SIDE - 6)).all():
                weights = seen[row, channel] / seen[row, channel].sum()
                middle = torch.stack([(weights * columns).sum(), (weights * rows).sum()])
                assert (middle - point).abs().max() < 0.3
                assert ((boxes[row, :2] <= point) & (point <= boxes[row, 2:])).all()


def test_faces_that_are_cut_or_small_are_ignored_from_then_on() -> None:
    whole, cut, small = [30.0, 30, 60, 60], [65.0, 0, 95, 30], [10.0, 70, 16, 76]
    boxes = torch.tensor([[whole, cut, small, [torch.nan] * 4]])
    points = torch.full((1, 4, 5, 2), 45.0)
    faces = Faces(boxes, points, torch.tensor([[[0.0, 0, 10, 10]]]))
    seen = still(SIDE, (1.0, 1.0), (-20.0, 0.0)).faces(faces)
    assert seen.boxes[0, 0].tolist() == [50, 30, 80, 60]
    assert torch.isnan(seen.boxes[0, 1:]).all()
    assert torch.isfinite(seen.points[0, 0]).all()
    assert torch.isnan(seen.points[0, 1:]).all()
    known = seen.ignored[0][torch.isfinite(seen.ignored[0]).all(1)].tolist()
    assert known == [[20, 0, 30, 10], [85, 0, 115, 30], [30, 70, 36, 76]]


def test_views_follow_from_their_generator_and_stay_in_reach() -> None:
    one, same, other = drawn(1, 400), drawn(1, 400), drawn(2, 400)
    assert torch.equal(one.slope, same.slope)
    assert torch.equal(one.gain, same.gain)
    assert not torch.equal(one.slope, other.slope)
    scales = 1 / one.slope[:, 1]
    assert FAR_VIEW.least <= scales.min() < 0.7
    assert 1.4 < scales.max() <= FAR_VIEW.largest
    assert 120 < (one.slope[:, 0] < 0).sum() < 280
    near = drawn_view(400, SIDE, NEAR_VIEW, torch.Generator().manual_seed(0), CPU)
    middle = (0.5 * (SIDE - 1) - near.start) / near.slope  # where the photo's middle lies in the view
    assert ((middle - 0.5 * (SIDE - 1)).abs() <= NEAR_VIEW.shift * NEAR_VIEW.largest * SIDE + 1e-3).all()
