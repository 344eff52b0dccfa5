"""`eagrctl evaluate`: a checkpoint and a prepared dataset -> scores and the paper's table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.device import choose_device
from eagrctl.cli.options import RUNS, Data, Gpus, Quiet
from eagrctl.files import require_writable

if TYPE_CHECKING:
    from eagrctl.scoring.scores import Scores


def evaluate(
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar="RUN|CHECKPOINT", help="Default: the best checkpoint of the newest run.")
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option("--split", metavar="NAME", help="Split to score: test, val or train.")] = "test",
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.md", help="Write the paper's table with our row.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE.png", help="Draw photo, truth and prediction of some faces."),
    ] = None,
    gpus: Gpus = None,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Faces predicted together.")] = 8,
    quiet: Quiet = False,
) -> None:
    """Score a checkpoint at each face's own resolution, and lay the scores beside the paper's.

    Predictions are mapped back to the source frame; one confusion matrix sums over all images.

    ```text
    eagrctl evaluate --report table.md
    eagrctl evaluate runs/NAME --split val --picture faces.png
    ```
    """
    from eagrctl.checkpoint import load_checkpoint
    from eagrctl.data.index import ShardIndex
    from eagrctl.inference.predict import Predictor
    from eagrctl.inference.visualise import Gallery, save_picture
    from eagrctl.scoring.evaluate import check_classes
    from eagrctl.scoring.evaluate import evaluate as score_split
    from eagrctl.scoring.tables import markdown_report, write_report
    from eagrctl.training.run import Run, find_checkpoint

    for file, suffix in ((report, ".md"), (picture, ".png")):
        if file is not None:
            require_writable(file, suffix)
    path = find_checkpoint(checkpoint, RUNS)
    loaded = load_checkpoint(path)
    index = ShardIndex.load(data or Run(path.parent).data())
    check_classes(loaded.classes, index, str(path))
    gallery = Gallery(index.split(split).count)
    device = choose_device(gpus)
    with console.progress(quiet) as progress:
        index.verify(split, progress)
        evaluation = score_split(Predictor.of(loaded, device), index, split, batch, progress, gallery.look)
    origin = f"{path} (step {loaded.step:,})"
    show(evaluation.scores, f"{index.provenance.dataset}, split {split}: {evaluation.images:,} images, {origin}")
    written = []
    if report is not None:
        write_report(markdown_report(evaluation, index, "eagrctl", origin), report)
        written.append(report)
    if picture is not None:
        save_picture(gallery.draw(index.labels), picture)
        written.append(picture)
    console.written(written)


def show(scores: "Scores", title: str) -> None:
    """Print the scores of every class and region, and their means."""
    from eagrctl.scoring.tables import percent, summary_line

    rows = [
        (name, *map(percent, figures))
        for name, *figures in zip(scores.classes, scores.f1, scores.iou, scores.accuracy, strict=True)
    ]
    rows += [(name, percent(f1), "", "") for name, f1 in scores.regions.items()]
    console.table(("class", "F1", "IoU", "accuracy"), rows, title)
    console.result(summary_line(scores))
