import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eagrctl.faces.detection.file import load_detector
from eagrctl.faces.detection.network import (
    SAYS,
    STRIDES,
    UNIT,
    DetectorNetwork,
    decoded,
    middles,
)
from eagrctl.faces.finders import SHIPPED


def small() -> DetectorNetwork:
    return DetectorNetwork((4, 6, 8, 8, 8), (2, 1, 1), 8)


def stirred(network: torch.nn.Module) -> torch.nn.Module:
    """Norms as if they had seen something."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return network.eval()


@settings(max_examples=8)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_every_cell_of_three_strides_answers(rows: int, columns: int, batch: int) -> None:
    images = torch.rand(batch, 3, 32 * rows, 32 * columns) * 255
    network = small().eval()
    said = network(images)
    assert [tuple(each.shape) for each in said] == [
        (batch, SAYS, 32 * rows // stride, 32 * columns // stride) for stride in STRIDES
    ]
    answers = network.answers(images)
    cells = rows * columns * (16 + 4 + 1)
    assert answers.logits.shape == (batch, cells)
    assert answers.boxes.shape == (batch, cells, 4)
    assert answers.points.shape == (batch, cells, 5, 2)


def test_cells_lie_between_pixels() -> None:
    assert middles(1, 2, 8, torch.device("cpu")).tolist() == [[3.5, 3.5], [11.5, 3.5]]


def test_answers_by_hand() -> None:
    said = [torch.zeros(1, SAYS, 4 // (stride // 8), 4 // (stride // 8)) for stride in STRIDES]
    said[1][0, :, 1, 0] = torch.tensor([2.0, 0.5, -1, np.log(2), 0, *range(10)])
    answers = decoded(said, torch.tensor([[1.0, 0], [3, -1], [1, 0]]))
    cell = 16 + 2  # of the second stride: its row 1, column 0
    assert answers.logits[0, cell] == 5
    middle = torch.tensor([7.5 + 8, 23.5 - 16])
    reach = torch.tensor([UNIT * 16.0, UNIT * 8.0])
    assert torch.allclose(answers.boxes[0, cell], torch.cat([middle - reach, middle + reach]))
    assert torch.allclose(answers.points[0, cell], torch.tensor([7.5, 23.5]) + 16 * torch.arange(10.0).reshape(5, 2))
    others = torch.arange(21) != cell
    assert answers.logits[0, others].tolist() == [0.0] * 16 + [-1.0] * 3 + [0.0]


def test_chosen_cells_answer_as_all_do() -> None:
    network = stirred(small())
    assert isinstance(network, DetectorNetwork)
    photos = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    images, cells = torch.tensor([0, 1, 1]), torch.tensor([5, 0, 125])
    for every, chosen in zip(
        network.answers(photos.float()), network.cells(photos).answers(images, cells), strict=True
    ):
        assert torch.equal(every[images, cells], chosen)


def test_folding_norms_changes_nothing_but_rounding() -> None:
    network = stirred(small())
    assert isinstance(network, DetectorNetwork)
    images = torch.rand(2, 3, 64, 96) * 255
    folded = network.folded()
    norms = [sum(isinstance(module, torch.nn.BatchNorm2d) for module in each.modules()) for each in (network, folded)]
    assert norms[0] > 0
    assert norms[1] == 0
    for one, other in zip(network.answers(images), folded.answers(images), strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-4)


def test_what_ships_is_small() -> None:
    detector = load_detector(SHIPPED)
    networks = [detector.faces] + ([detector.points] if detector.points else [])
    assert sum(each.numel() for network in networks for each in network.folded().parameters()) <= 300_000
    assert SHIPPED.stat().st_size <= 1_000_000
    assert "non-commercial research only" in detector.about.card


@pytest.mark.gpu
def test_a_gpu_answers_as_the_cpu_does() -> None:
    network = stirred(small())
    assert isinstance(network, DetectorNetwork)
    images = torch.rand(2, 3, 64, 96) * 255
    torch.backends.cudnn.allow_tf32 = False
    here, there = network.answers(images), network.cuda().answers(images.cuda())
    for one, other in zip(here, there, strict=True):
        assert torch.allclose(one, other.cpu(), atol=1e-2, rtol=1e-3)
