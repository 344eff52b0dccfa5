"""What an ablation still has to do, and for how long: a few steps of one network, timed, and the FLOPs of all."""

import math
from dataclasses import dataclass

import torch

from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.paper.ablation import Ablation
from eagrctl.paper.complexity import count_flops, describe
from eagrctl.paper.variants import Training
from eagrctl.recipe import Recipe, changed
from eagrctl.training.launch import Places
from eagrctl.training.start import Work
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

        `flops` are those of its network's forward pass, and `split` is what is evaluated.
        """
        per_epoch = index.split("train").count // recipe.train.batch
        validated = math.ceil(steps / per_epoch) * index.split("val").count / self.processes
        looked_at = validated + index.split(split).count  # one process evaluates
        return self.seconds * flops / self.flops * (steps + FORWARD * looked_at / self.images)


def time_steps(training: Training, index: ShardIndex, work: Work, processes: int, steps: int) -> StepTime:
    """Time a few steps on real faces; nothing is written.

    Args:
        training: of the network.
        index: the data.
        work: where steps are taken, and on how many images at once.
        processes: GPUs that share a batch out; processes on the CPU share its cores, which is as if there were one.
        steps: how many are timed, after one that is not.

    Raises:
        TrainingError: too little memory.
    """
    name, micro_batch = training.name, work.micro_batch
    share = max(2, math.ceil(training.recipe.train.batch / processes))
    if micro_batch is not None:
        # Alone, a process cannot step on pieces of one image (`pieces_needed`), which among others it can.
        while share // math.ceil(share / micro_batch) < 2:
            micro_batch += 1
    # Compiling takes minutes, which is not what is asked; a step is then faster than this estimate.
    recipe, world = changed(training.recipe, train={"batch": share, "compile": False}), World(work.device)
    with work.drawing() as listener:
        task = f"timing {name}"
        timing = timing_of(recipe, index, world, steps, 0, micro_batch, warm_up=1, task=task, listener=listener)
    mean = (timing.seconds - timing.waited) / steps
    shared = ", a GPU's share of a batch," if processes > 1 else ""
    how = (
        f"a step of {name} on {share} images{shared} took {mean:.3g} s on {describe(work.device)} (mean of {steps}, "
        "after one that does not count); other networks by their FLOPs; validation and evaluation at a third of "
        "a step's time per image; reading and starting left out"
    )
    return StepTime(mean, flops_of(recipe, index), share, processes, how)


@dataclass(frozen=True)
class Left:
    """What a training still has to do.

    Attributes:
        training: which.
        steps: those it has not taken yet.
        flops: of its network's forward pass on one image.
        seconds: that it still takes, evaluation included; None where no steps were timed.
    """

    training: Training
    steps: int
    flops: int
    seconds: float | None


def what_is_left(ablation: Ablation, work: Work, places: Places, timed: int) -> tuple[list[Left], str]:
    """What each training of an ablation still has to do; nothing is written.

    The estimate of its time rests on so many timed steps of the first network; 0 makes none.

    Returns:
        In the order of the plan; and how the time was estimated, in words, empty where it was not.
    """
    index, trainings = ablation.index, ablation.plan.trainings
    scored = [ablation.scores(training) is not None for training in trainings]
    step_time = None
    if timed and not all(scored):
        step_time = time_steps(trainings[0], index, work, places.processes if work.gpus else 1, timed)
    found = []
    for training, done in zip(trainings, scored, strict=True):
        flops, steps, seconds = flops_of(training.recipe, index), ablation.steps_left(training), None
        if step_time is not None:
            seconds = 0.0 if done else step_time.of(training.recipe, flops, steps, index, ablation.split)
        found.append(Left(training, steps, flops, seconds))
    return found, "" if step_time is None else step_time.how


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
