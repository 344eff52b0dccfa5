"""`eagrctl train`: a recipe and a prepared dataset -> a run with checkpoints."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.device import count_gpus
from eagrctl.cli.options import RUNS, Data, Quiet
from eagrctl.cli.work import Work, announce, chosen_recipe, readers_for, start_training
from eagrctl.errors import TrainingError

if TYPE_CHECKING:
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import Recipe
    from eagrctl.training.run import Run


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
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Write curves and pictures for TensorBoard into the run's folder, too. Needs eagrctl[tensorboard].",
        ),
    ] = False,
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
    from eagrctl.training.batches import steps_of
    from eagrctl.training.launch import Places
    from eagrctl.training.step import pieces_needed
    from eagrctl.training.tensorboard import require_tensorboard
    from eagrctl.training.world import world_in_environment

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
    if tensorboard:
        require_tensorboard()
    pieces_needed(chosen.train.batch, world, micro_batch)
    steps_of(chosen, index)
    readers = readers_for(workers, on_gpus, processes)
    work = Work(chosen, index.root, run.folder, on_gpus, readers, micro_batch, resume, quiet, tensorboard)
    if not joins or os.environ["RANK"] == "0":
        announce(work, world)
    finished = start_training(work, None if joins else Places(processes, nodes, rendezvous, max_restarts))
    if joins and os.environ["RANK"] != "0":
        return
    console.written(path for path in (run.best, run.last, run.metrics) if path.is_file())
    if not finished:
        # Without --output, --resume finds the newest run in runs/.
        where = "" if run.folder.parent == RUNS else f" --output {run.folder}"
        console.message(f"Interrupted. Continue with: eagrctl train --resume{where}")
        raise typer.Exit(130)


def _begun(
    recipe: str | None, overrides: list[str], data: Path | None, output: Path | None
) -> tuple["Recipe", "ShardIndex", "Run", bool]:
    """Recipe, data and run; and whether the run is an unfinished one of the same recipe and data, to be continued."""
    from eagrctl.training.run import Run, same_unfinished

    recipe, chosen, index = chosen_recipe(recipe, overrides, data)
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
