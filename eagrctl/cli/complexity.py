"""`eagrctl complexity`: a recipe -> parameters, FLOPs, memory and latency of the models of the paper's Fig. 4."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from eagrctl.cli import console
from eagrctl.cli.options import Figures, Gpus, Quiet, Settings, choose_device, option
from eagrctl.files import CHARTS, write_text

if TYPE_CHECKING:
    from eagrctl.paper.complexity import Comparison


def complexity(
    recipe: Annotated[str, option("--recipe -r", "NAME|PATH", "Recipe whose network is measured.")] = "helen",
    settings: Settings = None,
    classes: Annotated[int, option("--classes", "N", "Classes, the background included.", min=2)] = 11,
    runs: Annotated[int, option("--runs", "N", "Forward passes timed per model; 0 measures no latency.", min=0)] = 3,
    gpus: Gpus = None,
    figures: Figures = None,
    chart: Annotated[
        Path | None, option("--chart", "FILE", "Draw a bar chart like the paper's Figure 4: PNG, SVG or PDF.", CHARTS)
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
    from eagrctl.paper.complexity import compare
    from eagrctl.recipe import find_recipe, load_recipe

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
