from collections.abc import Callable

import numpy as np
import pytest
import torch

from eagrctl.benchmark.networks import OURS, PLAIN, calibrate, measure_network
from eagrctl.checkpoint import build_network
from eagrctl.events import Notice, Progress
from eagrctl.export.network import onnx_bytes
from eagrctl.inference.predict import Segmenter
from eagrctl.network.norm import ActivatedBatchNorm
from eagrctl.recipe import Recipe
from eagrctl_tests.conftest import face

CPU = torch.device("cpu")
FACES = [face(number, 49)[0] for number in range(3)]


def test_ways_take_turns_and_are_compared_with_the_plain_one(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    events: list[Progress | Notice] = []
    network = build_network(recipe, 5)
    plain, ours = measure_network(network, recipe.input, FACES, 4, 3, CPU, listener=events.append)
    assert [plain.way, ours.way] == [PLAIN, OURS]
    assert (plain.times_plain, plain.error, plain.equal) == (1, 0, 1)
    assert ours.times_plain == pytest.approx(plain.seconds / ours.seconds)
    assert 0 < ours.error < 1e-4
    assert ours.equal > 0.998
    assert plain.batch == ours.batch == 4
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3]


def test_a_way_that_differs_is_told(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    contents = onnx_bytes(build_network(recipe, 5).eval(), recipe.input)
    other = build_network(recipe, 5).eval()
    *_, onnx = measure_network(other, recipe.input, FACES, 2, 1, CPU, onnx=contents)
    images = torch.from_numpy(np.stack(FACES[:2]))
    assert onnx.way == "ONNX Runtime"
    assert images.shape[0] == onnx.batch
    assert onnx.error > 0.01
    assert onnx.equal < 0.998


def test_calibrated_norms_have_the_statistics_of_the_faces(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    network = build_network(recipe, 5)
    calibrate(network, FACES, recipe.input)
    assert not network.training
    norms = [module for module in network.modules() if isinstance(module, ActivatedBatchNorm)]
    assert all(norm.momentum == ActivatedBatchNorm(1).momentum for norm in norms)
    # The first norm's input, from the very same faces but for noise and brightness, has about its statistics.
    seen: list[torch.Tensor] = []
    norms[0].register_forward_hook(lambda module, given, _: seen.append(given[0]))
    Segmenter(network, recipe.input, CPU, rewrite=False).logits(FACES)
    assert norms[0].running_mean is not None
    assert norms[0].running_var is not None
    assert float((seen[0].var() / norms[0].running_var.mean()).log().abs()) < 1
    assert not any(torch.equal(norm.running_var, torch.ones_like(norm.running_var)) for norm in norms)  # type: ignore[arg-type]
