"""What a network costs in time and space: the four models of the paper's Fig. 4."""

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from eagrctl.checkpoint import build_network
from eagrctl.drawing.chart import Chart, bar_chart
from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, Progress, ignore
from eagrctl.inference.clock import wait_for
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.paper.memory import TrainingMemory, inference_memory, training_memory
from eagrctl.paper.variants import FIGURE_4
from eagrctl.recipe import Recipe, changed

# What FLOPs are told apart by, and where each may be in `EAGRNet`; together they are the whole network.
MODULES = {
    "stem": ("backbone.conv1", "backbone.stem"),
    "conv2": ("backbone.conv2", "backbone.stages.0", "backbone.stages.1"),
    "conv3": ("backbone.conv3", "backbone.stages.2"),
    "conv4": ("backbone.conv4", "backbone.stages.3", "backbone.stages.4"),
    "conv5": ("backbone.conv5", "backbone.stages.5", "backbone.stages.6"),
    "pyramid": ("pyramid", "climb"),
    "edge module": ("edge",),
    "EAGR modules": ("reason",),
    "decoder": ("decoder",),
}


@dataclass(frozen=True)
class Complexity:
    """What one network costs.

    Attributes:
        name: of the model.
        parameters: their number.
        flops: of one image, two to a multiply-add; convolutions and matrix products are counted.
        flops_by_module: the same, told apart by `MODULES`. A module that the network lacks has 0; "EAGR modules" are
            non-local blocks where those stand in their place.
        inference_memory: the most bytes of activations at any moment while one image is parsed.
        training_memory: bytes of activations per image in a training step.
        checkpointed_memory: the same with `train.checkpointing`.
        latency: seconds that one image takes, the median of some; None where it was not measured.
    """

    name: str
    parameters: int
    flops: int
    flops_by_module: Mapping[str, int]
    inference_memory: int
    training_memory: TrainingMemory
    checkpointed_memory: TrainingMemory
    latency: float | None


@dataclass(frozen=True)
class Comparison:
    """What several networks cost, measured alike.

    Attributes:
        models: in the order of Fig. 4.
        classes: N, the background included.
        size: side of the square input, in pixels.
        device: where latency was measured, in words.
        runs: how many forward passes each latency is the median of; 0 where none was measured.
    """

    models: tuple[Complexity, ...]
    classes: int
    size: int
    device: str
    runs: int

    @property
    def conditions(self) -> str:
        """What the figures hold for, in words."""
        shown = f"{self.classes} classes, one image of {self.size} x {self.size}"
        timed = f"latency on {self.device}, median of {self.runs}" if self.runs else "latency not measured"
        return f"{shown}; {timed}"

    def to_json(self) -> str:
        """All figures, unrounded."""
        units = {"flops": "2 per multiply-add", "memory": "bytes", "latency": "seconds"}
        return json.dumps({"units": units} | asdict(self), indent=2, allow_nan=False) + "\n"

    def quantities(self) -> dict[str, tuple[float, ...]]:
        """What it costs and in which unit -> the figures of each model; latency where it was measured."""
        models = self.models
        figures = {
            "parameters (M)": tuple(model.parameters / 1e6 for model in models),
            "GFLOPs": tuple(model.flops / 1e9 for model in models),
            "inference (MB)": tuple(model.inference_memory / 1e6 for model in models),
            "training (MB)": tuple(model.training_memory.peak / 1e6 for model in models),
            "checkpointed (MB)": tuple(model.checkpointed_memory.peak / 1e6 for model in models),
            "latency (ms)": tuple(1e3 * model.latency for model in models if model.latency is not None),
        }
        return {name: values for name, values in figures.items() if values}

    def chart(self) -> Chart:
        """A bar chart like Fig. 4; its axes start from zero, which the figure's do not."""
        titles = {
            "parameters (M)": "Parameters (M)",
            "GFLOPs": "GFLOPs",
            "inference (MB)": "Peak activation memory (MB)",
            "latency (ms)": "Latency (ms)",
        }
        drawn = {titles[name]: values for name, values in self.quantities().items() if name in titles}
        return bar_chart("Complexity in time and space", self.conditions, [model.name for model in self.models], drawn)


def compare(
    recipe: Recipe, classes: int, device: torch.device, runs: int = 3, listener: Listener = ignore
) -> Comparison:
    """Measure the four models of Fig. 4.

    Args:
        recipe: of the last one ("Ours"); the others are it with something taken out.
        classes: N, the background included.
        device: where latency is measured.
        runs: timed forward passes; 0 measures no latency.
        listener: hears of progress.

    Raises:
        RecipeError: the recipe describes no network.
        EagrctlError: a network does not fit into the device's memory.
    """
    models: list[Complexity] = []
    for name, switches in FIGURE_4.items():
        listener(Progress("measuring", len(models), len(FIGURE_4), name))
        models.append(measure(name, changed(recipe, model=switches), classes, device, runs))
    listener(Progress("measuring", len(models), len(FIGURE_4)))
    return Comparison(tuple(models), classes, recipe.input.size, describe(device), runs)


def measure(name: str, recipe: Recipe, classes: int, device: torch.device, runs: int = 3) -> Complexity:
    """Measure the network of one recipe; arguments and errors as in `compare`.

    All but latency needs shapes alone, and next to no time.
    """
    size, loss = recipe.input.size, recipe.loss

    def build(checkpointing: bool = False) -> EAGRNet:
        return build_network(changed(recipe, train={"checkpointing": checkpointing}), classes)

    with torch.device("meta"):
        network = build().eval()
    flops, by_module = count_flops(network, size)
    plain, checkpointed = (
        training_memory(partial(build, checkpointing), size, loss.edge, loss.ba_loss) for checkpointing in (False, True)
    )
    return Complexity(
        name=name,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        flops=flops,
        flops_by_module=by_module,
        inference_memory=inference_memory(build, size),
        training_memory=plain,
        checkpointed_memory=checkpointed,
        latency=_latency(build(), device, size, runs, name) if runs else None,
    )


def count_flops(network: EAGRNet, size: int) -> tuple[int, dict[str, int]]:
    """FLOPs of one image, in total and by the names of `MODULES`; the network is on the meta device."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, size, size, device="meta"))
    counts = {path: sum(each.values()) for path, each in counter.get_flop_counts().items()}
    root = type(network).__name__
    return counter.get_total_flops(), {
        name: sum(_flops_of(f"{root}.{path}", counts) for path in paths) for name, paths in MODULES.items()
    }


def describe(device: torch.device) -> str:
    """A device in words, such as "CPU (2 threads)"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type.upper()} ({threads} thread{'s' if threads > 1 else ''})"


def _flops_of(path: str, counts: Mapping[str, int]) -> int:
    # The network runs the blocks of a stage one by one, so that a stage as such has no count: its children have.
    children = (count for name, count in counts.items() if name.rpartition(".")[0] == path)
    return counts[path] if path in counts else sum(children)


def _latency(network: nn.Module, device: torch.device, size: int, runs: int, name: str) -> float:
    seconds = []
    try:
        network.to(device).eval()
        image = torch.randn(1, 3, size, size, device=device)
        with torch.inference_mode():
            # The first pass is slower, as it chooses algorithms and finds memory: its time does not count.
            for _ in range(1 + runs):
                wait_for(device)
                started = time.perf_counter()
                network(image)
                wait_for(device)
                seconds.append(time.perf_counter() - started)
    except RuntimeError as error:
        # On CPUs it has no class of its own.
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise EagrctlError(
            f"{name} at {size} x {size} does not fit into the memory of {describe(device)}: "
            "lower --set input.size=..., or measure no latency with --runs 0"
        ) from None
    return statistics.median(seconds[1:])
