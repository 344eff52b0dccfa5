"""The rows of an ablation's tables: ours beside the paper's, and what each gains over the first row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from eagrctl.paper.ablation import Ablation
from eagrctl.paper.variants import STUDIES, Study, Training, Variant
from eagrctl.scoring.published import MEAN, TABLE_OF
from eagrctl.scoring.scores import Scores

OVERALL = "overall"  # Helen's region of all facial components


class Figures(NamedTuple):
    """What a table shows of a network, in percent; NaN where there is no score.

    Attributes:
        miou: mean IoU over all classes, the background included.
        f1: see `f1_score_is`.
        accuracy: mean class accuracy.
        pixel_accuracy: share of the pixels that are right; the paper's tables do not have it.
    """

    miou: float
    f1: float
    accuracy: float
    pixel_accuracy: float


@dataclass(frozen=True)
class Row:
    """A row of an ablation's table.

    Attributes:
        variant: whose.
        training: what it is a row of.
        ours: None until it is evaluated.
        difference: ours less the first row's, in points; None where either is missing, or in the first row.
        published: the paper's miou, f1 and accuracy, or None.
        published_difference: the same of the paper's.
    """

    variant: Variant
    training: Training
    ours: Figures | None
    difference: tuple[float, ...] | None
    published: tuple[float, float, float] | None
    published_difference: tuple[float, ...] | None


def rows_of(ablation: Ablation, study: Study) -> list[Row]:
    """The rows of a study's table, with those figures that are there."""
    rows: list[Row] = []
    for variant in study.variants:
        training = ablation.plan.training(study, variant)
        scores = ablation.scores(training)
        ours = None if scores is None else figures(scores, ablation.index.provenance.dataset)
        row = variant.published
        published = None if row is None else (row.miou, row.f1, row.accuracy)
        if rows:
            less, published_less = _less(ours, rows[0].ours), _less(published, rows[0].published)
        else:
            less = published_less = None
        rows.append(Row(variant, training, ours, less, published, published_less))
    return rows


def tables_of(ablation: Ablation) -> dict[str, list[Row]]:
    """The rows of the studies asked for, by name, and of those that earlier commands have completed."""
    tables = {}
    for name, study in STUDIES.items():
        rows = rows_of(ablation, study)
        complete = all(row.ours is not None for row in rows)
        # A recipe may leave a study that nobody asked for nothing to compare.
        distinct = len({row.training.name for row in rows}) == len(rows)
        if study in ablation.plan.studies or (complete and distinct):
            tables[name] = rows
    return tables


def f1_score_is(dataset: str, regions: Mapping[str, Any]) -> str:
    """Which F1 a dataset is scored by: that of Helen's region "overall", or the mean over its classes.

    LaPa has Helen's classes and regions; the paper gives its mean (Table 5).
    """
    table = TABLE_OF.get(dataset)
    by_mean = table is not None and any(column.score == MEAN for line in table.lines for column in line)
    return OVERALL if OVERALL in regions and not by_mean else MEAN


def figures(scores: Scores, dataset: str) -> Figures:
    """The figures of Tables 1 and 2, and pixel accuracy."""
    f1 = scores.f1_of(OVERALL) if f1_score_is(dataset, scores.regions) == OVERALL else scores.mean_f1
    return Figures(*(100 * each for each in (scores.miou, f1, scores.mean_accuracy, scores.pixel_accuracy)))


def _less(one: tuple[float, ...] | None, other: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if one is None or other is None:
        return None
    return tuple(a - b for a, b in zip(one, other, strict=True))
