"""`eagrctl train`: a recipe and a prepared dataset -> a run with checkpoints; and options that `ablate` shares."""

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from eagrctl.cli import console, options
from eagrctl.cli.options import flag, option, spread
from eagrctl.errors import TrainingError


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
    if resume and (given.recipe or given.overrides or pretrained):
        raise TrainingError("--resume keeps the run's own recipe: drop --recipe, --set, --pretrained and --seed")
    from eagrctl.recipe import load_recipe
    from eagrctl.training.launch import Places
    from eagrctl.training.run import Run
    from eagrctl.training.runs import run_for, unfinished_run
    from eagrctl.training.start import Work, join_training, recipe_and_data, start_training
    from eagrctl.training.tensorboard import require_tensorboard
    from eagrctl.training.world import world_in_environment

    joins = world_in_environment()
    on_gpus, processes = options.count_gpus(given.gpus, given.cpu_processes, starts=not joins)
    world = int(os.environ["WORLD_SIZE"]) if joins else processes * nodes

    def plan() -> Work:
        """What is trained and where, told to the user."""
        if resume:
            run = unfinished_run(output, options.RUNS)
            recipe, data, goes_on = load_recipe(run.recipe), given.data or run.data(), bool(run.saved)
        else:
            weights = [] if pretrained is None else [f"model.pretrained={json.dumps(str(pretrained))}"]
            name, recipe, index = recipe_and_data(given.recipe, given.data, given.overrides + weights, options.DATA)
            data = index.root
            run, goes_on = run_for(recipe, data, output, options.RUNS, Path(name).stem)
            if goes_on:
                kind = "a finished" if run.finished() else "an unfinished"
                other = "" if output else " (--output names another run)"
                console.message(f"Going on with {run.folder}, {kind} run of this recipe and dataset{other}")
        if tensorboard:
            require_tensorboard()
        work = Work(recipe, data, run.folder, resume=goes_on, tensorboard=tensorboard, **given.work(on_gpus, processes))
        work.check(world)
        work.announce(world)
        return work

    if joins:
        work, finished, first = join_training(plan, on_gpus)
    else:
        work, first = plan(), True
        finished = start_training(work, Places(processes, nodes, rendezvous, max_restarts))
    if not first:
        return
    run = Run(work.folder)
    console.written(path for path in (run.best, run.last, run.metrics) if path.is_file())
    if not finished:
        # Without --output, --resume finds the newest run in runs/.
        where = "" if run.folder.parent == options.RUNS else f" --output {run.folder}"
        console.message(f"Interrupted. Continue with: eagrctl train --resume{where}", warning=True)
        raise typer.Exit(130)
