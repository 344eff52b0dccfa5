"""What `train` and `ablate` have in common: what is trained on what, and in which processes."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eagrctl.cli import console
from eagrctl.cli.options import DATA, all_cores, newest_dataset
from eagrctl.errors import RecipeError

if TYPE_CHECKING:
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import Recipe
    from eagrctl.training.launch import Places
    from eagrctl.training.world import World


@dataclass(frozen=True)
class Work:
    """What every process of a training is told.

    Attributes:
        recipe: what to train.
        data: the prepared dataset.
        folder: the run's.
        gpus: whether to train on GPUs.
        workers: processes that read samples for each.
        micro_batch: the most images at once in each.
        resume: whether the run goes on.
        quiet: whether to show warnings only.
        tensorboard: whether to write for TensorBoard.
    """

    recipe: "Recipe"
    data: Path
    folder: Path
    gpus: bool
    workers: int
    micro_batch: int | None
    resume: bool
    quiet: bool
    tensorboard: bool = False


def chosen_recipe(recipe: str | None, overrides: list[str], data: Path | None) -> tuple[str, "Recipe", "ShardIndex"]:
    """The recipe and the data that the command line asks for; each is the other's default.

    Args:
        recipe: name or path; None takes the one named as the data.
        overrides: lines of TOML.
        data: the prepared dataset; None takes the recipe's, or with no recipe either, the newest.

    Returns:
        The recipe's name or path, the recipe with its overrides, and the data's index.

    Raises:
        RecipeError: no such recipe, or it cannot be read.
        ShardError: no such data.
    """
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import find_recipe, load_recipe, recipe_names

    if recipe is not None:
        chosen = load_recipe(find_recipe(recipe), overrides)
        return recipe, chosen, ShardIndex.load(data or DATA / chosen.dataset)
    index = ShardIndex.load(data or newest_dataset())
    recipe = index.provenance.dataset
    if recipe not in recipe_names():
        raise RecipeError(
            f"no recipe is named after {index.root}, a dataset of the kind {recipe!r}: choose one with --recipe, "
            f"such as celebamask-hq-small on a CPU (there are {', '.join(recipe_names())})"
        )
    return recipe, load_recipe(find_recipe(recipe), overrides), index


def readers_for(workers: int | None, on_gpus: bool, processes: int) -> int:
    """Processes that read samples for each that trains; without a wish, 0 on the CPU, else up to 8."""
    if workers is not None:
        return workers
    return min(8, max(1, all_cores() // processes)) if on_gpus else 0


def announce(work: Work, world: int) -> None:
    """Say what begins.

    Args:
        work: what it is.
        world: processes, on all machines.
    """
    model, size = work.recipe.model, work.recipe.input.size
    kind = "GPU" if work.gpus else "CPU"
    where = f"the {kind}" if world == 1 else f"{world} GPUs" if work.gpus else f"the CPU in {world} processes"
    verb = "Going on with" if work.resume else "Training"
    console.message(
        f"{verb} EAGRNet ({model.backbone}, width {model.width:g}, {size} x {size}) on {work.data}, on {where}, "
        f"into {work.folder}"
    )
    if not work.gpus and model.width >= 1:
        console.message("At full width a step takes minutes on a CPU; recipes that end in -small are made for CPUs.")


def start_training(work: Work, places: "Places | None") -> bool:
    """Train, or go on training, in as many processes as there are to be.

    Args:
        work: what every process is told.
        places: the processes to start; None where somebody else has started them, and this is one of them.

    Returns:
        Whether it came to its end; False where it was interrupted, and saved.

    Raises:
        EagrctlError: it cannot start or go on.
    """
    from eagrctl.training.launch import launch
    from eagrctl.weights.start import pretrained_file

    if places is None:
        return train_in_world(work)
    if not work.resume:
        # Here, where there is time for it: processes that train together wait for one another ten minutes at most.
        with console.progress(work.quiet) as listener:
            pretrained_file(work.recipe, listener)
    if places.processes * places.nodes > 1 or places.restarts:
        return launch(train_in_world, (work,), places)
    return train_alone(work)


def train_alone(work: Work) -> bool:
    """Train in this process."""
    import torch

    from eagrctl.training.world import World

    return _train(work, World(torch.device("cuda" if work.gpus else "cpu")))


def train_in_world(work: Work) -> bool:
    """Train in this process, one of several."""
    from eagrctl.training.world import joined

    with joined(work.gpus) as world:
        return _train(work, world)


def _train(work: Work, world: "World") -> bool:
    from eagrctl.data.index import ShardIndex
    from eagrctl.training.loop import train
    from eagrctl.training.run import Run

    # Under torchrun, each process has named a run by its own clock.
    work = replace(work, folder=Path(world.told(str(work.folder))), resume=world.told(work.resume))
    run = Run(work.folder)
    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0 and run.last.is_file()
    with console.progress(work.quiet, silent=not world.first) as listener:
        return train(
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
