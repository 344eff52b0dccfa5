"""`eagrctl evaluate`: a checkpoint and a prepared dataset -> scores and the paper's table."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Data, ManyGpus, Quiet, count_gpus
from eagrctl.files import require_writable
from eagrctl.workers import cores

if TYPE_CHECKING:
    from eagrctl.arrays import Pixels
    from eagrctl.data.shards import Stored
    from eagrctl.drawing.curves import Plot
    from eagrctl.recipe import Recipe
    from eagrctl.scoring.origin import Training
    from eagrctl.scoring.scores import Scores
    from eagrctl.training.run import Run


def evaluate(
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar="RUN|CHECKPOINT", help="Default: the best checkpoint of the newest run.")
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option("--split", metavar="NAME", help="Split to score: test, val or train.")] = "test",
    report: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write the paper's table with our row, as .md, .csv or .tex; or everything, as .json or .html. "
            "May be given several times.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE.png", help="Draw photo, truth and prediction of some faces."),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--save-predictions",
            metavar="DIR",
            help="Write each prediction as DIR/NAME.png, in the dataset's ids, as eagrctl score reads them.",
        ),
    ] = None,
    tta: Annotated[
        str | None,
        typer.Option(
            "--tta",
            metavar="mirror,scales",
            help="Average the predictions of several views of each face: mirrored, scaled, or both. Not in the paper.",
        ),
    ] = None,
    gpus: ManyGpus = None,
    cpu_processes: Annotated[
        int | None,
        typer.Option("--cpu-processes", metavar="N", min=1, help="Predict on the CPU, in N processes. Default: 1."),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Faces predicted together.")] = 8,
    quiet: Quiet = False,
) -> None:
    """Score a checkpoint at each face's own resolution, and lay the scores beside the paper's.

    Predictions are mapped back to the source frame; one confusion matrix sums over all images, and is the same for any
    number of processes.

    ```text
    eagrctl evaluate --report table.md --report report.html
    eagrctl evaluate runs/NAME --split val --picture faces.png
    eagrctl evaluate --tta mirror,scales --gpus all
    eagrctl evaluate --save-predictions predictions
    ```
    """
    import torch

    from eagrctl.checkpoint import load_checkpoint
    from eagrctl.data.index import ShardIndex
    from eagrctl.drawing.pictures import Gallery, save_picture
    from eagrctl.inference.predict import Segmenter
    from eagrctl.inference.tta import TestTimeAugmentation
    from eagrctl.scoring.evaluate import check_classes
    from eagrctl.scoring.evaluate import evaluate as score_split
    from eagrctl.scoring.parallel import Share, evaluate_in_processes
    from eagrctl.scoring.prediction_files import PredictionFolder
    from eagrctl.scoring.report.contents import Report
    from eagrctl.scoring.report.formats import Watch, require_formats, write_reports
    from eagrctl.training.run import Run
    from eagrctl.training.runs import find_checkpoint

    reports = report or []
    require_formats(reports)
    if picture is not None:
        require_writable(picture, ".png")
    path = find_checkpoint(checkpoint, RUNS)
    loaded = load_checkpoint(path)
    index = ShardIndex.load(data or Run(path.parent).data())
    check_classes(loaded.classes, index, str(path))
    views = TestTimeAugmentation.named(tta, index.labels.mirrored)
    on_gpus, processes = count_gpus(gpus, cpu_processes)
    index.split(split)
    watch = Watch(len(index.labels), reports)
    gallery = Gallery(index.split(split).count)
    lookers = [*([] if watch.idle else [watch.look]), *([gallery.look] if picture else [])]
    if predictions is not None:
        lookers.append(PredictionFolder(predictions, index.labels).look)
    predictor = Segmenter.of(loaded, torch.device("cuda" if on_gpus else "cpu"), views)

    def look(face: "Stored", prediction: "Pixels") -> None:
        for each in lookers:
            each(face, prediction)

    with console.progress(quiet) as progress:
        index.verify(split, progress)
        if processes > 1:
            threads = max(1, cores() // processes)
            share = Share(path, index.root, split, views, batch, processes if on_gpus else 0, threads, bool(lookers))
            evaluation = evaluate_in_processes(share, index, processes, progress, look if lookers else None)
        else:
            evaluation = score_split(predictor, index, split, batch, progress, look)
        examples = watch.examples(predictor, index, split, batch)
    origin = f"{path} (step {loaded.step:,})"
    show(evaluation.scores, f"{index.provenance.dataset}, split {split}: {evaluation.images:,} images, {origin}")
    plain = Report.of(evaluation, index, "eagrctl", origin)
    settings = {**plain.origin.settings, **({"test-time augmentation": str(views)} if str(views) else {})}
    whole = replace(
        plain,
        origin=replace(plain.origin, settings=settings),
        boundary=watch.boundary,
        examples=examples,
        curves=_curves(Run(path.parent)),
        training=_training(loaded.recipe),
    )
    write_reports(whole, reports)
    written = [*reports]
    if picture is not None:
        save_picture(gallery.draw(index.labels), picture)
        written.append(picture)
    if predictions is not None:
        written.append(predictions)
    console.written(written)


def show(scores: "Scores", title: str) -> None:
    """Print the scores of every class and region, and their means."""
    from eagrctl.scoring.report.contents import summary_line, undefined_lines
    from eagrctl.scoring.report.rows import percent

    rows = [
        (name, *map(percent, figures))
        for name, *figures in zip(scores.classes, scores.f1, scores.iou, scores.accuracy, strict=True)
    ]
    rows += [(name, percent(f1), "", "") for name, f1 in scores.regions.items()]
    console.table(("class", "F1", "IoU", "accuracy"), rows, title)
    console.result(summary_line(scores))
    for line in undefined_lines(scores):
        console.result(line)


def _curves(run: "Run") -> tuple["Plot", ...]:
    """The curves of the run that a checkpoint lies in; none where it lies in none."""
    from eagrctl.drawing.curves import Curve, Plot

    epochs = run.epochs()
    if not epochs:
        return ()
    places = tuple(epoch.epoch for epoch in epochs)
    loss = Curve("total", tuple(epoch.loss.get("total", math.nan) for epoch in epochs))
    mean_f1 = Curve("mean F1", tuple(100 * epoch.mean_f1 for epoch in epochs))
    miou = Curve("mIoU", tuple(100 * epoch.val.get("miou", math.nan) for epoch in epochs))
    return (
        Plot("Loss, mean over the epoch", "epoch", places, (loss,)),
        Plot("Scores on the validation split, in percent", "epoch", places, (mean_f1, miou)),
    )


def _training(recipe: "Recipe") -> "Training":
    """A recipe beside the paper's for the same dataset, if eagrctl has one."""
    from eagrctl.recipe import find_recipe, load_recipe, recipe_names
    from eagrctl.scoring.origin import Training

    name = recipe.dataset
    return Training.of(recipe, name, load_recipe(find_recipe(name)) if name in recipe_names() else None)
