"""The speed of training: several processes beside independent ones, and each precision beside float32 done plainly."""

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from eagrctl.benchmark.harness import Result, Table, hardware
from eagrctl.benchmark.scaling import Speed, over_processes
from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.events import Drawing, Listener, Notice, ignore, undrawn
from eagrctl.inference.clock import wait_for
from eagrctl.paper.complexity import count_flops
from eagrctl.recipe import Recipe, changed
from eagrctl.training.start import Work, readers_for
from eagrctl.training.timing import Timing, time_steps
from eagrctl.training.world import World


def benchmark_training(
    recipe: Recipe,
    index: ShardIndex,
    gpus: bool,
    processes: int,
    steps: int = 20,
    compiled: bool = False,
    drawing: Drawing = undrawn,
) -> Result:
    """Measure training in several processes; on GPUs, also on one in each precision.

    Args:
        recipe: what is trained.
        index: a prepared dataset with the split train.
        gpus: whether processes have a GPU each; else they share the CPU.
        processes: at once.
        steps: timed, for each way.
        compiled: whether to measure torch.compile, which takes minutes to begin with.
        drawing: draws progress, here and in other processes.

    Raises:
        TrainingError: there are too few samples, too little memory, or a batch cannot be shared out.
        RecipeError: the recipe describes no network.
        ShardError: a shard cannot be read.
    """
    workers, rate = readers_for(gpus, processes), None
    groups: list[list[Speed]] = []
    if gpus:
        device = torch.device("cuda", 0)
        rate = matrix_rate(device)
        with drawing() as listener:
            groups.append(precisions(recipe, index, device, steps, workers, compiled, listener))
    if processes > 1 or not gpus:
        work = Work(recipe, index.root, Path(), gpus, workers, drawing=drawing)
        groups.append(over_processes(work, processes, steps))
    model, size = recipe.model, recipe.input.size
    network = f"EAGRNet ({model.backbone}, width {model.width:g}, {size} x {size}, {len(index.classes)} classes)"
    data = f"{index.provenance.dataset} at {index.size} x {index.size}"
    flops = step_flops(recipe, len(index.classes))
    speeds = [figures_of(speed, group[0], flops, rate) for group in groups for speed in group]
    remarks = [
        f"{flops / 1e9:,.4g} GFLOP per image and step: three times the forward pass's, counted by torch.",
        "Times: images/s beside float32 done plainly, or beside independent processes. Memory: the most of a process.",
    ]
    if rate is not None:
        remarks.append(f"Matrix rate in bf16: {rate / 1e12:,.1f} TFLOP/s, measured.")
    return Result(
        hardware(gpus),
        [_table(f"Training {network} on {data}, {steps} steps each", speeds)],
        remarks,
        {
            "units": {"flops": "2 per multiply-add", "matrix_rate": "FLOP/s", "memory": "bytes"},
            "network": network,
            "data": data,
            "steps": steps,
            "flops": flops,
            "matrix_rate": rate,
            "speeds": speeds,
        },
    )


def figures_of(speed: Speed, floor: Speed, flops: int, rate: float | None) -> dict[str, Any]:
    """The figures of one way.

    Args:
        speed: what was measured.
        floor: the same of the way that it is compared with.
        flops: of one image and step.
        rate: FLOP/s of a large matrix product in bf16 on the GPU; None on a CPU.

    Returns:
        Those of `Speed`; `times`, images a second over those of `floor`; and on GPUs, `of_matrix_rate`, the share of
        the GPUs' rate that training makes use of.
    """
    done = speed.images_per_second * flops
    share = None if rate is None else done / (speed.processes * rate)
    times = speed.images_per_second / floor.images_per_second
    return asdict(speed) | {"times": times, "flops_per_second": done, "of_matrix_rate": share}


def _table(title: str, speeds: Sequence[dict[str, Any]]) -> Table:
    headings = ["", "processes", "batch", "images/s", "times", "waiting", "memory (GB)", "threads each"]
    on_gpus = speeds[0]["of_matrix_rate"] is not None
    if on_gpus:
        headings[-1:] = ["TFLOP/s", "of matrix rate"]
    rows = []
    for each in speeds:
        row = [each["name"], f"{each['processes']}", f"{each['batch']}", f"{each['images_per_second']:.2f}"]
        row += [f"{each['times']:.2f}", f"{each['waiting']:.1%}", f"{each['memory'] / 1e9:.2f}"]
        computed = [f"{each['flops_per_second'] / 1e12:,.1f}", f"{each['of_matrix_rate'] or 0:.1%}"]
        rows.append(row + (computed if on_gpus else [f"{each['threads']}"]))
    return Table(title, headings, rows)


def precisions(
    recipe: Recipe,
    index: ShardIndex,
    device: torch.device,
    steps: int,
    workers: int,
    compiled: bool,
    listener: Listener = ignore,
) -> list[Speed]:
    """Training in this process, plainly first, then in each precision, each with a fresh network."""
    speeds = []
    for name in ("float32, plain", "tf32", "bf16", *(["bf16, compiled"] if compiled else [])):
        precision, _, how = name.partition(", ")
        way = changed(recipe, train={"precision": precision, "compile": how == "compiled"})
        timed = partial(time_steps, index=index, world=World(device), steps=steps, workers=workers)
        measure = partial(timed, plain=how == "plain", task=f"timing {name}", listener=listener)
        batch, timing = fitting(measure, way, name, listener)
        speeds.append(Speed.of(name, batch, [timing]))
    return speeds


def fitting(
    measure: Callable[[Recipe], Timing], recipe: Recipe, name: str, listener: Listener = ignore
) -> tuple[int, Timing]:
    """The largest of its batch, half of it, and so on, that has the memory it needs, and what was measured with it.

    Raises:
        TrainingError: not even 2 images fit.
    """
    while True:
        batch = recipe.train.batch
        try:
            return batch, measure(recipe)
        except (TrainingError, torch.OutOfMemoryError) as error:
            if batch < 4:
                raise TrainingError(f"{name}: {error}") from None
        # Out of the handler, whose error holds on to the tensors of every frame it came through.
        gc.collect()
        torch.cuda.empty_cache()
        listener(Notice(f"{name}: {batch} images do not fit into the GPU's memory; measuring {batch // 2} a step"))
        recipe = changed(recipe, train={"batch": batch // 2})


def step_flops(recipe: Recipe, classes: int) -> int:
    """FLOPs of training on one image: three times those of its forward pass, as `torch.utils.flop_counter` has them."""
    with torch.device("meta"):
        network = build_network(recipe, classes).eval()
    return 3 * count_flops(network, recipe.input.size)[0]


def matrix_rate(device: torch.device, side: int = 8192, runs: int = 10) -> float:
    """FLOP/s of a product of square matrices in bf16, the best of several."""
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = math.inf
    for _ in range(2 + runs):
        wait_for(device)
        began = time.perf_counter()
        torch.matmul(one, other)
        wait_for(device)
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best
