"""A checkpoint and a prepared dataset -> a report, and its files: the ending of a file's name decides its format."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch

from eagrctl.arrays import Pixels
from eagrctl.checkpoint import Checkpoint, load_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.data.source import AlignedSample
from eagrctl.drawing.curves import Plot
from eagrctl.drawing.pictures import save_picture
from eagrctl.events import Listener, ignore
from eagrctl.files import require_writable, write_text
from eagrctl.inference.predict import Segmenter
from eagrctl.inference.tta import TestTimeAugmentation
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.evaluate import check_classes, evaluate, saving_to
from eagrctl.scoring.examples import examples_of, examples_sheet, mean_f1_of, ranked
from eagrctl.scoring.origin import Origin, RecipeComparison, checkpoint_in_words
from eagrctl.scoring.parallel import Share, evaluate_in_processes
from eagrctl.scoring.report.as_json import json_text
from eagrctl.scoring.report.contents import Report
from eagrctl.scoring.report.html import html_text
from eagrctl.scoring.report.tables import csv_text, latex, markdown
from eagrctl.workers import cores

WRITERS: Mapping[str, Callable[[Report], str]] = {
    ".md": lambda report: markdown(report.table),
    ".csv": lambda report: csv_text(report.table),
    ".json": json_text,
    ".tex": lambda report: latex(report.table),
    ".html": html_text,
}
# What takes time and not every format shows.
WITH_BOUNDARIES = {".json", ".html"}
WITH_EXAMPLES = {".html"}


def build_report(
    checkpoint: Path,
    index: ShardIndex,
    split: str = "test",
    *,
    method: str = "eagrctl",
    loaded: Checkpoint | None = None,
    views: TestTimeAugmentation | None = None,
    batch: int = 8,
    device: torch.device | None = None,
    processes: int = 1,
    boundaries: bool = True,
    examples: bool = True,
    curves: tuple[Plot, ...] = (),
    picture: Path | None = None,
    predictions: Path | None = None,
    listener: Listener = ignore,
) -> Report:
    """Evaluate a network on a split, at each face's own resolution, and put everything together that a report shows.

    Args:
        checkpoint: of the network.
        index: the prepared dataset.
        split: which of its splits.
        method: the name of our row.
        loaded: what the checkpoint holds, where that is known already.
        views: test-time augmentation; none unless told otherwise.
        batch: faces predicted together.
        device: where the network runs; the CPU unless told otherwise.
        processes: how many predict; on GPUs, each has one of its own.
        boundaries: count boundary pixels, too, for JSON and HTML.
        examples: find the best, median and worst faces, for HTML.
        curves: of the training, as `eagrctl.training.run.plots_of` gives them.
        picture: a PNG to draw photo, truth and prediction of some faces in.
        predictions: a folder to write each prediction to, as `eagrctl score` reads them.
        listener: hears of progress.

    Raises:
        CheckpointError: the checkpoint cannot be read, or has other classes than the dataset.
        ShardError: no such split, or a shard that cannot be read.
        EagrctlError: a picture or prediction that cannot be written, or a process died.
    """
    loaded = loaded or load_checkpoint(checkpoint)
    check_classes(loaded.classes, index, str(checkpoint))
    views, device = views or TestTimeAugmentation(), device or torch.device("cpu")
    boundary = Boundary(len(index.labels)) if boundaries else None
    save = saving_to(predictions, index.labels) if predictions is not None else None
    means: list[float] = []  # mean F1 of each face

    def look(face: AlignedSample, prediction: Pixels) -> None:
        if boundary is not None:
            boundary.add(face.source_labels, prediction)
        if examples:
            means.append(mean_f1_of(Confusion(len(index.labels)).add(face.source_labels, prediction)))
        if save is not None:
            save(face, prediction)

    each = look if boundaries or examples or save is not None else None
    predictor = Segmenter.of(loaded, device, views)
    index.check(split, listener)
    if processes > 1:
        gpus, threads = processes if device.type == "cuda" else 0, max(1, cores() // processes)
        share = Share(checkpoint, index.root, split, views, batch, gpus, threads, each is not None)
        evaluation = evaluate_in_processes(share, index, processes, listener, each)
    else:
        evaluation = evaluate(predictor, index, split, batch, listener, each)
    if picture is not None:
        save_picture(examples_sheet(predictor, index, split), picture)
    origin = Origin.of(evaluation, index, checkpoint_in_words(checkpoint, loaded.step), str(views))
    shown = examples_of(predictor, index, split, ranked(means), batch)
    training = RecipeComparison.of(loaded.recipe)
    return Report(method, evaluation.counts, index.labels, origin, boundary, shown, curves, training)


def require_formats(paths: Iterable[Path]) -> None:
    """Refuse, before any work is done, reports that could not be written at its end.

    Raises:
        EagrctlError: an ending that no format has, or a place where nothing can be written.
    """
    for path in paths:
        require_writable(path, *WRITERS)


def write_reports(report: Report, paths: Iterable[Path]) -> None:
    """Write a report in the format of each path's ending; EagrctlError where one cannot be written."""
    for path in paths:
        write_text(WRITERS[path.suffix](report), path)
