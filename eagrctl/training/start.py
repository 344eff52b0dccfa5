"""A training in as many processes as it is to have, from its beginning or from where it stopped."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from eagrctl.data.index import ShardIndex, newest_dataset
from eagrctl.errors import RecipeError
from eagrctl.events import Drawing, Notice, undrawn
from eagrctl.recipe import Recipe, find_recipe, load_recipe, recipe_names
from eagrctl.training import loop
from eagrctl.training.batches import steps_of
from eagrctl.training.launch import Places, launch
from eagrctl.training.run import Run
from eagrctl.training.step import pieces_needed
from eagrctl.training.world import World, joined
from eagrctl.weights.start import pretrained_file
from eagrctl.workers import cores


@dataclass(frozen=True)
class Work:
    """What every process of a training is told.

    Attributes:
        recipe: what to train.
        data: the prepared dataset.
        folder: the run's.
        gpus: whether to train on GPUs.
        workers: processes that read samples for each.
        micro_batch: the most images at once in each; None is all of its share.
        resume: whether the run goes on.
        tensorboard: whether to write for TensorBoard.
        drawing: draws what happens in the first process.
    """

    recipe: Recipe
    data: Path
    folder: Path
    gpus: bool
    workers: int = 0
    micro_batch: int | None = None
    resume: bool = False
    tensorboard: bool = False
    drawing: Drawing = undrawn

    @property
    def device(self) -> torch.device:
        """Where this process computes, if it is the only one."""
        return torch.device("cuda" if self.gpus else "cpu")

    def check(self, processes: int) -> None:
        """Refuse what cannot work, before anything is written.

        Args:
            processes: on all machines.

        Raises:
            TrainingError: too few samples, or a batch that cannot be shared out.
            ShardError: no such data.
        """
        pieces_needed(self.recipe.train.batch, processes, self.micro_batch)
        steps_of(self.recipe, ShardIndex.load(self.data))

    def tell(self, text: str, warning: bool = False) -> None:
        """Tell something while nothing else is drawn."""
        with self.drawing() as listener:
            listener(Notice(text, warning))

    def announce(self, processes: int) -> None:
        """Tell what begins.

        Args:
            processes: on all machines.
        """
        model, size = self.recipe.model, self.recipe.input.size
        where = "the GPU" if self.gpus else "the CPU"
        if processes > 1:
            where = f"{processes} GPUs" if self.gpus else f"{where} in {processes} processes"
        verb = "Going on with" if self.resume else "Training"
        network = f"EAGRNet ({model.backbone}, width {model.width:g}, {size} x {size})"
        with self.drawing() as listener:
            listener(Notice(f"{verb} {network} on {self.data}, on {where}, into {self.folder}"))
            if not self.gpus and model.width >= 1:
                slow = "At full width a step takes minutes on a CPU"
                listener(Notice(f"{slow}; recipes that end in -small are made for CPUs."))


def recipe_and_data(
    recipe: str | None, data: Path | None, overrides: Sequence[str], folder: Path
) -> tuple[str, Recipe, ShardIndex]:
    """A recipe, by name or path and as it is, and the data; each is the other's default.

    Args:
        recipe: its name or path; None is the recipe named as the data.
        data: a prepared dataset; None is the one in `folder` named in the recipe, and without a recipe the newest.
        overrides: lines of TOML that change the recipe.
        folder: where prepared datasets are.

    Raises:
        RecipeError: no such recipe, or it cannot be read.
        ShardError: no such data.
    """
    if recipe is not None:
        chosen = load_recipe(find_recipe(recipe), overrides)
        return recipe, chosen, ShardIndex.load(data or folder / chosen.dataset)
    index = ShardIndex.load(data or newest_dataset(folder))
    name = index.provenance.dataset
    if name not in recipe_names():
        raise RecipeError(
            f"no recipe is named after {index.root}, a dataset of the kind {name!r}: choose one with --recipe, "
            f"such as celebamask-hq-small on a CPU (there are {', '.join(recipe_names())})"
        )
    return name, load_recipe(find_recipe(name), overrides), index


def readers_for(gpus: bool, processes: int) -> int:
    """Processes that read samples for each that trains: 0 on the CPU, else up to 8."""
    return min(8, max(1, cores() // processes)) if gpus else 0


def start_training(work: Work, places: Places) -> bool:
    """Train, or go on training, in as many processes as there are to be.

    Args:
        work: what every process is told.
        places: the processes to start.

    Returns:
        Whether it came to its end; False where it was interrupted, and saved.

    Raises:
        EagrctlError: it cannot start or go on.
    """
    if not work.resume:
        # Here, where there is time for it: processes that train together wait for one another ten minutes at most.
        with work.drawing() as listener:
            pretrained_file(work.recipe, listener)
    if places.processes * places.nodes > 1 or places.restarts:
        return launch(_train_in_world, (work,), places, work.tell)
    return _train(work, World(work.device))


def join_training(plan: Callable[[], Work], gpus: bool) -> tuple[Work, bool, bool]:
    """Train in this process, one of several that somebody else has started.

    Args:
        plan: what every process is told; the first of them asks, and tells the others.
        gpus: whether to train on GPUs.

    Returns:
        What was told, whether it came to its end, and whether this process speaks for all.

    Raises:
        EagrctlError: it cannot start or go on.
    """
    with joined(gpus) as world:
        work = world.told(world.agreed(plan))
        assert work is not None
        return work, _train(work, world), world.first


def _train_in_world(work: Work) -> bool:
    """Train in this process, one of several."""
    with joined(work.gpus) as world:
        return _train(work, world)


def _train(work: Work, world: World) -> bool:
    run = Run(work.folder)
    again = world.told(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0 and bool(run.saved))
    with work.drawing() if world.first else undrawn() as listener:
        return loop.train(
            work.recipe,
            ShardIndex.load(work.data),
            run,
            world,
            work.workers,
            work.micro_batch,
            work.resume or again,
            work.tensorboard,
            listener,
        )
