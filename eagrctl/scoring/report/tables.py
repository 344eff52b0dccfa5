"""A table's text: Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

from eagrctl.data.index import ShardIndex
from eagrctl.errors import EagrctlError
from eagrctl.files import replacing
from eagrctl.scoring.evaluate import Evaluation
from eagrctl.scoring.published import PublishedTable
from eagrctl.scoring.report.contents import Report
from eagrctl.scoring.report.rows import Row, TableRow, TableRows, ranked_rows

# LaTeX reads these as something else.
_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def write_report(text: str, path: Path) -> None:
    """Write a report, whole or not at all; EagrctlError where it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
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
    return markdown(Report.of(evaluation, index, method, checkpoint).table)


def markdown(table: TableRows) -> str:
    """A table between its title and its notes."""
    return "\n\n".join((table.heading, _markdown_rows(table), *table.under)) + "\n"


def markdown_table(table: PublishedTable, rows: Sequence[Row], ranked: int | None = None) -> str:
    """Rows under the paper's headings, in as many lines as the paper gives a row; the best of a column in bold.

    Args:
        table: whose headings.
        rows: (method, values in percent), one value per column; None or NaN prints as a dash.
        ranked: how many of the first rows compete for bold; all of them unless told otherwise.

    Raises:
        ValueError: a row has another number of values than the table has columns.
    """
    return _markdown_rows(TableRows("", table.lines, ranked_rows(table, rows, ranked)))


def csv_text(table: TableRows) -> str:
    """A line of headings and a line per row, all columns side by side, with what belongs under the table at its right.

    A spreadsheet or `pandas.read_csv(..., na_values="-")` reads it as it is: title and notes are a last column, in the
    first of our own rows, and not lines that have fewer columns than others.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["Methods", *(column.heading for column in table.columns), "Notes"])
    ours = next((row for row in table.rows if not row.published), None)
    for row in table.rows:
        writer.writerow([row.method, *row.cells, " ".join((f"{table.title}.", *table.under)) if row is ours else ""])
    return buffer.getvalue()


def latex(table: TableRows) -> str:
    r"""A `table` with rules as booktabs draws them, for `\input`; without that package, its rules are plain lines."""
    width = table.width
    lines = [
        r"% Looks best with \usepackage{booktabs}, and needs no package.",
        *(rf"\providecommand{{\{rule}}}{{\hline}}" for rule in ("toprule", "midrule", "bottomrule")),
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{tex_escaped(table.heading)}}}",
        r"  \smallskip\scriptsize\setlength{\tabcolsep}{2pt}",
        rf"  \begin{{tabular}}{{@{{}}l*{{{width}}}{{r}}@{{}}}}",
        r"    \toprule",
    ]
    headings = table.split([tex_escaped(column.heading) for column in table.columns])
    lines += _tex_rows(["Methods", *[""] * (len(headings) - 1)], headings, width)
    lines.append(r"    \midrule")
    for number, row in enumerate(table.rows):
        if number and table.rows[number - 1].published and not row.published:
            lines.append(r"    \midrule")
        cells = table.split(_marked(row, r"\textbf{", "}"))
        lines += _tex_rows([tex_escaped(row.method), *[""] * (len(cells) - 1)], cells, width)
    lines += [r"    \bottomrule", r"  \end{tabular}", ""]
    for note in table.under:
        lines.append(r"  \par\smallskip\begin{minipage}{\linewidth}\footnotesize\raggedright")
        lines.append(f"    {tex_escaped(note)}")
        lines.append(r"  \end{minipage}")
    return "\n".join([*lines, r"\end{table}", ""])


def tex_escaped(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_TEX.get(character, character) for character in text)


def _tex_rows(methods: Sequence[str], lines: Sequence[Sequence[str]], width: int) -> Iterable[str]:
    for method, cells in zip(methods, lines, strict=True):
        # Behind a row, "[" would be read as the space to leave under it: braces keep names that begin with it apart.
        first = f"{{{method}}}" if method.startswith(("[", "*")) else method
        yield "    " + " & ".join([first, *cells, *[""] * (width - len(cells))]).rstrip() + r" \\"


def _markdown_rows(table: TableRows) -> str:
    width = table.width
    first, *others = table.split([_plain(column.heading) for column in table.columns])
    lines = [_line("Methods", first, width), _line(":--", ["--:"] * width, width)]
    lines += [_line("", headings, width) for headings in others]
    for row in table.rows:
        cells = table.split(_marked(row, "**", "**"))
        lines += [_line(name, line, width) for name, line in zip_longest([_plain(row.method)], cells, fillvalue="")]
    return "\n".join(lines)


def _marked(row: TableRow, before: str, after: str) -> list[str]:
    """The row's cells, the best ones between two marks."""
    return [f"{before}{cell}{after}" if best else cell for cell, best in zip(row.cells, row.best, strict=True)]


def _line(method: str, cells: Sequence[str], width: int) -> str:
    padded = [method, *cells, *[""] * (width - len(cells))]
    return "| " + " | ".join(padded) + " |"


def _plain(text: str) -> str:
    """A name that does not end its cell, as "|" would."""
    return text.replace("|", r"\|")
