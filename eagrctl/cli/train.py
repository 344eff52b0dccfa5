"""`eagrctl train`: a recipe and a prepared dataset -> a run with checkpoints."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.device import count_gpus
from eagrctl.cli.options import DATA, RUNS, Data, Quiet, all_cores, newest_dataset
from eagrctl.errors import RecipeError, TrainingError

if TYPE_CHECKING:
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import Recipe
    from eagrctl.training.run import Run
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
    """

    recipe: "Recipe"
    data: Path
    folder: Path
    gpus: bool
    workers: int
    micro_batch: int | None
    resume: bool
    quiet: bool


def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", "-r", metavar="NAME|PATH", help="Recipe to follow. Default: the one named as the data."
        ),
    ] = None,
    data: Data = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="The run's folder. Default: runs/RECIPE-TIME.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe, as TOML. May be repeated."),
    ] = None,
    pretrained: Annotated[
        Path | None,
        typer.Option(
            "--pretrained",
            metavar="FILE",
            help="Weights to start from: short for --set model.pretrained='\"FILE\"'. A ResNet or a whole network.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Short for --set train.seed=N.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run at --output, or the newest one that is unfinished.")
    ] = False,
    gpus: Annotated[
        str | None,
        typer.Option("--gpus", metavar="N|all", help="GPUs to train on; 0 is the CPU. Default: one if there is one."),
    ] = None,
    cpu_processes: Annotated[
        int | None,
        typer.Option(
            "--cpu-processes", metavar="N", min=1, help="Train on the CPU, in N processes. Default with --gpus 0: 1."
        ),
    ] = None,
    nodes: Annotated[
        int, typer.Option("--nodes", metavar="N", min=1, help="Machines; start the same command on each.")
    ] = 1,
    rendezvous: Annotated[
        str | None,
        typer.Option("--rendezvous", metavar="HOST:PORT", help="Where machines find each other: one of them."),
    ] = None,
    max_restarts: Annotated[
        int,
        typer.Option(
            "--max-restarts", metavar="N", min=0, help="Restart from the last checkpoint if a process dies, N times."
        ),
    ] = 0,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            "--micro-batch",
            metavar="N",
            min=1,
            help="Images in a process's memory at once; gradients of a batch add up. Default: its share of the batch.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=0,
            help="Processes that read samples, for each that trains. Default: 0 on the CPU, else up to 8.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train EAGRNet, validating after each epoch and keeping the best and the last checkpoint.

    The recipe's batch is shared out among the processes, whose steps are those of one. Ctrl-C saves a checkpoint and
    stops; the same command again, or --resume, goes on from there. Under torchrun or Slurm, it joins their processes.

    ```text
    eagrctl train
    eagrctl train --gpus 4
    eagrctl train --recipe celebamask-hq-small --gpus 0
    eagrctl train --set train.epochs=50 --set train.rate=2e-3
    eagrctl train --pretrained resnet101-imagenet.pth
    eagrctl train --gpus 8 --nodes 2 --rendezvous first-machine:29500
    eagrctl train --resume
    ```
    """
    if nodes > 1 and not rendezvous:
        raise typer.BadParameter(f"--nodes {nodes} needs --rendezvous HOST:PORT, the same on each machine")
    from eagrctl.training.loop import steps_of
    from eagrctl.training.step import pieces_needed
    from eagrctl.training.world import world_in_environment
    from eagrctl.weights.start import pretrained_file

    joins = world_in_environment()
    on_gpus, processes = count_gpus(gpus, cpu_processes, own=not joins)
    world = int(os.environ["WORLD_SIZE"]) if joins else processes * nodes
    if resume:
        if recipe or settings or pretrained or seed is not None:
            raise TrainingError(
                "--resume continues with the run's own recipe: drop --recipe, --set, --pretrained and --seed"
            )
        chosen, index, run = _continued(data, output)
    else:
        overrides = [*(settings or []), *([] if seed is None else [f"train.seed={seed}"])]
        if pretrained is not None:
            overrides.append(f"model.pretrained={json.dumps(str(pretrained))}")
        chosen, index, run, resume = _begun(recipe, overrides, data, output)
    pieces_needed(chosen.train.batch, world, micro_batch)
    steps_of(chosen, index)
    readers = (min(8, max(1, all_cores() // processes)) if on_gpus else 0) if workers is None else workers
    work = Work(chosen, index.root, run.folder, on_gpus, readers, micro_batch, resume, quiet)
    if not joins or os.environ["RANK"] == "0":
        _announce(work, index, world)
    if not resume and not joins:
        # Here, where there is time for it: processes that train together wait for one another ten minutes at most.
        with console.progress(quiet) as report:
            pretrained_file(chosen, report)
    finished = _start(work, processes, nodes, rendezvous, max_restarts, joins)
    if joins and os.environ["RANK"] != "0":
        return
    console.written(path for path in (run.best, run.last, run.metrics) if path.is_file())
    if not finished:
        # Without --output, --resume finds the newest run in runs/.
        where = "" if run.folder.parent == RUNS else f" --output {run.folder}"
        console.message(f"Interrupted. Continue with: eagrctl train --resume{where}")
        raise typer.Exit(130)


def _start(work: Work, processes: int, nodes: int, rendezvous: str | None, restarts: int, joins: bool) -> bool:
    from eagrctl.training.launch import Places, launch

    if joins:
        return train_in_world(work)
    if processes * nodes > 1 or restarts:
        return launch(train_in_world, (work,), Places(processes, nodes, rendezvous, restarts))
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
    from dataclasses import replace

    from eagrctl.data.index import ShardIndex
    from eagrctl.training.loop import train as train_run
    from eagrctl.training.run import Run

    # Under torchrun, each process has named a run by its own clock.
    work = replace(work, folder=Path(world.told(str(work.folder))), resume=world.told(work.resume))
    run = Run(work.folder)
    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0 and run.last.is_file()
    with console.progress(work.quiet, silent=not world.first) as report:
        return train_run(
            work.recipe,
            ShardIndex.load(work.data),
            run,
            world,
            work.workers,
            work.micro_batch,
            work.resume or again,
            report,
        )


def _announce(work: Work, index: "ShardIndex", world: int) -> None:
    model, size = work.recipe.model, work.recipe.input.size
    kind = "GPU" if work.gpus else "CPU"
    where = f"the {kind}" if world == 1 else f"{world} GPUs" if work.gpus else f"the CPU in {world} processes"
    verb = "Going on with" if work.resume else "Training"
    console.message(
        f"{verb} EAGRNet ({model.backbone}, width {model.width:g}, {size} x {size}) on {index.root}, on {where}, "
        f"into {work.folder}"
    )
    if not work.gpus and model.width >= 1:
        console.message("At full width a step takes minutes on a CPU; recipes that end in -small are made for CPUs.")


def _begun(
    recipe: str | None, overrides: list[str], data: Path | None, output: Path | None
) -> tuple["Recipe", "ShardIndex", "Run", bool]:
    """Recipe, data and run; and whether the run is an unfinished one of the same recipe and data, to be continued."""
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import find_recipe, load_recipe, recipe_names
    from eagrctl.training.run import Run, same_unfinished

    if recipe is None:
        index = ShardIndex.load(data or newest_dataset())
        recipe = index.provenance.dataset
        if recipe not in recipe_names():
            raise RecipeError(
                f"no recipe is named after {index.root}, a dataset of the kind {recipe!r}: choose one with --recipe, "
                f"such as celebamask-hq-small on a CPU (there are {', '.join(recipe_names())})"
            )
        chosen = load_recipe(find_recipe(recipe), overrides)
    else:
        chosen = load_recipe(find_recipe(recipe), overrides)
        index = ShardIndex.load(data or DATA / chosen.dataset)
    name = Path(recipe).stem
    if unfinished := same_unfinished(chosen, index.root, output, RUNS, name):
        console.message(
            f"{unfinished.folder} is an unfinished run of this very recipe and dataset: going on with it"
            + ("" if output else " (--output names another run)")
        )
        return chosen, index, unfinished, True
    return chosen, index, Run(output or RUNS / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"), False


def _continued(data: Path | None, output: Path | None) -> tuple["Recipe", "ShardIndex", "Run"]:
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import load_recipe
    from eagrctl.training.run import unfinished_run

    run = unfinished_run(output, RUNS)
    return load_recipe(run.recipe), ShardIndex.load(data or run.data()), run
