"""`eagrctl complexity`: a recipe -> parameters, FLOPs, memory and latency of the models of the paper's Fig. 4."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import Gpus, Quiet, choose_device
from eagrctl.files import require_writable

if TYPE_CHECKING:
    from eagrctl.paper.complexity import Comparison


def complexity(
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", metavar="NAME|PATH", help="Recipe whose network is measured.")
    ] = "helen",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe, as TOML. May be repeated."),
    ] = None,
    classes: Annotated[
        int, typer.Option("--classes", metavar="N", min=2, help="Classes, the background included.")
    ] = 11,
    runs: Annotated[
        int,
        typer.Option("--runs", metavar="N", min=0, help="Forward passes timed per model; 0 measures no latency."),
    ] = 3,
    gpus: Gpus = None,
    figures: Annotated[
        Path | None, typer.Option("--json", metavar="FILE.json", help="Write all figures, unrounded.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option("--chart", metavar="FILE.svg", help="Draw a bar chart like the paper's Figure 4.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure what the four models of the paper's Figure 4 cost in time and space.

    Baseline has no edge module and no EAGR modules; Without sampling has non-local blocks in their place; Without graph
    has EAGR modules without graph reasoning; EAGRNet is the recipe's own network. The second example has the widths of
    the released network.

    ```text
    eagrctl complexity --json complexity.json --chart complexity.svg
    eagrctl complexity --set model.high_t=128 --set model.low_k=64
    eagrctl complexity --recipe celebamask-hq-small --classes 19
    ```
    """
    from eagrctl.paper.complexity import compare
    from eagrctl.recipe import find_recipe, load_recipe
    from eagrctl.scoring.report.tables import write_report

    for file, suffix in ((figures, ".json"), (chart, ".svg")):
        if file is not None:
            require_writable(file, suffix)
    chosen = load_recipe(find_recipe(recipe), settings or [])
    device = choose_device(gpus)
    with console.progress(quiet) as listener:
        comparison = compare(chosen, classes, device, runs, listener)
    show(comparison)
    written = []
    if figures is not None:
        write_report(comparison.to_json(), figures)
        written.append(figures)
    if chart is not None:
        write_report(comparison.chart(), chart)
        written.append(chart)
    console.written(written)


def show(comparison: "Comparison") -> None:
    """Print the figures of each model, and where its FLOPs go."""
    from eagrctl.drawing.chart import readable

    models = comparison.models
    headings = ("", *(model.name for model in models))
    rows = [
        ("parameters (M)", *(readable(model.parameters / 1e6) for model in models)),
        ("GFLOPs", *(readable(model.flops / 1e9) for model in models)),
        ("inference (MB)", *(readable(model.inference_memory / 1e6) for model in models)),
        ("training (MB)", *(readable(model.training_memory.peak / 1e6) for model in models)),
        ("checkpointed (MB)", *(readable(model.checkpointed_memory.peak / 1e6) for model in models)),
    ]
    if comparison.runs:
        rows.append(("latency (ms)", *(readable(1e3 * (model.latency or 0.0)) for model in models)))
    console.table(headings, rows, "Complexity in time and space, as in Figure 4")
    console.result(f"{comparison.conditions}.")
    console.result(
        "MB: peak memory of activations per image, beside parameters and gradients; in training that of forward, loss "
        "and backward pass on two images, without and with train.checkpointing."
    )
    decimals = 2 if models[-1].flops > 1e10 else 4
    modules = [
        (name, *(f"{model.flops_by_module[name] / 1e9:,.{decimals}f}" for model in models))
        for name in models[0].flops_by_module
    ]
    console.table(headings, modules, "GFLOPs by module; in Without sampling, EAGR modules are non-local blocks")
