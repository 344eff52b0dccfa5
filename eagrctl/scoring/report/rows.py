"""A table before it has a format: headings, rows, and which figures are the best of their column."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from eagrctl.scoring.published import Column, PublishedTable

Value = TypeVar("Value")
Row = tuple[str, Sequence[float | None]]  # method, values in percent


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        method: whose figures.
        values: in percent, one per column, line after line; None or NaN where there is none.
        best: whether each is the best of its column.
        published: whether the paper prints it.
    """

    method: str
    values: tuple[float | None, ...]
    best: tuple[bool, ...]
    published: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """The values as the paper prints them: one decimal, a dash where there is none."""
        return tuple("-" if value is None or math.isnan(value) else f"{value:.1f}" for value in self.values)


@dataclass(frozen=True)
class TableRows:
    """A table that any format can render.

    Attributes:
        title: what it shows, without a full stop.
        lines: the columns; a table too wide for the page has two lines.
        rows: published ones first.
        origin: a sentence on where our row comes from.
        notes: what else belongs under it, a sentence each.
    """

    title: str
    lines: tuple[tuple[Column, ...], ...]
    rows: tuple[TableRow, ...]
    origin: str = ""
    notes: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The title as a sentence, for formats that have bold."""
        best = any(any(row.best) for row in self.rows)
        return f"{self.title}; the best of each column in bold." if best else f"{self.title}."

    @property
    def under(self) -> tuple[str, ...]:
        """All that stands under the table."""
        return (self.origin, *self.notes) if self.origin else self.notes

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of all lines, in order."""
        return tuple(column for line in self.lines for column in line)

    @property
    def width(self) -> int:
        """Columns of the longest line."""
        return max(len(line) for line in self.lines)

    def split(self, values: Sequence[Value]) -> list[Sequence[Value]]:
        """Values of all columns, cut into lines."""
        starts = [sum(map(len, self.lines[:number])) for number in range(len(self.lines))]
        return [values[start : start + len(line)] for start, line in zip(starts, self.lines, strict=True)]


def ranked_rows(
    table: PublishedTable, rows: Iterable[Row], ranked: int | None = None, published: int = 0
) -> tuple[TableRow, ...]:
    """Mark the best of every column, at the precision that is printed: figures that print alike are equally good.

    Args:
        table: whose columns.
        rows: (method, values in percent), one value per column.
        ranked: how many of the first rows compete; all of them unless told otherwise.
        published: how many of the first rows the paper prints.

    Raises:
        ValueError: a row has another number of values than the table has columns.
    """
    rows = list(rows)
    width = sum(map(len, table.lines))
    for method, values in rows:
        if len(values) != width:
            raise ValueError(f"row {method!r} has {len(values)} values for {width} columns")
    competing = rows[: len(rows) if ranked is None else ranked]
    best = [_best(values[place] for _, values in competing) for place in range(width)]
    return tuple(
        TableRow(
            method,
            tuple(values),
            tuple(
                number < len(competing) and top is not None and value is not None and round(value, 1) == top
                for value, top in zip(values, best, strict=True)
            ),
            number < published,
        )
        for number, (method, values) in enumerate(rows)
    )


def percent(fraction: float) -> str:
    """A fraction as tables print it: percent, one decimal, a dash for NaN."""
    return "-" if math.isnan(fraction) else f"{100 * fraction:.1f}"


def _best(values: Iterable[float | None]) -> float | None:
    return max((round(value, 1) for value in values if value is not None and not math.isnan(value)), default=None)
