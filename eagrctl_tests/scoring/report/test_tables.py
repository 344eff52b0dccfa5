import csv
import dataclasses
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.data.index import Shard, ShardIndex, Skipped, Split
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet
from eagrctl.data.source import Provenance
from eagrctl.scoring.evaluate import Evaluation
from eagrctl.scoring.origin import Origin
from eagrctl.scoring.published import TABLE_3, TABLE_4, Column
from eagrctl.scoring.report import Report
from eagrctl.scoring.report.tables import Table, csv_text, latex, markdown, percent, tex_escaped
from eagrctl_tests.scoring.samples import full_report, table_report, unpadded

LINES = ((Column("A", "a"), Column("B", "b"), Column("Mean", "mean")), (Column("C", "c"),))
ONE, OURS = ("One", (50.0, None, 60.0, 70.0)), ("Ours", (50.04, 40.0, float("nan"), 80.06))


def markdown_of(counts: np.ndarray, labels: LabelSet, dataset: str, **changes: object) -> str:
    """The table of an evaluation of three images of a dataset in which two could not be used."""
    provenance = Provenance(dataset, "merged", "the lists", {"paint order": "official"})
    split = Split((Shard("a", 3, 0, ""),), (Skipped("0", "torn"), Skipped("1", "torn")))
    index = ShardIndex(Path("data"), provenance, labels, 473, "none", {"val": split})
    evaluation = dataclasses.replace(Evaluation("val", 3, ((512, 512),), counts, labels), **changes)  # type: ignore[arg-type]
    return unpadded(markdown(Report("eagrctl", counts, labels, Origin.of(evaluation, index, "a/best.pt")).table))


def test_figures_that_print_alike_are_equally_good() -> None:
    table = Table("Title", LINES, [ONE, OURS], published=1)
    assert table.best.values.tolist() == [[True, False, True, False], [True, True, False, True]]
    assert table.cells.values.tolist() == [["50.0", "-", "60.0", "70.0"], ["50.0", "40.0", "-", "80.1"]]


def test_rows_beyond_the_ranked_ones_are_never_the_best() -> None:
    table = Table("Title", LINES, [ONE, ("Ours", (99.0,) * 4)], ranked=1)
    assert table.best.values.tolist() == [[True, False, True, True], [False] * 4]


@pytest.mark.parametrize("values", [(None, float("nan"), None, None), (float("nan"),) * 4])
def test_a_column_without_a_figure_has_no_best(values: tuple[float | None, ...]) -> None:
    assert not Table("Title", LINES, [("Ours", values)]).best.any(axis=None)


def test_values_are_cut_into_the_tables_lines() -> None:
    table = Table("Title", LINES, [ONE])
    assert table.split([1, 2, 3, 4]) == [[1, 2, 3], [4]]
    assert table.width == 3


@pytest.mark.parametrize(("ranked", "heading"), [(None, "Title; the best of each column in bold."), (0, "Title.")])
def test_bold_is_explained_where_there_is_any(ranked: int | None, heading: str) -> None:
    assert Table("Title", LINES, [ONE], ranked=ranked).heading == heading


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="row 'Ours' has 2 values for 4 columns"):
        Table("Title", LINES, [ONE, ("Ours", (1.0, 2.0))]).scores  # noqa: B018


@pytest.mark.parametrize(("fraction", "text"), [(0.12345, "12.3"), (1.0, "100.0"), (float("nan"), "-")])
def test_fractions_print_as_percent(fraction: float, text: str) -> None:
    assert percent(fraction) == text


def test_a_table_of_two_lines_reads_as_in_the_paper() -> None:
    assert markdown(Table("Title", LINES, [ONE, OURS])).splitlines()[2:] == [
        "| Methods   |        A |        B |     Mean |",
        "|:----------|---------:|---------:|---------:|",
        "|           |        C |          |          |",
        "| One       | **50.0** |        - | **60.0** |",
        "|           |     70.0 |          |          |",
        "| Ours      | **50.0** | **40.0** |        - |",
        "|           | **80.1** |          |          |",
    ]


def test_published_rows_print_as_the_paper_prints_them() -> None:
    text = unpadded(markdown(Table("Title", TABLE_3.lines, TABLE_3.rows)))
    assert "Yin et al. [5] | - | **96.3** | 82.4 | 85.6 | 86.6 | 89.5 | 84.8 | 92.8 | 91.0" in text
    assert "EAGRNet (paper) | 94.6 | 96.1 | 83.6 | **89.8** | 91.0 | **90.2** | **84.9** | 95.5 | **93.2**" in text
    text = unpadded(markdown(Table("Title", TABLE_4.lines, TABLE_4.rows)))
    assert "| I-Mouth | U-Lip | L-Lip | Hair | Hat | Earring | Necklace | Neck | Cloth |" in text
    assert "| 63.4 | **88.9** | 90.1 | 86.6 | **91.3** | 63.2 | 26.1 | **92.8** | 68.3 |" in text


def test_a_report_states_where_our_row_comes_from() -> None:
    text = markdown_of(np.diag(np.arange(1, 20)) * 10, CELEBAMASK_HQ, "celebamask-hq")
    for fact in (
        "dataset celebamask-hq (merged)",
        "split val (by the lists)",
        "3 images",
        "2 more could not be used",
        "scored at 512 x 512",
        "paint order official",
        "checkpoint a/best.pt",
        "mIoU 100.0 (with background)",
        "mean class accuracy 100.0",
    ):
        assert fact in text, fact
    rows = [line for line in text.splitlines() if line.startswith("eagrctl |")]
    assert rows == ["eagrctl" + " | **100.0**" * 10]
    assert text.index("Zhao") < text.index("EAGRNet (paper)") < text.index("eagrctl |")


def test_painted_faces_are_never_passed_off_as_helen() -> None:
    text = markdown_of(np.eye(11, dtype=np.int64), HELEN, "synthetic")
    assert "EAGRNet (paper), on Helen" in text
    assert "not comparable" in text
    assert "| **96.3** |" in text  # the best nose of the published rows,
    assert "eagrctl | 100.0 | 100.0 |" in text  # whatever ours is


def test_faces_of_several_sizes_are_scored_at_their_own() -> None:
    text = markdown_of(np.eye(11, dtype=np.int64), HELEN, "synthetic", resolutions=((64, 64), (80, 64)))
    assert "scored at each image's own resolution (2 different ones)" in text


def test_csv_is_one_rectangle_with_what_the_paper_prints() -> None:
    table = full_report().table
    headings, *rows = csv.reader(io.StringIO(csv_text(table)))
    assert headings == ["Methods", *table.scores.columns, "Notes"]
    assert [row[:-1] for row in rows] == [[name, *cells] for name, *cells in table.cells.itertuples(name=None)]
    assert [bool(row[-1]) for row in rows] == [False, False, False, True]
    assert "a_b/best.pt" in rows[-1][-1]
    assert "bold" not in rows[-1][-1]


def test_pandas_reads_the_csv_as_numbers() -> None:
    frame = pd.read_csv(io.StringIO(csv_text(full_report().table)), na_values="-", index_col="Methods")
    assert frame.loc["EAGRNet (paper)", "Mean"] == 85.1
    assert np.isnan(frame.loc["eagrctl", "Hat"])
    assert all(frame[column].dtype == float for column in frame.columns[:-1])


def test_names_cannot_break_out_of_their_cells() -> None:
    lines = ((Column("a|b", "a"), Column("c_d & e", "c")),)
    table = Table("Title", lines, [("me | 100 %\n<b>", (1.0, 2.0))], ranked=0)
    text = unpadded(markdown(table))
    assert r"Methods | a\|b | c_d &amp; e" in text
    assert r"me \| 100 % &lt;b&gt; | 1.0 | 2.0" in text
    assert r"Methods & a|b & c\_d \& e \\" in latex(table)
    assert r"me | 100 \% \textless{}b\textgreater{} & 1.0 & 2.0 \\" in latex(table)
    assert csv_text(table).splitlines()[0] == "Methods,a|b,c_d & e,Notes"


@given(st.text(), st.text())
def test_any_name_stays_in_its_cell(method: str, heading: str) -> None:
    lines = ((Column(heading, "a"), Column("b", "b")),)
    table = Table("Title", lines, [(method, (1.0, None))], origin=method)
    grid = [line for line in markdown(table).splitlines() if line.startswith("|")]
    pipes = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in grid]
    assert pipes == [4, 4, 4]
    headings, row = csv.reader(io.StringIO(csv_text(table), newline=""))
    assert (len(headings), row[1:3]) == (4, ["1.0", "-"])
    assert not row[0].startswith(("=", "+", "-", "@"))
    assert latex(table).count("&") - latex(table).count(r"\&") == 4


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_spreadsheet_takes_a_name_for_a_formula_or_a_figure_for_a_name(name: str) -> None:
    text = csv_text(Table("Title", ((Column(name, "a"), Column("b", "b")),), [(name, (1.0, None))]))
    headings, row = csv.reader(io.StringIO(text))
    assert headings[1] == row[0] == f"'{name}"
    assert row[1:3] == ["1.0", "-"]


def test_columns_and_methods_may_have_the_same_name() -> None:
    table = Table("Title", ((Column("Notes", "a"), Column("Notes", "b")),), [("one", (1.0, 2.0)), ("one", (3.0, 1.0))])
    assert csv_text(table).splitlines()[:2] == ["Methods,Notes,Notes,Notes", "one,1.0,2.0,Title."]
    assert "one | 1.0 | **2.0**" in unpadded(markdown(table))
    assert r"one & \textbf{3.0} & 1.0" in latex(table)


def test_latex_marks_the_best_and_has_as_many_lines_as_the_paper() -> None:
    text = latex(full_report().table)
    assert r"Lee et al. [1] & 95.5 & 85.6 & \textbf{92.9} & 84.3 &" in text
    assert text.count(r" \\") == 2 + 4 * 2
    assert r"\begin{tabular}{@{}l*{10}{r}@{}}" in text


NASTY = r"~ ^ \ < > & % $ # _ { }"


def test_latex_characters_are_escaped() -> None:
    assert tex_escaped("50 % of a_b") == r"50 \% of a\_b"
    assert tex_escaped("\\") == r"\textbackslash{}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
@pytest.mark.parametrize("preamble", ["", r"\usepackage{booktabs}"])
def test_latex_compiles_and_fits_a_narrow_page(tmp_path: Path, preamble: str) -> None:
    tables = [full_report().table, *(table_report(name, HELEN).table for name in ("helen", "lapa"))]
    for number, table in enumerate(tables):
        (tmp_path / f"table{number}.tex").write_text(latex(dataclasses.replace(table, notes=(NASTY,))))
    inputs = "\n".join(rf"\input{{table{number}}}" for number in range(len(tables)))
    document = "\n".join((r"\documentclass{article}", preamble, r"\begin{document}", inputs, r"\end{document}"))
    (tmp_path / "document.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert result.returncode == 0, result.stdout
    assert "Overfull" not in result.stdout
