"""`eagrctl train`: a recipe and a prepared dataset -> a run with checkpoints; and options that `ablate` shares."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eagrctl.cli import console, options
from eagrctl.cli.options import flag, option, spread
from eagrctl.errors import RecipeError, TrainingError

if TYPE_CHECKING:
    from eagrctl import recipe as recipes
    from eagrctl.data.index import ShardIndex
    from eagrctl.training.run import Run


@dataclass(frozen=True)
class Options:
    """What is trained on what, and in which processes."""

    recipe: options.Recipe = None
    data: options.Data = None
    settings: options.Settings = None
    seed: Annotated[int | None, option("--seed", "N", "Short for --set train.seed=N.", min=0)] = None
    gpus: options.ManyGpus = None
    cpu_processes: options.CpuProcesses = None
    micro_batch: Annotated[
        int | None,
        option("--micro-batch", "N", "Images in a process's memory at once. Default: its share of the batch.", min=1),
    ] = None
    workers: Annotated[
        int | None,
        option("--workers", "N", "Readers for each process that trains. Default: 0 on the CPU, else up to 8.", min=0),
    ] = None
    quiet: options.Quiet = False

    @property
    def overrides(self) -> list[str]:
        """Lines of TOML that change the recipe."""
        return [*(self.settings or []), *([] if self.seed is None else [f"train.seed={self.seed}"])]

    def work(self, gpus: bool, processes: int) -> dict[str, Any]:
        """What they say about the `Work` of every process."""
        from eagrctl.training.start import readers_for

        workers = readers_for(gpus, processes) if self.workers is None else self.workers
        drawing = partial(console.progress, self.quiet)
        return {"gpus": gpus, "workers": workers, "micro_batch": self.micro_batch, "drawing": drawing}


@spread
def train(
    given: Options,
    output: Annotated[Path | None, option("--output -o", "DIR", "The run's folder. Default: runs/RECIPE-TIME.")] = None,
    pretrained: Annotated[
        Path | None,
        option("--pretrained", "FILE", "ResNet or whole network to start from: --set model.pretrained='\"FILE\"'."),
    ] = None,
    resume: Annotated[bool, flag("--resume", "Continue the run at --output, or the newest unfinished one.")] = False,
    nodes: Annotated[int, option("--nodes", "N", "Machines; start the same command on each.", min=1)] = 1,
    rendezvous: Annotated[
        str | None, option("--rendezvous", "HOST:PORT", "Where machines find each other: one of them.")
    ] = None,
    max_restarts: Annotated[
        int, option("--max-restarts", "N", "Restart from the last checkpoint if a process dies, N times.", min=0)
    ] = 0,
    tensorboard: Annotated[
        bool, flag("--tensorboard", "Also write for TensorBoard, into the run's folder. Needs eagrctl[tensorboard].")
    ] = False,
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
    from eagrctl.training.launch import Places
    from eagrctl.training.start import Work, start_training
    from eagrctl.training.tensorboard import require_tensorboard
    from eagrctl.training.world import world_in_environment

    joins = world_in_environment()
    on_gpus, processes = options.count_gpus(given.gpus, given.cpu_processes, starts=not joins)
    world = int(os.environ["WORLD_SIZE"]) if joins else processes * nodes
    if resume:
        recipe, data, run = _continued(given, pretrained, output)
    else:
        recipe, data, run, resume = _begun(given, pretrained, output)
    if tensorboard:
        require_tensorboard()
    work = Work(recipe, data, run.folder, resume=resume, tensorboard=tensorboard, **given.work(on_gpus, processes))
    work.check(world)
    first = not joins or os.environ["RANK"] == "0"
    if first:
        work.announce(world)
    finished = start_training(work, None if joins else Places(processes, nodes, rendezvous, max_restarts))
    if not first:
        return
    console.written(path for path in (run.best, run.last, run.metrics) if path.is_file())
    if not finished:
        # Without --output, --resume finds the newest run in runs/.
        where = "" if run.folder.parent == options.RUNS else f" --output {run.folder}"
        console.message(f"Interrupted. Continue with: eagrctl train --resume{where}")
        raise typer.Exit(130)


def chosen_recipe(given: Options, overrides: list[str]) -> tuple[str, "recipes.Recipe", "ShardIndex"]:
    """The recipe that is asked for, by name or path and as it is, and the data; each is the other's default.

    Without a recipe, it is the one named as the data; without data either, the data is the newest.

    Raises:
        RecipeError: no such recipe, or it cannot be read.
        ShardError: no such data.
    """
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import find_recipe, load_recipe, recipe_names

    if given.recipe is not None:
        chosen = load_recipe(find_recipe(given.recipe), overrides)
        return given.recipe, chosen, ShardIndex.load(given.data or options.DATA / chosen.dataset)
    index = ShardIndex.load(given.data or options.newest_dataset())
    name = index.provenance.dataset
    if name not in recipe_names():
        raise RecipeError(
            f"no recipe is named after {index.root}, a dataset of the kind {name!r}: choose one with --recipe, "
            f"such as celebamask-hq-small on a CPU (there are {', '.join(recipe_names())})"
        )
    return name, load_recipe(find_recipe(name), overrides), index


def _begun(given: Options, pretrained: Path | None, output: Path | None) -> tuple["recipes.Recipe", Path, "Run", bool]:
    """Recipe, data and run; and whether the run is an unfinished one of the same recipe and data, to be continued."""
    from eagrctl.training.run import Run
    from eagrctl.training.runs import same_unfinished

    weights = [] if pretrained is None else [f"model.pretrained={json.dumps(str(pretrained))}"]
    named, chosen, index = chosen_recipe(given, given.overrides + weights)
    name = Path(named).stem
    if unfinished := same_unfinished(chosen, index.root, output, options.RUNS, name):
        console.message(
            f"{unfinished.folder} is an unfinished run of this very recipe and dataset: going on with it"
            + ("" if output else " (--output names another run)")
        )
        return chosen, index.root, unfinished, True
    return chosen, index.root, Run(output or options.RUNS / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"), False


def _continued(given: Options, pretrained: Path | None, output: Path | None) -> tuple["recipes.Recipe", Path, "Run"]:
    from eagrctl.recipe import load_recipe
    from eagrctl.training.runs import unfinished_run

    if given.recipe or given.overrides or pretrained:
        raise TrainingError("--resume keeps the run's own recipe: drop --recipe, --set, --pretrained and --seed")
    run = unfinished_run(output, options.RUNS)
    return load_recipe(run.recipe), given.data or run.data(), run
