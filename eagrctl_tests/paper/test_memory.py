from dataclasses import replace

import pytest
import torch
from torch import nn

from eagrctl.checkpoint import build_network
from eagrctl.network.backbone import Bottleneck, Form
from eagrctl.network.loss import losses
from eagrctl.network.norm import convolution
from eagrctl.paper.memory import ActivationMemory, inference_memory, training_memory
from eagrctl.recipe import Recipe, find_recipe, load_recipe

DEVICES = pytest.mark.parametrize("device", ["cpu", "meta"])


@DEVICES
def test_what_operations_make_counts_until_it_is_gone(device: str) -> None:
    before = torch.empty(1000, device=device)  # 4 bytes each, not counted
    memory = ActivationMemory()
    with memory:
        first = before + 1
        assert (memory.live, memory.peak) == (4000, 4000)
        second = first * 2
        assert (memory.live, memory.peak) == (8000, 8000)
        del first
        assert (memory.live, memory.peak) == (4000, 8000)
        view = second.view(10, 100)
        view.relu_()
        before.mul_(3)
        transposed = before.view(10, 100).mT
        assert (memory.live, memory.peak) == (4000, 8000)
        del second, before, transposed
        assert memory.live == 4000
        halves = view.split(5)
        del view
        total = halves[0].sum(dim=0)  # 100 numbers
        assert memory.live == 4400
        del halves
        assert (memory.live, memory.peak) == (400, 8000)
    del total
    assert (memory.live, memory.peak) == (0, 8000)


@DEVICES
def test_what_the_backward_pass_needs_counts_until_it_has_run(device: str) -> None:
    inputs = torch.ones(1000, device=device, requires_grad=True)
    inputs.grad = torch.zeros(1000, device=device)
    memory = ActivationMemory()
    with memory:
        total = inputs.exp().sin().sum()
        # sin needs what exp gave, and so does exp; sum needs nothing.
        assert memory.live == 4000 + 4
        total.backward()
        del total
    assert memory.live == 0


def test_a_convolution_keeps_what_its_norm_is_given_and_what_it_gives() -> None:
    with torch.device("meta"):
        layer, images = convolution(3, 8, kernel=3), torch.empty(2, 3, 16, 16)
    memory = ActivationMemory()
    with memory:
        result = layer(images)
    # The activation is in place; mean and deviation of 8 channels come with the norm.
    assert memory.live == 2 * 4 * result.numel() + 2 * 4 * 8


def test_the_peak_of_inference_is_that_of_the_costliest_layer() -> None:
    # In the second norm: the first layer's result, the second convolution's, and the norm's.
    def build() -> nn.Module:
        return nn.Sequential(convolution(3, 8, kernel=3), convolution(8, 16, stride=2))

    first, second = 4 * 8 * 16 * 16, 4 * 16 * 8 * 8
    assert inference_memory(build, size=16) == max(2 * first, first + 2 * second)


@pytest.fixture(params=["graph", "no graph", "non-local", "checkpointed"])
def recipe(request: pytest.FixtureRequest) -> Recipe:
    overrides = {
        "graph": [],
        "no graph": ["model.graph=false", "model.edge=false"],
        "non-local": ["model.sampling=false"],
        "checkpointed": ["train.checkpointing=true"],
    }
    shrunk = ["model.width=0.125", 'model.backbone="resnet18"', "input.size=49", *overrides[request.param]]
    return load_recipe(find_recipe("helen"), shrunk)


def test_without_numbers_the_figures_are_those_of_a_cpu(recipe: Recipe) -> None:
    network = build_network(recipe, 11).eval()
    images = torch.randn(2, 3, 49, 49)
    memory = ActivationMemory()
    with memory, torch.inference_mode():
        network(images[:1])
    assert inference_memory(lambda: build_network(recipe, 11), 49) == memory.peak

    network.train()
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    labels = torch.randint(11, (2, 49, 49))
    memory = ActivationMemory()
    with memory:
        total = losses(network(images), labels, labels == 3).total
        kept = memory.live
        total.backward()
    counted = training_memory(lambda: build_network(recipe, 11), 49)
    assert (counted.kept, counted.peak) == (kept // 2, memory.peak // 2)
    # Gradients were there before: nothing is left but the loss.
    assert memory.live == total.nbytes


def test_checkpointing_keeps_less_and_peaks_lower() -> None:
    recipe = load_recipe(find_recipe("helen"), ["model.width=0.125", 'model.backbone="resnet50"'])
    saving = replace(recipe, train=replace(recipe.train, checkpointing=True))
    plain, checkpointed = (training_memory(lambda each=each: build_network(each, 11), 97) for each in (recipe, saving))
    assert plain.kept <= plain.peak
    assert checkpointed.kept < 0.8 * plain.kept
    assert checkpointed.peak < 0.8 * plain.peak


@pytest.mark.parametrize("recompute", [False, True])
def test_a_checkpointed_block_keeps_what_its_convolutions_give_and_its_result(recompute: bool) -> None:
    middle, outputs, pixels = 8, 32, 2 * 16 * 16
    with torch.device("meta"):
        block, images = Bottleneck(16, middle, stride=1, dilation=1, form=Form()), torch.empty(2, 16, 16, 16)
    images.requires_grad_()
    memory = ActivationMemory()
    with memory:
        result = block(images, recompute)
    given = 4 * pixels * (2 * middle + 2 * outputs)  # by the three convolutions and the shortcut's
    normalised = given + 8 * (2 * middle + 2 * outputs)  # with mean and deviation of each channel
    assert memory.live == given + result.nbytes + (0 if recompute else normalised)
