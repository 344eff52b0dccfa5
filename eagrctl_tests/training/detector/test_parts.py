import numpy as np
import pytest
import torch

from eagrctl.faces.detection.points import CROP, PointsNetwork
from eagrctl.training.detector.calibration import _fitted as fitted
from eagrctl.training.detector.calibration import calibrate
from eagrctl.training.detector.parts import gathered_scenes, points_losses
from eagrctl.training.scenes.composites import SceneRecipe, scene
from eagrctl_tests.faces.detection.test_network import small
from eagrctl_tests.training.scenes.stock import stock


def test_scenes_are_padded_to_one_batch() -> None:
    recipe = SceneRecipe(64, photos=0.3, backgrounds=0.3, covered=0.4, turned=0.3, squeezed=0.3, nearest=4.0)
    scenes = [scene(stock(), recipe, 0, 0, number) for number in range(8)]
    images, faces = gathered_scenes(scenes)
    assert images.shape == (8, 64, 64, 3)
    most = max(len(each.boxes) for each in scenes)
    assert faces.boxes.shape == (8, most, 4)
    assert faces.points.shape == (8, most, 5, 2)
    for row, each in enumerate(scenes):
        assert np.array_equal(faces.boxes[row, : len(each.boxes)], each.boxes)
        assert bool(faces.boxes[row, len(each.boxes) :].isnan().all())


def test_points_cost_their_distance_in_cells_and_hidden_ones_nothing() -> None:
    true = torch.full((1, 5, 2), float("nan"))
    true[0, 0] = torch.tensor([61.5, 53.5])  # the middle of a cell: row 13, column 15
    logits = torch.zeros(1, 5, 32, 32)
    found = true.nan_to_num() + torch.tensor([2.0, -4.0])
    total, distance, map_ = points_losses(logits, found, true)
    assert float(distance) == pytest.approx(6 / 4)
    assert float(map_) == pytest.approx(np.log(32 * 32), rel=1e-4)
    assert float(total) == pytest.approx(6 / 4 + 0.05 * np.log(32 * 32), rel=1e-4)
    # The map that is asked for costs its own entropy, and any other one more.
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    wanted = -0.5 * ((columns - 15) ** 2 + (rows - 13) ** 2)
    best = points_losses(wanted.expand(1, 5, 32, 32), found, true)[2]
    moved = points_losses(wanted.roll(1, 1).expand(1, 5, 32, 32), found, true)[2]
    assert float(best) < float(moved) < float(map_)
    nothing = points_losses(logits, found, torch.full((1, 5, 2), float("nan")))
    assert [float(each) for each in nothing] == [0, 0, 0]


def test_the_points_network_learns_a_place() -> None:
    network = PointsNetwork()
    crops = torch.zeros(2, 3, CROP, CROP)
    crops[0, :, 40:50, 60:70] = 255
    crops[1, :, 80:90, 20:30] = 255
    true = torch.tensor([[64.5, 44.5], [24.5, 84.5]])[:, None].expand(2, 5, 2)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    first = last = 0.0
    for step in range(25):
        logits = network(crops)
        cost = points_losses(logits, network.points(logits), true)
        optimiser.zero_grad()
        cost[0].backward()
        optimiser.step()
        first, last = (cost[1].item() if step == 0 else first), cost[1].item()
    assert last < 0.5 * first


def test_a_regression_finds_the_line_that_made_the_data() -> None:
    random = np.random.default_rng(0)
    logits = random.uniform(-4, 4, 20_000)
    hits = random.random(20_000) < 1 / (1 + np.exp(-(2 * logits - 1)))
    assert fitted(logits, hits) == pytest.approx((2, -1), abs=0.12)


def test_with_too_few_boxes_a_stride_stays_as_it_is() -> None:
    network = small().eval()
    calibrated = calibrate(network, [(np.zeros((64, 64, 3), np.uint8), np.empty((0, 4)), np.empty((0, 4)))])
    assert calibrated.calibration.tolist() == [[1, 0]] * 3
    assert calibrated is not network
