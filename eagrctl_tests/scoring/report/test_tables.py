import csv
import dataclasses
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eagrctl.data.index import Shard, ShardIndex, Skipped, Split
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.data.source import Provenance
from eagrctl.scoring.evaluate import Evaluation
from eagrctl.scoring.published import TABLE_3, TABLE_4, Column, PublishedTable
from eagrctl.scoring.report.rows import TableRows, ranked_rows
from eagrctl.scoring.report.tables import (
    csv_text,
    latex,
    markdown,
    markdown_report,
    markdown_table,
    tex_escaped,
    write_report,
)
from eagrctl.scoring.scores import score
from eagrctl_tests.scoring.samples import full_report, table_report

SMALL = PublishedTable(
    number=9,
    dataset="nothing",
    lines=((Column("A", "a"), Column("B", "b"), Column("Mean", "mean")), (Column("C", "c"),)),
    rows=(("One", (50.0, None, 60.0, 70.0)),),
)


def evaluation_of(counts: np.ndarray, labels: object) -> Evaluation:
    return Evaluation("val", 3, ((512, 512),), counts, score(counts, labels))


def index_of(dataset: str, root: Path, skipped: int = 0) -> ShardIndex:
    labels = CELEBAMASK_HQ if dataset == "celebamask-hq" else HELEN
    provenance = Provenance(dataset, "merged", "the lists", {"paint order": "official"})
    missing = tuple(Skipped(str(number), "torn") for number in range(skipped))
    return ShardIndex(root, provenance, labels, 473, "none", {"val": Split((Shard("a", 3, 0, ""),), missing)})


def test_a_table_of_two_lines_reads_as_in_the_paper() -> None:
    text = markdown_table(SMALL, [*SMALL.rows, ("Ours", (50.04, 40.0, float("nan"), 80.06))])
    assert text.splitlines() == [
        "| Methods | A | B | Mean |",
        "| :-- | --: | --: | --: |",
        "|  | C |  |  |",
        "| One | **50.0** | - | **60.0** |",
        "|  | 70.0 |  |  |",
        "| Ours | **50.0** | **40.0** | - |",
        "|  | **80.1** |  |  |",
    ]


def test_a_row_that_competes_with_none_is_not_bold() -> None:
    assert "**" not in markdown_table(SMALL, [("Ours", (1.0, 2.0, 3.0, 4.0))], ranked=0)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="row 'Ours' has 2 values for 4 columns"):
        markdown_table(SMALL, [*SMALL.rows, ("Ours", (1.0, 2.0))])


def test_published_rows_print_as_the_paper_prints_them() -> None:
    text = markdown_table(TABLE_3, TABLE_3.rows)
    assert "| Yin et al. [5] | - | **96.3** | 82.4 | 85.6 | 86.6 | 89.5 | 84.8 | 92.8 | 91.0 |" in text
    assert "| EAGRNet (paper) | 94.6 | 96.1 | 83.6 | **89.8** | 91.0 | **90.2** | **84.9** | 95.5 | **93.2** |" in text
    text = markdown_table(TABLE_4, TABLE_4.rows)
    assert "|  | I-Mouth | U-Lip | L-Lip | Hair | Hat | Earring | Necklace | Neck | Cloth |  |" in text
    assert "|  | 63.4 | **88.9** | 90.1 | 86.6 | **91.3** | 63.2 | 26.1 | **92.8** | 68.3 |  |" in text


def test_a_report_states_where_our_row_comes_from(tmp_path: Path) -> None:
    counts = np.diag(np.arange(1, 20)) * 10
    text = markdown_report(
        evaluation_of(counts, CELEBAMASK_HQ), index_of("celebamask-hq", tmp_path, 2), "eagrctl", "runs/a/best.pt"
    )
    for fact in (
        "dataset celebamask-hq (merged)",
        "split val (by the lists)",
        "3 images",
        "2 more could not be used",
        "scored at 512 x 512",
        "paint order official",
        "checkpoint runs/a/best.pt",
        "mIoU 100.0 (with background)",
        "mean class accuracy 100.0",
    ):
        assert fact in text, fact
    rows = [line for line in text.splitlines() if line.startswith("| eagrctl")]
    assert rows == ["| eagrctl |" + " **100.0** |" * 10]
    assert text.index("Zhao") < text.index("EAGRNet (paper)") < text.index("| eagrctl |")


def test_painted_faces_are_never_passed_off_as_helen(tmp_path: Path) -> None:
    text = markdown_report(
        evaluation_of(np.eye(11, dtype=np.int64), HELEN), index_of("synthetic", tmp_path), "eagrctl", "best.pt"
    )
    assert "EAGRNet (paper), on Helen" in text
    assert "not comparable" in text
    assert "| **96.3** |" in text  # the best nose of the published rows,
    assert "| eagrctl | 100.0 | 100.0 |" in text  # whatever ours is


def test_faces_of_several_sizes_are_scored_at_their_own(tmp_path: Path) -> None:
    evaluation = evaluation_of(np.eye(11, dtype=np.int64), HELEN)
    several = dataclasses.replace(evaluation, resolutions=((64, 64), (80, 64)))
    text = markdown_report(several, index_of("synthetic", tmp_path), "eagrctl", "best.pt")
    assert "scored at each image's own resolution (2 different ones)" in text


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    write_report("text\n", tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text() == "text\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_csv_is_one_rectangle_with_what_the_paper_prints() -> None:
    table = full_report().table
    headings, *rows = csv.reader(io.StringIO(csv_text(table)))
    assert headings == ["Methods", *(column.heading for column in table.columns), "Notes"]
    assert [row[:-1] for row in rows] == [[row.method, *row.cells] for row in table.rows]
    assert [bool(row[-1]) for row in rows] == [False, False, False, True]
    assert "runs/a_b/best.pt" in rows[-1][-1]
    assert "bold" not in rows[-1][-1]


def test_pandas_reads_the_csv_as_numbers() -> None:
    frame = pd.read_csv(io.StringIO(csv_text(full_report().table)), na_values="-", index_col="Methods")
    assert frame.loc["EAGRNet (paper)", "Mean"] == 85.1
    assert np.isnan(frame.loc["eagrctl", "Hat"])
    assert all(frame[column].dtype == float for column in frame.columns[:-1])


def test_names_cannot_break_out_of_their_cells() -> None:
    table = PublishedTable(0, "mine", ((Column("a|b", "a"), Column("c_d & e", "c")),), ())
    rows = TableRows("Title", table.lines, ranked_rows(table, [("me | 100 %", (1.0, 2.0))], ranked=0))
    assert r"| Methods | a\|b | c_d & e |" in markdown(rows)
    assert r"| me \| 100 % | 1.0 | 2.0 |" in markdown(rows)
    assert r"Methods & a|b & c\_d \& e \\" in latex(rows)
    assert r"me | 100 \% & 1.0 & 2.0 \\" in latex(rows)
    assert csv_text(rows).splitlines()[0] == "Methods,a|b,c_d & e,Notes"


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
