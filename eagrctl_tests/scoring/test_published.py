import pytest

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.scoring.published import (
    COMPONENTS,
    MEAN,
    TABLE_1,
    TABLE_2_DEPLOYMENT,
    TABLE_2_POOLING,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_OF,
    PublishedTable,
)
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


# Copied from the paper's page as it stands there, ticks included.
PAPER_TABLE_1 = """
Model	Baseline	Edge	Graph	Reasoning	BA-loss	mIoU	F1-score	Accuracy
1	✓					76.5	91.4	85.9
2	✓	✓				77.5	92.0	86.2
3	✓		✓	✓		77.3	92.3	85.8
4	✓	✓	✓	✓		77.8	92.4	84.6
5	✓	✓	✓		✓	77.3	92.3	86.7
6	✓	✓	✓	✓	✓	78.2	92.8	87.3
"""
PAPER_TABLE_2 = """
0-module	1-module	2-modules	3-modules	4 x 4	6 x 6	8 x 8
77.6	77.6	78.2	77.4	77.0	78.2	78.0
92.0	92.5	92.8	92.3	92.1	92.8	92.6
85.5	86.0	87.3	85.4	87.4	87.3	87.0
"""


def test_table_1_is_the_papers() -> None:
    heading, *lines = (line.split("\t") for line in PAPER_TABLE_1.strip().splitlines())
    assert tuple(heading[1:6]) == COMPONENTS
    assert len(lines) == len(TABLE_1)
    for row, (model, *ticks, miou, f1, accuracy) in zip(TABLE_1, lines, strict=True):
        assert row.model == model
        assert [name in row.components for name in COMPONENTS] == [tick == "✓" for tick in ticks]
        assert (row.miou, row.f1, row.accuracy) == (float(miou), float(f1), float(accuracy))


def test_table_2_is_the_papers() -> None:
    lines = [line.split("\t") for line in PAPER_TABLE_2.strip().splitlines()]
    columns = list(zip(*lines, strict=True))
    rows = (*TABLE_2_DEPLOYMENT, *TABLE_2_POOLING)
    assert [(row.model, str(row.miou), str(row.f1), str(row.accuracy)) for row in rows] == columns


def test_the_networks_that_the_tables_have_in_common_have_the_same_figures() -> None:
    whole = {(row.miou, row.f1, row.accuracy) for row in (TABLE_1[5], TABLE_2_DEPLOYMENT[2], TABLE_2_POOLING[1])}
    assert whole == {(78.2, 92.8, 87.3)}
