"""`eagrctl train`: a recipe and a prepared dataset -> a run with checkpoints."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.device import choose_device
from eagrctl.cli.options import DATA, RUNS, Data, Gpus, Quiet, all_cores, newest_dataset
from eagrctl.errors import RecipeError, TrainingError

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
    gpus: Gpus = None,
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
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=0, help="Processes that read samples. Default: 0 on the CPU, else up to 8."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train EAGRNet, validating after each epoch and keeping the best and the last checkpoint.

    Ctrl-C saves a checkpoint and stops; --resume goes on from there.

    ```text
    eagrctl train
    eagrctl train --recipe celebamask-hq-small --gpus 0
    eagrctl train --set train.epochs=50 --set train.rate=2e-3
    eagrctl train --pretrained resnet101-imagenet.pth
    eagrctl train --resume
    ```
    """
    from eagrctl.training.loop import train as train_run

    device = choose_device(gpus)
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
        chosen, index, run = _begun(recipe, overrides, data, output)
    backbone = f"{chosen.model.backbone}, width {chosen.model.width:g}, {chosen.input.size} x {chosen.input.size}"
    console.message(f"Training EAGRNet ({backbone}) on {index.root}, on the {device.type.upper()}, into {run.folder}")
    if device.type == "cpu":
        workers = workers or 0
        if chosen.model.width >= 1:
            console.message(
                "At full width a step takes minutes on a CPU; recipes that end in -small are made for CPUs."
            )
    with console.progress(quiet) as report:
        finished = train_run(
            chosen, index, run, device, min(8, all_cores()) if workers is None else workers, resume, report
        )
    console.written(path for path in (run.best, run.last, run.metrics) if path.is_file())
    if not finished:
        # Without --output, --resume finds the newest run in runs/.
        where = "" if run.folder.parent == RUNS else f" --output {run.folder}"
        console.message(f"Interrupted. Continue with: eagrctl train --resume{where}")
        raise typer.Exit(130)


def _begun(
    recipe: str | None, overrides: list[str], data: Path | None, output: Path | None
) -> tuple["Recipe", "ShardIndex", "Run"]:
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import find_recipe, load_recipe, recipe_names
    from eagrctl.training.run import Run

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
    return chosen, index, Run(output or RUNS / f"{Path(recipe).stem}-{datetime.now():%Y%m%d-%H%M%S}")


def _continued(data: Path | None, output: Path | None) -> tuple["Recipe", "ShardIndex", "Run"]:
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import load_recipe
    from eagrctl.training.run import unfinished_run

    run = unfinished_run(output, RUNS)
    return load_recipe(run.recipe), ShardIndex.load(data or run.data()), run
