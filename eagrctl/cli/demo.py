"""`eagrctl demo`: the whole way on painted faces, in minutes, on a CPU."""

from pathlib import Path
from typing import Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.evaluate import show
from eagrctl.cli.options import Gpus, Quiet, argument, choose_device, option
from eagrctl.workers import cores

TRAIN, VAL, TEST = 950, 40, 100  # painted faces


def demo(
    directory: Annotated[
        Path | None, argument("DIRECTORY", "Folder to write, with no demo in it. Default: eagrctl-demo.")
    ] = None,
    output: Annotated[Path | None, option("--output -o", "DIR", "The same folder, as other commands name it.")] = None,
    gpus: Gpus = None,
    quiet: Quiet = False,
) -> None:
    """Paint faces, prepare them, train a small network, evaluate it, and print the paper's table.

    Needs no download and a few minutes on two cores. The faces are drawings: the figures show that everything works,
    not how well EAGRNet parses photos.

    ```text
    eagrctl demo
    eagrctl demo /tmp/demo
    ```
    """
    from eagrctl.data.aligner import Aligner
    from eagrctl.data.prepare import prepare
    from eagrctl.files import write_text
    from eagrctl.readers.synthetic.source import SyntheticSource
    from eagrctl.recipe import find_recipe, load_recipe
    from eagrctl.scoring.report.build import build_report
    from eagrctl.scoring.report.tables import markdown
    from eagrctl.training.loop import train
    from eagrctl.training.run import Run
    from eagrctl.training.world import World

    if directory and output:
        raise typer.BadParameter("give DIRECTORY or --output, not both")
    device = choose_device(gpus)
    directory = directory or output or Path("eagrctl-demo")
    recipe = load_recipe(find_recipe("synthetic-small"))
    data, run = directory / "data", Run(directory / "run")
    table, picture = directory / "table.md", directory / "faces.png"
    run.require_free(recipe, data)
    source = SyntheticSource({"train": TRAIN, "val": VAL, "test": TEST}, seed=0, size=recipe.input.size)
    with console.progress(quiet) as listener:
        # Faces of an earlier demo that never came to a checkpoint are painted again.
        index = prepare(source, data, Aligner(recipe.input.size), cores(), force=True, listener=listener)
        finished = train(recipe, index, run, World(device), listener=listener)
    if not finished:
        console.message(f"Interrupted. Continue with: eagrctl train --resume --output {run.folder}", warning=True)
        raise typer.Exit(130)
    with console.progress(quiet) as listener:
        report = build_report(
            run.best,
            index,
            method="eagrctl demo",
            device=device,
            boundaries=False,
            examples=False,
            picture=picture,
            listener=listener,
        )
    text = markdown(report.table)
    write_text(text, table)
    show(report.scores, f"{TEST} painted faces that the network has not seen")
    for line in text.splitlines():
        console.result(line)
    console.written([table, picture, run.best, index.root / "index.json"])
