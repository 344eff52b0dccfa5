"""What a report holds, whatever its format: the paper's table with our row, and what lies behind it.

A table in Markdown, CSV or LaTeX shows `Report.table` alone; JSON and HTML show all of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eagrctl.data.labels import LabelSet, in_words
from eagrctl.drawing.curves import Plot
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.confusion import Counts
from eagrctl.scoring.examples import Example
from eagrctl.scoring.origin import Origin, RecipeComparison
from eagrctl.scoring.published import COMPARABLE, MEAN, TABLE_OF, Column
from eagrctl.scoring.report.tables import Table, percent
from eagrctl.scoring.scores import Scores, score


@dataclass(frozen=True)
class Report:
    """Everything that a report may show.

    Attributes:
        method: the name of our row.
        counts: the confusion matrix, (N, N) int64; row = labelled class, column = predicted class.
        labels: the classes.
        origin: where our row comes from.
        boundary: boundary pixels; None where they were not counted.
        examples: faces to show; none where they were not looked for.
        curves: of the training; none where they are not known.
        training: the recipe beside the paper's; None where it is not known.
    """

    method: str
    counts: Counts
    labels: LabelSet
    origin: Origin
    boundary: Boundary | None = None
    examples: tuple[Example, ...] = ()
    curves: tuple[Plot, ...] = ()
    training: RecipeComparison | None = None

    @cached_property
    def scores(self) -> Scores:
        """What follows from the confusion matrix."""
        return score(self.counts, self.labels)

    @cached_property
    def table(self) -> Table:
        """The paper's table for the dataset, with our row under the published ones."""
        paper = TABLE_OF.get(self.origin.dataset)
        lines = paper.lines if paper else _own_lines(self.labels)
        scores = {name: 100 * value for name, value in zip(self.scores.names, self.scores.f1.tolist(), strict=True)}
        scores[MEAN] = 100 * self.scores.mean_f1
        ours = self.method, [scores[column.score] for line in lines for column in line]
        origin = f"{self.method}: {self.origin.line()}."
        notes = (f"{self.method}: {summary_line(self.scores)}.", *undefined_lines(self.scores))
        if paper is None:
            title = "F1 in percent; the paper has no table for this dataset"
            return Table(title, lines, [ours], ranked=0, origin=origin, notes=notes)
        published = [(name if self.comparable else f"{name}, on Helen", values) for name, values in paper.rows]
        measured = f"Published rows: {paper.dataset}"
        measured += "." if self.comparable else "; other faces than ours, so not comparable: our row is never in bold."
        return Table(
            f"F1 in percent, laid out as Table {paper.number} of the EAGRNet paper",
            lines,
            [*published, ours],
            len(published),
            # On other faces than the published rows, ours can be neither better nor worse.
            None if self.comparable else len(published),
            origin,
            (measured, *notes),
        )

    @property
    def comparable(self) -> bool:
        """Whether the paper's figures were measured on the same dataset."""
        return self.origin.dataset in COMPARABLE

    @property
    def published(self) -> list[float]:
        """The paper's F1 of each class and region of `scores`, 0..1; NaN where it prints none on these faces."""
        printed: dict[str, float | None] = {}
        if self.comparable:
            table = TABLE_OF[self.origin.dataset]
            printed = dict(
                zip((column.score for line in table.lines for column in line), table.rows[-1][1], strict=True)
            )
        values = map(printed.get, self.scores.names)
        return [math.nan if value is None else round(value / 100, 3) for value in values]

    def boundary_f1(self) -> dict[int, Mapping[str, float]]:
        """By tolerance in pixels, the boundary F1 of every class, 0..1 or NaN; nothing where it was not counted."""
        if self.boundary is None:
            return {}
        return {
            tolerance: dict(zip(self.labels.names, map(float, values), strict=True))
            for tolerance, values in zip(self.boundary.tolerances, self.boundary.f1(), strict=True)
        }


def summary_line(scores: Scores) -> str:
    """The scores over all classes, each under its full name."""
    return (
        f"mean F1 {percent(scores.mean_f1)} (without background), mIoU {percent(scores.miou)} (with background), "
        f"pixel accuracy {percent(scores.pixel_accuracy)}, mean class accuracy {percent(scores.mean_accuracy)}"
    )


def undefined_lines(scores: Scores) -> list[str]:
    """What to say of classes that lack a score; nothing where all have one."""
    absent: list[str] = []
    unlabelled: list[str] = []
    for name, f1, accuracy in zip(scores.classes, scores.f1, scores.accuracy, strict=False):
        if math.isnan(accuracy):
            (absent if math.isnan(f1) else unlabelled).append(in_words(name))
    lines = []
    if absent:
        lines.append(f"Absent from truth and prediction, so without F1 and left out of the means: {', '.join(absent)}.")
    if unlabelled:
        names = ", ".join(unlabelled)
        lines.append(f"Predicted but absent from truth, so with F1 0 and left out of the mean class accuracy: {names}.")
    return lines


def mean_boundary_f1(by_class: Mapping[str, float], labels: LabelSet) -> float:
    """The mean over the classes without the background that have one; NaN where none has."""
    present = [value for name, value in by_class.items() if name != labels.names[0] and not math.isnan(value)]
    return float(np.mean(present)) if present else math.nan


def _own_lines(labels: LabelSet) -> tuple[tuple[Column, ...], ...]:
    """The columns for a dataset that the paper does not know: every class and region."""
    names = (*labels.names[1:], *labels.regions)
    return ((*(Column(in_words(name), name) for name in names), Column("Mean", MEAN)),)
