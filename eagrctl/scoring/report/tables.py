"""The paper's table with our row as a DataFrame, which pandas writes as Markdown, CSV and LaTeX."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import pandas as pd

from eagrctl.scoring.published import Column

Value = TypeVar("Value")
Row = tuple[str, Sequence[float | None]]  # method, values in percent

# LaTeX reads these as something else.
_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)
# So does Markdown, in which HTML is HTML and a pipe ends a cell.
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*|"})
_TABULAR = r"""% Looks best with \usepackage{{booktabs}}, and needs no package.
\providecommand{{\toprule}}{{\hline}}
\providecommand{{\midrule}}{{\hline}}
\providecommand{{\bottomrule}}{{\hline}}
\begin{{table}}
\centering
\caption{{{caption}}}
\smallskip\scriptsize\setlength{{\tabcolsep}}{{2pt}}
{tabular}
{notes}\end{{table}}
"""
_NOTE = r"""\par\smallskip\begin{{minipage}}{{\linewidth}}\footnotesize\raggedright
{note}
\end{{minipage}}
"""


@dataclass(frozen=True)
class Table:
    """A table that any format can show.

    Attributes:
        title: what it shows, without a full stop.
        lines: the columns; a table too wide for the page has two lines.
        rows: (method, values in percent), published ones first; a value for each column of `lines`, line after line.
        published: how many of the first rows the paper prints.
        ranked: how many of the first rows compete for being the best; all of them unless told otherwise.
        origin: a sentence on where our row comes from.
        notes: what else belongs under it, a sentence each.
    """

    title: str
    lines: tuple[tuple[Column, ...], ...]
    rows: Sequence[Row]
    published: int = 0
    ranked: int | None = None
    origin: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row for each method, which is its label; NaN where there is no figure.

        Raises:
            ValueError: a row has another number of values than the table has columns.
        """
        columns = [column.heading for line in self.lines for column in line]
        for method, values in self.rows:
            if len(values) != len(columns):
                raise ValueError(f"row {method!r} has {len(values)} values for {len(columns)} columns")
        index = pd.Index([method for method, _ in self.rows])
        return pd.DataFrame([list(values) for _, values in self.rows], index, pd.Index(columns), dtype=float)

    @property
    def cells(self) -> pd.DataFrame:
        """The figures as the paper prints them: one decimal, a dash where there is none."""
        return self.scores.map(lambda value: "-" if math.isnan(value) else f"{value:.1f}")

    @property
    def best(self) -> pd.DataFrame:
        """Whether each figure is the best of its column; figures that print alike are equally good."""
        printed = self.scores.map(lambda value: float(f"{value:.1f}"))
        ranked = len(self.rows) if self.ranked is None else self.ranked
        best = printed.eq(printed.iloc[:ranked].max(), axis="columns")
        best.iloc[ranked:] = False
        return best

    @property
    def heading(self) -> str:
        """The title as a sentence, for formats that have bold."""
        return f"{self.title}; the best of each column in bold." if self.best.any(axis=None) else f"{self.title}."

    @property
    def under(self) -> tuple[str, ...]:
        """All that stands under the table."""
        return (self.origin, *self.notes) if self.origin else self.notes

    @property
    def width(self) -> int:
        """Columns of the longest line."""
        return max(map(len, self.lines))

    def split(self, values: Sequence[Value]) -> list[Sequence[Value]]:
        """Values of all columns, cut into lines."""
        starts = [sum(map(len, self.lines[:number])) for number in range(len(self.lines))]
        return [values[start : start + len(line)] for start, line in zip(starts, self.lines, strict=True)]


def percent(fraction: float) -> str:
    """A fraction as tables print it: percent, one decimal, a dash for NaN."""
    return "-" if math.isnan(fraction) else f"{100 * fraction:.1f}"


def markdown(table: Table) -> str:
    """A table between its title and its notes."""
    head, *rows = _folded(table, markdown_escaped, "**{}**")
    grid = markdown_grid(head, rows, ("left", *["right"] * table.width))
    return "\n\n".join((markdown_escaped(table.heading), grid, *map(markdown_escaped, table.under))) + "\n"


def markdown_grid(headings: Sequence[str], rows: Sequence[Sequence[str]], alignment: Sequence[str]) -> str:
    """A table in Markdown; cells are taken as they are."""
    frame = pd.DataFrame(rows, columns=range(len(headings)))
    return str(frame.to_markdown(index=False, headers=headings, colalign=alignment, disable_numparse=True))


def markdown_escaped(text: str) -> str:
    """Text that Markdown shows as it stands, in one line, in a cell or outside."""
    return html.escape(" ".join(text.split()), quote=False).translate(_MARKDOWN).replace("](", r"]\(")


def csv_text(table: Table) -> str:
    """A line of headings and a line per row, all columns side by side, with what belongs under the table at its right.

    A spreadsheet or `pandas.read_csv(..., na_values="-")` reads it as it is: title and notes are a last column, in the
    first of our own rows, and not lines that have fewer columns than others.
    """
    frame = table.cells.rename(index=csv_guarded, columns=csv_guarded)
    notes = [""] * len(frame)
    notes[table.published] = csv_guarded(" ".join((f"{table.title}.", *table.under)))
    frame.insert(len(frame.columns), "Notes", notes, allow_duplicates=True)
    return str(frame.to_csv(index_label="Methods", lineterminator="\n"))


def csv_guarded(text: str) -> str:
    """Text in one line that no spreadsheet takes for a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line


def latex(table: Table) -> str:
    r"""A `table` with rules as booktabs draws them, for `\input`; without that package, its rules are plain lines."""
    rows = _folded(table, tex_escaped, r"\textbf{{{}}}")
    # Rules stand where the figures begin, and where ours do.
    for rule in {len(table.lines), len(table.lines) * (1 + table.published)}:
        rows[rule][0] = f"\\midrule\n{rows[rule][0]}"
    columns = f"@{{}}l*{{{table.width}}}{{r}}@{{}}"
    tabular = pd.DataFrame(rows).to_latex(header=False, index=False, escape=False, column_format=columns)
    # pandas rules off a heading even where it has none.
    tabular = tabular.replace("\\toprule\n\\midrule\n", "\\toprule\n")
    notes = "".join(_NOTE.format(note=tex_escaped(note)) for note in table.under)
    return _TABULAR.format(caption=tex_escaped(table.heading), tabular=tabular, notes=notes)


def tex_escaped(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    escaped = " ".join(text.split()).translate(_TEX)
    # Behind a row, "[" would be read as the space to leave under it, and "*" as a row to keep on the page.
    return f"{{{escaped}}}" if escaped.startswith(("[", "*")) else escaped


def _folded(table: Table, escaped: Callable[[str], str], bold: str) -> list[list[str]]:
    """Headings and rows, the best cells in bold, in as many lines as the paper gives each; all lines equally long."""
    cells = table.cells.where(~table.best, table.cells.map(bold.format))
    rows: list[tuple[Any, list[str]]] = [("Methods", [escaped(str(heading)) for heading in cells.columns])]
    rows += [(escaped(str(method)), values) for method, values in zip(cells.index, cells.values.tolist(), strict=True)]
    return [
        [name if number == 0 else "", *line, *[""] * (table.width - len(line))]
        for name, values in rows
        for number, line in enumerate(table.split(values))
    ]
