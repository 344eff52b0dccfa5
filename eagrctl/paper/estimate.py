"""How long an ablation will take: a few steps of one network, timed, and the FLOPs of all."""

import math
from dataclasses import dataclass

import torch

from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.events import Listener, ignore
from eagrctl.paper.complexity import count_flops, describe
from eagrctl.recipe import Recipe, changed
from eagrctl.training.timing import time_steps as timing_of
from eagrctl.training.world import World

FORWARD = 1 / 3  # of a step's time: its backward pass takes about twice its forward pass


@dataclass(frozen=True)
class StepTime:
    """What the time of a training is reckoned from.

    Attributes:
        seconds: of a step of one network.
        flops: of that network's forward pass.
        images: in the step.
        processes: that take such a step at once, and together a batch.
        how: all that in words.
    """

    seconds: float
    flops: int
    images: int
    processes: int
    how: str

    def of(self, recipe: Recipe, flops: int, steps: int, index: ShardIndex, split: str) -> float:
        """Seconds that a training's last `steps` steps take, with validation after each epoch and evaluation.

        Args:
            recipe: of the training.
            flops: of its network's forward pass.
            steps: those that are left.
            index: the data.
            split: what is evaluated.
        """
        per_epoch = index.split("train").count // recipe.train.batch
        validated = math.ceil(steps / per_epoch) * index.split("val").count / self.processes
        looked_at = validated + index.split(split).count  # one process evaluates
        return self.seconds * flops / self.flops * (steps + FORWARD * looked_at / self.images)


def time_steps(
    name: str,
    recipe: Recipe,
    index: ShardIndex,
    device: torch.device,
    steps: int,
    processes: int = 1,
    micro_batch: int | None = None,
    listener: Listener = ignore,
) -> StepTime:
    """Time a few steps on real faces; nothing is written.

    Args:
        name: what to call the network in words.
        recipe: of the network.
        index: the data.
        device: where steps are taken.
        steps: how many are timed, after one that is not.
        processes: GPUs that share a batch out; processes on the CPU share its cores, which is as if there were one.
        micro_batch: the most images at once.
        listener: hears of progress.

    Raises:
        TrainingError: too little memory.
    """
    share = max(2, math.ceil(recipe.train.batch / processes))
    if micro_batch is not None:
        # Alone, a process cannot step on pieces of one image (`pieces_needed`), which among others it can.
        while share // math.ceil(share / micro_batch) < 2:
            micro_batch += 1
    # Compiling takes minutes, which is not what is asked; a step is then faster than this estimate.
    recipe = changed(recipe, train={"batch": share, "compile": False})
    timing = timing_of(
        recipe,
        index,
        World(device),
        steps,
        micro_batch=micro_batch,
        warm_up=1,
        task=f"timing {name}",
        listener=listener,
    )
    mean = (timing.seconds - timing.waited) / steps
    shared = ", a GPU's share of a batch," if processes > 1 else ""
    how = (
        f"a step of {name} on {share} images{shared} took {mean:.3g} s on {describe(device)} (mean of {steps}, "
        "after one that does not count); other networks by their FLOPs; validation and evaluation at a third of "
        "a step's time per image; reading and starting left out"
    )
    return StepTime(mean, flops_of(recipe, index), share, processes, how)


def flops_of(recipe: Recipe, index: ShardIndex) -> int:
    """FLOPs of one image's forward pass."""
    with torch.device("meta"):
        network = build_network(recipe, len(index.classes)).eval()
    return count_flops(network, recipe.input.size)[0]


def in_words(seconds: float) -> str:
    """A duration as one says it."""
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
