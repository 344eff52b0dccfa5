"""`eagrctl score`: label maps that any tool predicted -> scores and the paper's table, without a network."""

from pathlib import Path
from typing import Annotated

from eagrctl.cli import console
from eagrctl.cli.evaluate import show
from eagrctl.cli.options import Quiet, Reports, ScoredSplit, argument, flag, option
from eagrctl.workers import cores

PER_WORKER = 500  # images that are worth a process of their own, which takes as long to start as they to score


def score(
    predictions: Annotated[Path, argument("PREDICTIONS", "Folder of label maps, named as their truths: NAME.png.")],
    truth: Annotated[Path, argument("TRUTH", "Folder of label maps in the dataset's own ids, or a prepared dataset.")],
    dataset: Annotated[
        str | None,
        option("--dataset", "NAME", "Whose classes a folder TRUTH has: helen, lapa, celebamask-hq or synthetic."),
    ] = None,
    scheme: Annotated[
        str,
        option(
            "--scheme",
            "NAME|FILE.toml",
            "What the ids of PREDICTIONS mean: official, zllrunning, farl, or the ids of another dataset: "
            "celebamask-hq, helen, lapa; or a TOML file that maps them.",
        ),
    ] = "official",
    split: ScoredSplit = None,
    report: Reports = None,
    name: Annotated[str | None, option("--name", "NAME", "Name of that row. Default: the folder's.")] = None,
    partial: Annotated[bool, flag("--partial", "Score what is there if predictions are missing, and say so.")] = False,
    workers: Annotated[
        int | None,
        option("--workers", "N", "Processes that count. Default: one for each 500 images, up to all cores.", min=0),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Score label maps of any tool at each truth's own size, and lay the scores beside the paper's.

    Label maps are 8-bit PNGs of one id a pixel, grey or palette. Ids that no scheme has are mapped to class names by a
    TOML file of a section [ids] and lines such as 7 = "nose" or 255 = "ignore".

    ```text
    eagrctl score predictions data/celebamask-hq --scheme farl --report table.md
    eagrctl score predictions LaPa/test/labels --dataset lapa --scheme map.toml
    ```
    """
    from eagrctl.readers.schemes import find_scheme
    from eagrctl.scoring.label_maps import LabelMaps
    from eagrctl.scoring.report.build import WITH_BOUNDARIES, WITH_EXAMPLES, write_reports
    from eagrctl.scoring.truths import open_truths

    reports = report or []
    endings = {path.suffix for path in reports}
    truths = open_truths(truth, dataset, split)
    maps = LabelMaps(predictions, truths, find_scheme(scheme, truths.labels))
    with console.progress(quiet) as progress:
        if truths.index is not None:
            truths.index.check(truths.split, progress)
        found = maps.report(
            name or predictions.resolve().name,
            boundaries=bool(endings & WITH_BOUNDARIES),
            examples=bool(endings & WITH_EXAMPLES),
            keep_going=partial,
            workers=min(cores(), 1 + len(truths.names) // PER_WORKER) if workers is None else workers,
            listener=progress,
        )
    count = f"{found.origin.images:,}"
    if found.origin.images < len(truths.names):
        count += f" of {len(truths.names):,}"
    place = f"{truths.dataset}, split {truths.split}" if truths.split else truths.dataset
    show(found.scores, f"{place}: {count} images, {predictions} (scheme {scheme}) against {truth}")
    write_reports(found, reports)
    console.written(reports)
