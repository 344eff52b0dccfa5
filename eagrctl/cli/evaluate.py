"""`eagrctl evaluate`: a checkpoint and a prepared dataset -> scores and the paper's table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from eagrctl.cli import console, options
from eagrctl.cli.options import option

if TYPE_CHECKING:
    from eagrctl.scoring.scores import Scores


def evaluate(
    checkpoint: options.Checkpoint = None,
    data: options.Data = None,
    split: options.Split = "test",
    report: options.Reports = None,
    picture: Annotated[
        Path | None, option("--picture", "FILE.png", "Draw photo, truth and prediction of some faces.", (".png",))
    ] = None,
    predictions: Annotated[
        Path | None,
        option("--save-predictions", "DIR", "Write DIR/NAME.png in the dataset's ids, as eagrctl score reads them."),
    ] = None,
    tta: options.Tta = None,
    gpus: options.ManyGpus = None,
    cpu_processes: options.CpuProcesses = None,
    batch: options.Batch = 8,
    quiet: options.Quiet = False,
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
    from eagrctl.inference.tta import TestTimeAugmentation
    from eagrctl.scoring.report.build import WITH_BOUNDARIES, WITH_EXAMPLES, build_report, write_reports
    from eagrctl.training.history import plots_of
    from eagrctl.training.run import Run
    from eagrctl.training.runs import find_checkpoint

    reports = report or []
    endings = {path.suffix for path in reports}
    path = find_checkpoint(checkpoint, options.RUNS)
    loaded = load_checkpoint(path)
    index = ShardIndex.load(options.data_of(path, data))
    on_gpus, processes = options.count_gpus(gpus, cpu_processes)
    with console.progress(quiet) as progress:
        found = build_report(
            path,
            index,
            split,
            loaded=loaded,
            views=TestTimeAugmentation.named(tta, index.labels.mirrored),
            batch=batch,
            device=torch.device("cuda" if on_gpus else "cpu"),
            processes=processes,
            boundaries=bool(endings & WITH_BOUNDARIES),
            examples=bool(endings & WITH_EXAMPLES),
            curves=plots_of(Run(path.parent).epochs()),
            picture=picture,
            predictions=predictions,
            listener=progress,
        )
    origin = found.origin
    show(found.scores, f"{origin.dataset}, split {split}: {origin.images:,} images, {origin.checkpoint}")
    write_reports(found, reports)
    console.written([*reports, *filter(None, (picture, predictions))])


def show(scores: "Scores", title: str) -> None:
    """Print the scores of every class and region, and their means."""
    from eagrctl.data.labels import in_words
    from eagrctl.scoring.report.contents import summary_line, undefined_lines
    from eagrctl.scoring.report.tables import percent

    rows = [
        (in_words(name), *map(percent, figures))
        for name, *figures in zip(scores.classes, scores.f1, scores.iou, scores.accuracy, strict=False)
    ]
    rows += [(name, percent(scores.f1_of(name)), "", "") for name in scores.regions]
    console.table(("class", "F1", "IoU", "accuracy"), rows, title)
    console.result(summary_line(scores))
    for line in undefined_lines(scores):
        console.result(line)
