"""The training samples, batch by batch."""

import torch
from torch.utils.data import DataLoader

from eagrctl.data.dataset import FaceDataset
from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.recipe import Recipe
from eagrctl.training.interrupts import leave_signals_to_the_parent
from eagrctl.training.schedule import Batches
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
