"""`eagrctl benchmark`: our speed beside the floor or the plain way, measured in the same run."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import benchmark_evaluate, benchmark_parse, console
from eagrctl.cli.options import Quiet, count_gpus
from eagrctl.files import require_writable
from eagrctl.workers import cores

if TYPE_CHECKING:
    from eagrctl.benchmark.training import Goal, TrainingBenchmark

app = typer.Typer(
    no_args_is_help=True,
    help="""Measure speed, beside that of the plain way, in the same run.

```text
eagrctl benchmark train
eagrctl benchmark evaluate
eagrctl benchmark parse
```""",
    short_help="Measure speed, beside that of the plain way.",
)


app.command("evaluate")(benchmark_evaluate.evaluate)
app.command("parse")(benchmark_parse.parse)


@app.command("train")
def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            "-r",
            metavar="NAME|PATH",
            help="Recipe to train by. Default: celebamask-hq on GPUs, celebamask-hq-small on the CPU.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe, as TOML. May be repeated."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Prepared dataset. Default: faces painted for the purpose."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", metavar="N", min=1, help="Processes at once on the CPU (2); GPUs have one each."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="Steps that are timed, after those that warm up.")
    ] = 20,
    gpus: Annotated[
        str | None,
        typer.Option("--gpus", metavar="N|all", help="GPUs to use; 0 is the CPU. Default: one if there is one."),
    ] = None,
    not_compiled: Annotated[
        bool, typer.Option("--no-compile", help="On GPUs, leave out torch.compile, which takes minutes to begin with.")
    ] = False,
    figures: Annotated[
        Path | None, typer.Option("--json", metavar="FILE.json", help="Write all figures, unrounded.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure the images per second of training.

    On the CPU, processes that train together are compared with as many independent ones, each on its share of the
    batch. On a GPU, each precision is compared with float32 done plainly and with the card's rate of matrix products;
    on several, both. The share of time spent waiting for data is measured on the way.

    ```text
    eagrctl benchmark train
    eagrctl benchmark train --processes 4 --steps 50 --json speed.json
    eagrctl benchmark train --data data/celebamask-hq --gpus 1 --no-compile
    ```
    """
    on_gpus, number = count_gpus(gpus)
    if on_gpus and processes is not None:
        raise typer.BadParameter(f"GPUs have one process each: drop it for --gpus {number}", param_hint="--processes")
    if figures is not None:
        require_writable(figures, ".json")
    from eagrctl.benchmark.training import benchmark_training, painted_faces
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import find_recipe, load_recipe
    from eagrctl.scoring.report.tables import write_report
    from eagrctl.training.start import readers_for

    number = number if on_gpus else processes or 2
    name = recipe or ("celebamask-hq" if on_gpus else "celebamask-hq-small")
    chosen = load_recipe(find_recipe(name), settings or [])
    drawing = partial(console.progress, quiet)
    measure = partial(
        benchmark_training,
        chosen,
        gpus=on_gpus,
        processes=number,
        steps=steps,
        workers=readers_for(on_gpus, number),
        compiled=not not_compiled,
        drawing=drawing,
    )
    if data is not None:
        measured = measure(ShardIndex.load(data))
    else:
        with painted_faces(chosen.input.size, chosen.train.batch, cores(), drawing) as index:
            measured = measure(index)
    show(measured)
    if figures is not None:
        write_report(measured.to_json(), figures)
        console.written([figures])


def show(measured: "TrainingBenchmark") -> None:
    """Print each way's figures, and what follows from them."""
    from eagrctl.drawing.chart import readable

    on_gpus = measured.matrix_rate is not None
    headings = ["", "processes", "batch", "images/s", "waiting", "memory (GB)"]
    headings += ["TFLOP/s", "of matrix rate"] if on_gpus else ["threads each"]
    rows = []
    for speed in measured.speeds:
        row = [
            speed.name,
            f"{speed.processes}",
            f"{speed.batch}",
            f"{speed.images_per_second:.2f}",
            f"{speed.waiting:.1%}",
            f"{speed.memory / 1e9:.2f}",
        ]
        share = measured.of_matrix_rate(speed)
        row += (
            [f"{speed.threads}"] if share is None else [_tera(speed.images_per_second * measured.flops), f"{share:.1%}"]
        )
        rows.append(row)
    console.table(headings, rows, f"Training {measured.network} on {measured.data}, {measured.steps} steps each")
    console.result(f"{measured.hardware}; {measured.date}.")
    said = (
        f"{readable(measured.flops / 1e9)} GFLOP per image and step: three times the forward pass's, counted by torch"
    )
    if measured.matrix_rate is not None:
        said += f"; matrix rate in bf16: {_tera(measured.matrix_rate)} TFLOP/s, measured"
    console.result(f"{said}. Memory: the most of a process.")
    for goal in measured.goals:
        console.marked(goal.reached, _sentence(goal))


def _sentence(goal: "Goal") -> str:
    bound = "at least" if goal.least else "below"
    if goal.share:
        return f"{goal.name}: {goal.value:.1%} (asked for: {bound} {goal.target:.0%})"
    return f"{goal.name}: {goal.value:.2f} (asked for: {bound} {goal.target:g})"


def _tera(rate: float) -> str:
    return f"{rate / 1e12:,.1f}"
