import pytest

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.scoring.published import MEAN, TABLE_3, TABLE_4, TABLE_5, TABLE_OF, PublishedTable
from eagrctl_tests.conftest import CLASSES


@pytest.mark.parametrize("table", [TABLE_3, TABLE_4, TABLE_5], ids=["Table 3", "Table 4", "Table 5"])
def test_every_row_has_a_value_for_every_column(table: PublishedTable) -> None:
    columns = [column for line in table.lines for column in line]
    assert all(len(values) == len(columns) for _, values in table.rows)


@pytest.mark.parametrize("dataset", TABLE_OF)
def test_every_column_shows_a_score_of_its_dataset(dataset: str) -> None:
    labels = CLASSES[dataset]
    for line in TABLE_OF[dataset].lines:
        for column in line:
            assert column.score == MEAN or column.score in labels.names or column.score in labels.regions


def test_table_4_lists_the_official_ids_in_order_with_the_mean_after_its_first_line() -> None:
    first, second = ([column.score for column in line] for line in TABLE_4.lines)
    assert first[-1] == MEAN
    assert [*first[:-1], *second] == list(CELEBAMASK_HQ.names[1:])


@pytest.mark.parametrize("table", [TABLE_4, TABLE_5], ids=["Table 4", "Table 5"])
def test_means_are_those_of_their_own_classes(table: PublishedTable) -> None:
    columns = [column.score for line in table.lines for column in line]
    for name, values in table.rows:
        classes = [value for column, value in zip(columns, values, strict=True) if column != MEAN]
        assert sum(classes) / len(classes) == pytest.approx(values[columns.index(MEAN)], abs=0.1), name
