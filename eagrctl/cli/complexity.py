"""`eagrctl complexity`: a recipe -> parameters, FLOPs, memory and latency of the models of the paper's Fig. 4."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import Gpus, Quiet, choose_device
from eagrctl.files import require_writable, write_text

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
        Path | None,
        typer.Option("--chart", metavar="FILE", help="Draw a bar chart like the paper's Figure 4: PNG, SVG or PDF."),
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
    from eagrctl.drawing.chart import save_chart
    from eagrctl.drawing.formats import CHARTS
    from eagrctl.paper.complexity import compare
    from eagrctl.recipe import find_recipe, load_recipe

    if figures is not None:
        require_writable(figures, ".json")
    if chart is not None:
        require_writable(chart, *CHARTS)
    chosen = load_recipe(find_recipe(recipe), settings or [])
    device = choose_device(gpus)
    with console.progress(quiet) as listener:
        comparison = compare(chosen, classes, device, runs, listener)
    show(comparison)
    if figures is not None:
        write_text(comparison.to_json(), figures)
    if chart is not None:
        save_chart(comparison.chart(), chart)
    console.written(path for path in (figures, chart) if path)


def show(comparison: "Comparison") -> None:
    """Print the figures of each model, and where its FLOPs go."""
    from eagrctl.drawing.chart import readable

    models = comparison.models
    headings = ("", *(model.name for model in models))
    rows = [(name, *map(readable, values)) for name, values in comparison.quantities().items()]
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
