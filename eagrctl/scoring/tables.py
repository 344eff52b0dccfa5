"""Scores -> the paper's table for the dataset, with our row under the published ones."""

import math
from collections.abc import Sequence
from pathlib import Path

from eagrctl.data.index import ShardIndex
from eagrctl.errors import EagrctlError
from eagrctl.files import replacing
from eagrctl.scoring.evaluate import Evaluation
from eagrctl.scoring.published import COMPARABLE, MEAN, TABLE_OF, Column, PublishedTable
from eagrctl.scoring.scores import Scores

Row = tuple[str, Sequence[float | None]]


def write_report(text: str, path: Path) -> None:
    """Write a report, whole or not at all; EagrctlError where it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EagrctlError(f"cannot write {path}: {error.strerror or error}") from error


def markdown_report(evaluation: Evaluation, index: ShardIndex, method: str, checkpoint: str) -> str:
    """The paper's table with our row, where our row comes from, and the scores that the table leaves out.

    Args:
        evaluation: our scores.
        index: the dataset they were measured on.
        method: the name of our row.
        checkpoint: where the network came from, in words.
    """
    scores, origin = evaluation.scores, f"{method}: {provenance_line(evaluation, index, checkpoint)}."
    summary = f"{method}: {summary_line(scores)}."
    dataset = index.provenance.dataset
    table = TABLE_OF.get(dataset)
    if table is None:
        table = _own_table(index)
        heading = "F1 in percent; the paper has no table for this dataset."
        parts = [heading, markdown_table(table, [(method, _values(table, scores))], ranked=0), origin, summary]
        return "\n\n".join(parts) + "\n"
    comparable = dataset in COMPARABLE
    published = [(name if comparable else f"{name}, on Helen", values) for name, values in table.rows]
    rows = [*published, (method, _values(table, scores))]
    parts = [
        f"F1 in percent, laid out as Table {table.number} of the EAGRNet paper; the best of each column in bold.",
        # On other faces than the published rows, ours can be neither better nor worse.
        markdown_table(table, rows, ranked=len(rows) if comparable else len(published)),
        origin,
        f"Published rows: {table.dataset}"
        + ("." if comparable else "; other faces than ours, so not comparable: ours competes for no bold."),
        summary,
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: PublishedTable, rows: Sequence[Row], ranked: int | None = None) -> str:
    """Rows under the paper's headings, in as many lines as the paper gives a row; the best of a column in bold.

    Args:
        table: whose headings.
        rows: (method, values in percent), one value per column; None or NaN prints as a dash.
        ranked: how many of the first rows compete for bold; all of them unless told otherwise.

    Raises:
        ValueError: a row has another number of values than the table has columns.
    """
    competing = [values for _, values in rows[:ranked]]
    best = _best(competing) if competing else [None] * sum(len(line) for line in table.lines)
    width = max(len(line) for line in table.lines)
    first, *others = ([column.heading for column in line] for line in table.lines)
    lines = [_line("Methods", first, width), _line(":--", ["--:"] * width, width)]
    lines += [_line("", headings, width) for headings in others]
    for place, (method, values) in enumerate(rows):
        competes = ranked is None or place < ranked
        cells = [_cell(value, top if competes else None) for value, top in zip(values, best, strict=True)]
        start = 0
        for number, columns in enumerate(table.lines):
            lines.append(_line(method if number == 0 else "", cells[start : start + len(columns)], width))
            start += len(columns)
    return "\n".join(lines)


def _values(table: PublishedTable, scores: Scores) -> list[float]:
    return [score_of(scores, column.score) for line in table.lines for column in line]


def _own_table(index: ShardIndex) -> PublishedTable:
    """A table for a dataset that the paper does not know: a column for every class and region."""
    names = (*index.classes[1:], *index.labels.regions)
    columns = tuple(Column(name, name) for name in names)
    return PublishedTable(0, index.provenance.dataset, ((*columns, Column("Mean", MEAN)),), ())


def score_of(scores: Scores, name: str) -> float:
    """A class's, region's or the mean F1 in percent, by the name that `published.Column` gives it."""
    return 100 * (scores.mean_f1 if name == MEAN else scores.f1_of(name))


def provenance_line(evaluation: Evaluation, index: ShardIndex, checkpoint: str) -> str:
    """Everything that decides whether two figures may be compared."""
    source = index.provenance
    facts = [
        f"dataset {source.dataset} ({source.variant})",
        f"split {evaluation.split} (by {source.split_rule})",
        f"{evaluation.images:,} images",
        f"scored at {_resolution(evaluation.resolutions)}",
        f"alignment {index.alignment}",
        *(f"{name} {value}" for name, value in source.settings.items()),
        f"checkpoint {checkpoint}",
    ]
    split = index.split(evaluation.split)
    if split.skipped:
        facts.insert(3, f"{len(split.skipped):,} more could not be used")
    if split.centred:
        facts.insert(-1, f"{len(split.centred):,} centred for want of landmarks")
    return ", ".join(facts)


def summary_line(scores: Scores) -> str:
    """The scores over all classes, each under its full name."""
    return (
        f"mean F1 {percent(scores.mean_f1)} (without background), mIoU {percent(scores.miou)} (with background), "
        f"pixel accuracy {percent(scores.pixel_accuracy)}, mean class accuracy {percent(scores.mean_accuracy)}"
    )


def _resolution(sizes: Sequence[tuple[int, int]]) -> str:
    height, width = sizes[0]
    if len(sizes) == 1:
        return f"{width} x {height}"
    return f"each image's own resolution ({len(sizes)} different ones)"


def percent(fraction: float) -> str:
    """A fraction as tables print it: percent, one decimal, a dash for NaN."""
    return "-" if math.isnan(fraction) else f"{100 * fraction:.1f}"


def _best(columns_by_row: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Each column's best, at the precision that is printed: figures that print alike are equally good."""
    best: list[float | None] = []
    for column in zip(*columns_by_row, strict=True):
        present = [round(value, 1) for value in column if value is not None and not math.isnan(value)]
        best.append(max(present) if present else None)
    return best


def _cell(value: float | None, best: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    text = f"{value:.1f}"
    return f"**{text}**" if best is not None and round(value, 1) == best else text


def _line(method: str, cells: Sequence[str], width: int) -> str:
    padded = [method, *cells, *[""] * (width - len(cells))]
    return "| " + " | ".join(padded) + " |"
