"""`eagrctl runs`: which runs there are, how far they have come, and their curves."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import DATA, RUNS, argument, option
from eagrctl.errors import EagrctlError, TrainingError
from eagrctl.files import CHARTS

if TYPE_CHECKING:
    from eagrctl.training.history import History

LATEST = 8  # epochs in the table of `show`

app = typer.Typer(
    invoke_without_command=True,
    help="""List runs: dataset, recipe, how far each has come, its best score, and whether it is running.

The run that wrote last comes first. Steps are those up to its last validation; the best score is mean F1 in percent on
the validation split, with its epoch in brackets. The recipe stands there as backbone, width and input size.

```text
eagrctl runs
eagrctl runs --folder /scratch/runs
eagrctl runs show NAME
```""",
    short_help="List runs, and draw their curves.",
)


@app.callback()
def runs(context: typer.Context, folder: Annotated[Path, option("--folder", "DIR", "Folder of runs.")] = RUNS) -> None:
    """List the runs in a folder, unless a command of the group follows; its help text is the app's."""
    context.obj = folder
    if context.invoked_subcommand:
        return
    from eagrctl.training.history import read_history
    from eagrctl.training.runs import runs_in

    histories = [read_history(run) for run in runs_in(folder)]
    if not histories:
        console.message(f"No run in {folder}/: train one with eagrctl train, or name another folder with --folder")
        return
    console.table(
        ("run", "dataset", "recipe", "epoch", "step", "best F1", "state", "began"),
        [
            (
                history.run.folder.name,
                _dataset(history),
                _recipe(history),
                _epoch(history),
                f"{history.epochs[-1].step:,}" if history.epochs else "-",
                f"{_percent(history.best.mean_f1)} ({history.best.epoch})" if history.best else "-",
                history.state,
                f"{history.began:%Y-%m-%d %H:%M}" if history.began else "-",
            )
            for history in histories
        ],
    )


@app.command("show")
def show(
    context: typer.Context,
    run: Annotated[
        Path | None, argument("RUN", "Folder of a run, or its name in runs/. Default: the one that wrote last.")
    ] = None,
    picture: Annotated[
        Path | None, option("--picture", "FILE", "PNG, SVG or PDF to write. Default: RUN/curves.png.", CHARTS)
    ] = None,
) -> None:
    """Print a run's last epochs and its best one, and draw its loss and its scores on the validation split.

    ```text
    eagrctl runs show
    eagrctl runs show runs/NAME --picture curves.svg
    ```
    """
    from eagrctl.drawing.chart import curves_chart, save_chart
    from eagrctl.training.history import plots_of, read_history
    from eagrctl.training.runs import find_run

    history = read_history(find_run(run, context.obj))
    folder = history.run.folder
    if not history.epochs:
        raise TrainingError(f"{folder} ({history.state}) has no curves yet: they begin with its first validation")
    state = f"{history.state}, epoch {_epoch(history)}, {_recipe(history)} on "
    best = f"; best mean F1 {_percent(history.best.mean_f1)} after epoch {history.best.epoch}" if history.best else ""
    console.result(f"{folder}: {state}{_dataset(history)}{best}")
    _show_epochs(history)
    picture = picture or folder / "curves.png"
    try:
        # A picture may be shown to others: it names the dataset, and no folder of this machine.
        note = f"{state}{history.recipe.dataset if history.recipe else 'unknown data'}{best}"
        save_chart(curves_chart(folder.absolute().name, note, plots_of(history.epochs)), picture)
    except EagrctlError as error:
        raise EagrctlError(f"{error}: name another place with --picture FILE") from None
    console.written([picture])


def _show_epochs(history: "History") -> None:
    best, latest = history.best, history.epochs[-LATEST:]
    console.table(
        ("epoch", "step", "rate", "loss", "parsing", "mean F1", "mIoU", "minutes"),
        [
            (
                f"{epoch.epoch} (best)" if epoch is best else str(epoch.epoch),
                f"{epoch.step:,}",
                _figure(epoch.rate, ".1e"),
                *(_figure(epoch.loss.get(term, math.nan), ".3f") for term in ("total", "parsing")),
                _percent(epoch.mean_f1),
                _percent(epoch.val.get("miou", math.nan)),
                _figure(epoch.seconds / 60, ",.1f"),
            )
            for epoch in (latest if best is None or best in latest else (best, *latest))
        ],
        "The best epoch and the latest; minutes are those of training since the run began",
    )


def _dataset(history: "History") -> str:
    """The folder of the data, as short as it can be without being mistaken for another."""
    if history.data is None:
        return history.recipe.dataset if history.recipe else "-"
    for folder in (DATA.absolute(), Path.cwd()):
        if history.data.is_relative_to(folder):
            return str(history.data.relative_to(folder))
    return str(history.data)


def _recipe(history: "History") -> str:
    if history.recipe is None:
        return "unreadable recipe"
    model, size = history.recipe.model, history.recipe.input.size
    width = "" if model.width == 1 else f", width {model.width:g}"
    return f"{model.backbone}{width}, {size} px"


def _epoch(history: "History") -> str:
    done = history.epochs[-1].epoch if history.epochs else 0
    return f"{done}/{history.recipe.train.epochs if history.recipe else '?'}"


def _percent(value: float) -> str:
    return _figure(100 * value, ".1f")


def _figure(value: float, form: str) -> str:
    return f"{value:{form}}" if math.isfinite(value) else "-"
