import pytest

from eagrctl.scoring.published import Column, PublishedTable
from eagrctl.scoring.report.rows import TableRows, percent, ranked_rows

LINES = ((Column("A", "a"), Column("B", "b"), Column("Mean", "mean")), (Column("C", "c"),))
TABLE = PublishedTable(9, "nothing", LINES, (("One", (50.0, None, 60.0, 70.0)),))


def test_figures_that_print_alike_are_equally_good() -> None:
    one, ours = ranked_rows(TABLE, [*TABLE.rows, ("Ours", (50.04, 40.0, float("nan"), 80.06))], published=1)
    assert one.best == (True, False, True, False)
    assert ours.best == (True, True, False, True)
    assert (one.published, ours.published) == (True, False)
    assert one.cells == ("50.0", "-", "60.0", "70.0")
    assert ours.cells == ("50.0", "40.0", "-", "80.1")


def test_rows_beyond_the_ranked_ones_are_never_the_best() -> None:
    one, ours = ranked_rows(TABLE, [*TABLE.rows, ("Ours", (99.0, 99.0, 99.0, 99.0))], ranked=1)
    assert one.best == (True, False, True, True)
    assert not any(ours.best)


def test_a_column_without_a_figure_has_no_best() -> None:
    (row,) = ranked_rows(TABLE, [("Ours", (None, float("nan"), None, None))])
    assert not any(row.best)


def test_values_are_cut_into_the_tables_lines() -> None:
    rows = TableRows("Title", LINES, ranked_rows(TABLE, TABLE.rows))
    assert [column.heading for column in rows.columns] == ["A", "B", "Mean", "C"]
    assert rows.split([1, 2, 3, 4]) == [[1, 2, 3], [4]]
    assert rows.width == 3


@pytest.mark.parametrize(("ranked", "heading"), [(None, "Title; the best of each column in bold."), (0, "Title.")])
def test_bold_is_explained_where_there_is_any(ranked: int | None, heading: str) -> None:
    assert TableRows("Title", LINES, ranked_rows(TABLE, TABLE.rows, ranked)).heading == heading


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="row 'Ours' has 2 values for 4 columns"):
        ranked_rows(TABLE, [*TABLE.rows, ("Ours", (1.0, 2.0))])


@pytest.mark.parametrize(("fraction", "text"), [(0.12345, "12.3"), (1.0, "100.0"), (float("nan"), "-")])
def test_fractions_print_as_percent(fraction: float, text: str) -> None:
    assert percent(fraction) == text
