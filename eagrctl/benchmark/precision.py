"""How fast one GPU trains in each precision, beside what it can do at most, and beside float32 done plainly."""

import gc
import math
import time
from collections.abc import Callable

import torch

from eagrctl.benchmark.steps import Speed, Timing, time_steps
from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.events import Listener, Notice, ignore
from eagrctl.inference.clock import wait_for
from eagrctl.paper.complexity import count_flops
from eagrctl.recipe import Recipe, changed
from eagrctl.training.world import World


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

    def variant(precision: str, compile: bool = False) -> Recipe:  # noqa: A002  # the recipe's name for it
        return changed(recipe, train={"precision": precision, "compile": compile})

    ways = {"float32, plain": variant("float32"), "tf32": variant("tf32"), "bf16": variant("bf16")}
    if compiled:
        ways["bf16, compiled"] = variant("bf16", compile=True)
    speeds = []
    for name, way in ways.items():

        def measure(batch: int, name: str = name, way: Recipe = way) -> Timing:
            return time_steps(
                changed(way, train={"batch": batch}),
                index,
                World(device),
                steps,
                workers,
                name.endswith("plain"),
                task=f"timing {name}",
                listener=listener,
            )

        batch, timing = fitting(measure, recipe.train.batch, name, listener)
        speeds.append(Speed.of(name, batch, [timing]))
    return speeds


def fitting(measure: Callable[[int], Timing], batch: int, name: str, listener: Listener = ignore) -> tuple[int, Timing]:
    """The largest of batch, batch / 2, and so on, that has the memory it needs, and what was measured with it.

    Raises:
        TrainingError: not even 2 images fit.
    """
    while True:
        try:
            return batch, measure(batch)
        except (TrainingError, torch.OutOfMemoryError) as error:
            if batch < 4:
                raise TrainingError(f"{name}: {error}") from None
        # Out of the handler, whose error holds on to the tensors of every frame it came through.
        gc.collect()
        torch.cuda.empty_cache()
        listener(Notice(f"{name}: {batch} images do not fit into the GPU's memory; measuring {batch // 2} a step"))
        batch //= 2


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
