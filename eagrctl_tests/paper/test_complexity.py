import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from eagrctl.checkpoint import build_network
from eagrctl.errors import EagrctlError, RecipeError
from eagrctl.events import Notice, Progress
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.paper import complexity
from eagrctl.paper.complexity import MODULES, Comparison, compare, count_flops, describe, measure
from eagrctl.paper.memory import TrainingMemory
from eagrctl.recipe import Recipe, find_recipe, load_recipe

CPU = torch.device("cpu")
RELEASED = ("model.high_k=128", "model.high_t=128", "model.low_k=64", "model.low_t=64")


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    return load_recipe(find_recipe("synthetic-small"), ["model.width=0.125", "input.size=49"])


@pytest.fixture
def memory_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of something else, which are faster without."""
    monkeypatch.setattr(complexity, "inference_memory", lambda *_: 1)
    monkeypatch.setattr(complexity, "training_memory", lambda *_: TrainingMemory(2, 3))


@pytest.fixture(scope="module")
def compared(tiny: Recipe) -> Comparison:
    return compare(tiny, 11, CPU, runs=1)


def naive_flops(recipe: Recipe, module: str) -> int:
    """Multiply-adds of the convolutions in a module, twice, from the shapes that pass by."""
    with torch.device("meta"):
        network = build_network(recipe, 11).eval()
        images = torch.empty(1, 3, recipe.input.size, recipe.input.size)
    found = 0

    def look(layer: nn.Conv2d, _: object, outputs: torch.Tensor) -> None:
        nonlocal found
        found += 2 * outputs.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]

    for layer in network.get_submodule(module).modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(look)
    with torch.no_grad():
        network(images)
    return found


def test_at_the_released_widths_the_figures_are_the_released_networks() -> None:
    recipe = load_recipe(find_recipe("helen"), RELEASED)
    with torch.device("meta"):
        network = build_network(recipe, 11).eval()
    flops, by_module = count_flops(network, 473)
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(66.72, abs=0.005)
    assert flops / 1e9 == pytest.approx(472.8, abs=0.05)
    assert sum(by_module.values()) == flops
    assert {name: round(count / 1e9) for name, count in by_module.items()} == {
        "stem": 13,
        "conv2": 7,
        "conv3": 9,
        "conv4": 187,
        "conv5": 108,
        "pyramid": 136,
        "edge module": 5,
        "EAGR modules": 3,
        "decoder": 5,
    }
    # Three 3 x 3 convolutions at 237 x 237: 3 -> 64, 64 -> 64, 64 -> 128.
    assert by_module["stem"] == 2 * 9 * 237**2 * (3 * 64 + 64 * 64 + 64 * 128)
    # In each of the two: three 1 x 1 convolutions (C to K, C to T, K to C), the anchors' similarity (16 of T channels),
    # projection and reprojection (16 of K), A (16 x 16) and W (K x K).
    assert by_module["EAGR modules"] == sum(
        2 * (pixels * (channels * (2 * k + t) + 16 * (t + 2 * k)) + 16 * k * (16 + k))
        for pixels, channels, k, t in ((60 * 60, 512, 128, 128), (119 * 119, 256, 64, 64))
    )


def test_flops_of_convolutions_are_those_of_their_shapes(tiny: Recipe) -> None:
    with torch.device("meta"):
        network = build_network(tiny, 11).eval()
    _, by_module = count_flops(network, tiny.input.size)
    for name in set(MODULES) - {"EAGR modules"}:
        assert by_module[name] == naive_flops(tiny, MODULES[name][0]), name


def test_modules_sum_to_the_total_in_every_model(compared: Comparison) -> None:
    for model in compared.models:
        assert list(model.flops_by_module) == list(MODULES)
        assert sum(model.flops_by_module.values()) == model.flops > 0


@pytest.mark.parametrize(
    "switches",
    [
        {"stem": "conv7x7"},
        {"backbone": "resnet50", "stride": "1x1"},
        {"backbone": "efficientnet-lite0"},
        {"deployment": 1},
        {"graph": False},
    ],
    ids=lambda switches: "-".join(map(str, next(iter(switches.items())))),
)
def test_modules_sum_to_the_total_in_every_form_and_deployment(tiny: Recipe, switches: dict[str, Any]) -> None:
    with torch.device("meta"):
        network = build_network(replace(tiny, model=replace(tiny.model, **switches)), 11).eval()
    total, by_module = count_flops(network, 49)
    assert sum(by_module.values()) == total


def test_the_four_models_differ_in_what_figure_4_takes_out(compared: Comparison) -> None:
    baseline, without_sampling, without_graph, whole = compared.models
    assert [model.name for model in compared.models] == ["Baseline", "Without sampling", "Without graph", "EAGRNet"]
    assert baseline.flops_by_module["edge module"] == baseline.flops_by_module["EAGR modules"] == 0
    assert whole.flops_by_module["edge module"] == without_sampling.flops_by_module["edge module"] > 0
    for module in ("stem", "conv2", "conv3", "conv4", "conv5", "pyramid", "decoder"):
        assert len({model.flops_by_module[module] for model in compared.models}) == 1
    # A is 16 x 16 with 16 biases and W is K x K, in each of two modules.
    k = whole.parameters - without_graph.parameters
    states = 16  # 128 narrowed by 8
    assert k == 2 * (16 * 16 + 16 + states * states)
    assert baseline.parameters < without_graph.parameters
    # Attention maps are what sampling saves.
    assert without_sampling.inference_memory > 1.5 * whole.inference_memory
    assert all(model.checkpointed_memory.kept < model.training_memory.kept for model in compared.models)
    assert without_sampling.training_memory.kept > whole.training_memory.kept > baseline.training_memory.kept


def test_training_is_measured_in_both_ways_whatever_the_recipe_says(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spy(build: Callable[[], EAGRNet], size: int, *weights: float) -> TrainingMemory:
        return TrainingMemory(size, 2 if build().backbone.recompute else 1)

    monkeypatch.setattr(complexity, "training_memory", spy)
    for checkpointing in (False, True):
        recipe = replace(tiny, train=replace(tiny.train, checkpointing=checkpointing))
        measured = measure("it", recipe, 11, CPU, runs=0)
        assert measured.training_memory == TrainingMemory(49, 1)
        assert measured.checkpointed_memory == TrainingMemory(49, 2)


@pytest.mark.usefixtures("memory_unmeasured")
def test_latency_is_the_median_of_the_runs_after_the_first(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def clock() -> Iterator[float]:
        now = 0.0
        for lasts in (100.0, 7.0, 1.0, 2.0):
            yield now
            now += lasts
            yield now

    times = clock()
    monkeypatch.setattr(complexity.time, "perf_counter", lambda: next(times))
    assert measure("it", tiny, 11, CPU, runs=3).latency == 2.0
    assert next(times, None) is None


@pytest.mark.gpu
def test_latency_is_measured_on_a_gpu(tiny: Recipe) -> None:
    device = torch.device("cuda")
    measured = measure("it", tiny, 11, device, runs=2)
    assert measured.latency is not None
    assert measured.latency > 0
    assert describe(device) == torch.cuda.get_device_name()


@pytest.mark.usefixtures("memory_unmeasured")
@pytest.mark.parametrize("runs", [0, 2])
def test_progress_names_each_model_and_comes_to_its_end(tiny: Recipe, runs: int) -> None:
    events: list[Progress | Notice] = []
    compared = compare(tiny, 11, CPU, runs, events.append)
    names = [model.name for model in compared.models]
    assert events == [Progress("measuring", done, 4, note) for done, note in enumerate([*names, ""])]
    assert all((model.latency is None) == (runs == 0) for model in compared.models)


@pytest.mark.usefixtures("memory_unmeasured")
@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["GPU", "CPU"],
)
def test_a_network_that_does_not_fit_is_an_error_that_says_how_to_go_on(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch, failure: RuntimeError
) -> None:
    monkeypatch.setattr(complexity.time, "perf_counter", failing(failure))
    with pytest.raises(EagrctlError, match=r"Wide at 49 x 49 does not fit .* --runs 0"):
        measure("Wide", tiny, 11, CPU, runs=1)


@pytest.mark.usefixtures("memory_unmeasured")
def test_a_bug_is_not_taken_for_a_lack_of_memory(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complexity.time, "perf_counter", failing(RuntimeError("shapes do not match")))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        measure("it", tiny, 11, CPU, runs=1)


def failing(failure: Exception) -> Callable[[], float]:
    def fail() -> float:
        raise failure

    return fail


def test_a_recipe_without_a_network_is_refused(tiny: Recipe) -> None:
    with pytest.raises(RecipeError, match="cannot be built"):
        compare(replace(tiny, model=replace(tiny.model, backbone="vgg16")), 11, CPU, runs=0)


def test_json_has_every_figure_unrounded(compared: Comparison) -> None:
    latency = 0.1 + 0.2  # 0.30000000000000004
    exact = replace(compared, models=tuple(replace(model, latency=latency) for model in compared.models))
    read = json.loads(exact.to_json())
    assert (read["classes"], read["size"], read["device"], read["runs"]) == (11, 49, describe(CPU), 1)
    for model, figures in zip(exact.models, read["models"], strict=True):
        assert figures["name"] == model.name
        assert figures["parameters"] == model.parameters
        assert figures["flops"] == model.flops
        assert figures["flops_by_module"] == model.flops_by_module
        assert figures["inference_memory"] == model.inference_memory
        assert figures["training_memory"] == {"kept": model.training_memory.kept, "peak": model.training_memory.peak}
        assert figures["checkpointed_memory"]["peak"] == model.checkpointed_memory.peak
        assert figures["latency"] == latency


def test_json_of_a_comparison_without_latency_is_valid(compared: Comparison) -> None:
    untimed = replace(compared, runs=0, models=tuple(replace(model, latency=None) for model in compared.models))
    assert [model["latency"] for model in json.loads(untimed.to_json())["models"]] == [None] * 4


def test_the_chart_has_the_figures_of_figure_4_and_latency_where_it_was_measured(compared: Comparison) -> None:
    untimed = replace(compared, runs=0, models=tuple(replace(model, latency=None) for model in compared.models))
    titles = ["Parameters (M)", "GFLOPs", "Peak activation memory (MB)", "Latency (ms)"]
    for comparison, panels, said in ((compared, 4, describe(CPU)), (untimed, 3, "latency not measured")):
        chart = comparison.chart()
        assert [axes.get_title(loc="left") for axes in chart.axes] == titles[:panels]
        for axes, key, unit in zip(
            chart.axes, ("parameters", "flops", "inference_memory"), (1e6, 1e9, 1e6), strict=False
        ):
            heights = [bar.get_height() for bar in axes.patches]
            assert heights == [getattr(model, key) / unit for model in comparison.models]
        assert said in chart.get_supxlabel()


@pytest.mark.parametrize(("threads", "words"), [(1, "CPU (1 thread)"), (2, "CPU (2 threads)")])
def test_a_cpu_is_described_by_its_threads(monkeypatch: pytest.MonkeyPatch, threads: int, words: str) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert describe(CPU) == words
