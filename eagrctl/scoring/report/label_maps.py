"""Predicted label maps -> the report that a network's evaluation has, as far as label maps alone can tell."""

import math
from dataclasses import replace

import numpy as np

from eagrctl.events import Listener, Notice, ignore
from eagrctl.readers.schemes import Scheme
from eagrctl.scoring.confusion import Counts
from eagrctl.scoring.examples import Example, Ranking, example
from eagrctl.scoring.label_maps import Compared, LabelMaps
from eagrctl.scoring.origin import Origin
from eagrctl.scoring.report.contents import Report
from eagrctl.scoring.scores import score
from eagrctl.scoring.truths import PreparedTruths


def score_label_maps(
    maps: LabelMaps,
    method: str,
    boundaries: bool = False,
    examples: bool = False,
    keep_going: bool = False,
    workers: int = 1,
    listener: Listener = ignore,
) -> Report:
    """Score predicted label maps.

    Args:
        maps: what to compare.
        method: the name of our row.
        boundaries: count boundary pixels, too.
        examples: keep the best, median and worst faces, where the truths come with photos.
        keep_going: leave out truths that have no prediction, instead of raising.
        workers: processes that read and count.
        listener: hears of progress, and of whatever is left out.

    Raises:
        SourceError: a prediction is missing or cannot be used.
        DataError: a truth cannot be read, or a worker process died.
    """
    ranking, places = Ranking(), list[int]()

    def rank(place: int, counts: Counts) -> None:
        ranking.note(mean_f1_of_counts(counts))
        places.append(place)

    wanted = examples and isinstance(maps.truths, PreparedTruths)
    compared = maps.compare(boundaries, keep_going, workers, listener, rank if wanted else None)
    left_out, lacking = left_out_words(maps, compared), lacking_words(maps.scheme)
    for text in (left_out and f"left out {left_out}", lacking and f"scheme {maps.scheme.name} {lacking}"):
        if text:
            listener(Notice(text, warning=True))
    if compared.spare:
        listener(Notice(f"{compared.spare:,} files in {maps.predictions} have no truth of their name: not scored"))
    return Report(
        method=method,
        counts=compared.counts,
        scores=score(compared.counts, maps.truths.labels),
        labels=maps.truths.labels,
        origin=origin_of(maps, compared),
        boundary=compared.boundary,
        examples=tuple(_example(maps, places[number], kind) for number, kind in ranking.pick().items()),
    )


def origin_of(maps: LabelMaps, compared: Compared) -> Origin:
    """Where the scores of label maps come from."""
    truths, lacking = maps.truths, lacking_words(maps.scheme)
    origin = Origin(
        dataset=truths.dataset,
        variant="label maps",
        split=truths.root.resolve().name,
        split_rule="the files in that folder",
        images=compared.images,
        skipped=0,
        centred=0,
        resolutions=compared.resolutions,
        alignment="",
    )
    settings = {}
    if isinstance(truths, PreparedTruths):
        source = truths.index.provenance
        origin = replace(
            origin,
            variant=source.variant,
            split=truths.split,
            split_rule=source.split_rule,
            skipped=len(truths.index.split(truths.split).skipped),
        )
        settings = dict(source.settings)
    settings |= {
        "predictions": str(maps.predictions),
        "scheme": f"{maps.scheme.name} ({lacking})" if lacking else maps.scheme.name,
        "truth": str(truths.root),
        "left out": left_out_words(maps, compared),
    }
    return replace(origin, settings={name: fact for name, fact in settings.items() if fact})


def lacking_words(scheme: Scheme) -> str:
    """What has no counterpart between a scheme and the dataset, in words; empty where everything has one."""
    parts = []
    if scheme.unmatched:
        parts.append(f"has classes without counterpart, which count as background: {', '.join(scheme.unmatched)}")
    if scheme.missing:
        parts.append(f"has no id for {', '.join(scheme.missing)}, which no pixel is predicted as")
    return "; ".join(parts)


def left_out_words(maps: LabelMaps, compared: Compared) -> str:
    """What was not scored, in words; empty where everything was."""
    parts = []
    if compared.missing:
        parts.append(f"{compared.missing:,} of {len(maps.truths.names):,} truths, which have no prediction")
    if compared.ignored:
        labelled = compared.ignored + int(compared.counts.sum())
        share = 100 * compared.ignored / labelled
        parts.append(f"{compared.ignored:,} labelled pixels ({share:.2g} %), which are predicted as an ignored id")
    return " and ".join(parts)


def mean_f1_of_counts(counts: Counts) -> float:
    """`examples.mean_f1_of_one` of an image whose confusion matrix, (N, N), is known."""
    hits, labelled = np.diag(counts)[1:], counts.sum(axis=1)[1:]
    present = labelled > 0
    if not present.any():
        return math.nan
    f1 = 2 * hits[present] / (labelled + counts.sum(axis=0)[1:])[present]
    return float(f1.mean())


def _example(maps: LabelMaps, place: int, kind: str) -> Example:
    """A face to show; for truths that come with photos."""
    assert isinstance(maps.truths, PreparedTruths)
    labels, prediction, _ = maps.read(place)
    face = maps.truths.index.read(maps.truths.split, place)
    return example(kind, replace(face, source_labels=labels), prediction)
