"""The training samples, batch by batch, and the rate of each: both follow from the recipe and the step alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import DataLoader

from eagrctl.data.dataset import FaceDataset
from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.recipe import Recipe
from eagrctl.training.interrupts import leave_signals_to_the_parent
from eagrctl.training.world import World


def steps_of(recipe: Recipe, index: ShardIndex) -> int:
    """How many steps a whole run takes.

    Raises:
        TrainingError: there is not one batch of samples.
    """
    count = index.split("train").count
    if count < recipe.train.batch:
        raise TrainingError(
            f"{index.root} has {count} training samples, fewer than one batch of {recipe.train.batch}: "
            "prepare more, or lower it with --set train.batch=..."
        )
    return count // recipe.train.batch * recipe.train.epochs


def rate_at(step: int, steps: int, rate: float, power: float, warm_up: int = 0) -> float:
    """Polynomial decay: rate * (1 - step / steps) ** power, for step 0 .. steps - 1.

    Over the first `warm_up` steps, the rate grows in equal parts to what the decay gives.
    """
    return float(rate * (1 - step / steps) ** power * min(1.0, (step + 1) / (warm_up + 1)))


@dataclass(frozen=True)
class Batches:
    """The positions of every batch of a run, from a given step to the last.

    Each epoch is a fresh order of the whole split; a last batch that is not full is left out, because batch norm
    would weigh it like the others.

    Args:
        count: samples in the split.
        batch: samples a step.
        epochs: of the run.
        seed: of the run.
        start: the step to begin at.
        share: what of a batch this process takes; all of it, by default.
    """

    count: int
    batch: int
    epochs: int
    seed: int
    start: int = 0
    share: Callable[[Sequence[int]], Sequence[int]] = list

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return self.count // self.batch

    def __len__(self) -> int:
        return self.per_epoch * self.epochs - self.start

    def __iter__(self) -> Iterator[list[int]]:
        return (list(self.share(self.at(self.start + number))) for number in range(len(self)))

    def at(self, step: int) -> list[int]:
        """The whole batch of a step, all processes' shares."""
        epoch, number = divmod(step, self.per_epoch)
        return _order(self.seed, epoch, self.count)[number * self.batch : (number + 1) * self.batch]


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, count: int) -> list[int]:
    order: list[int] = np.random.default_rng((seed, epoch)).permutation(count).tolist()
    return order


def read_batches(
    recipe: Recipe, index: ShardIndex, batches: Batches, world: World, workers: int
) -> DataLoader[tuple[torch.Tensor, torch.Tensor, int]]:
    """The training samples of each batch: images, labels and positions (`eagrctl.data.dataset.FaceDataset`).

    Args:
        recipe: whose input size they have.
        index: a prepared dataset with the split train.
        batches: which samples, in which order.
        world: of this process.
        workers: processes that read; 0 reads in this one.
    """
    return DataLoader(
        FaceDataset(index, "train", recipe.input.size),
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=world.device.type == "cuda",
        prefetch_factor=4 if workers else None,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=leave_signals_to_the_parent,
    )
