import io

import pytest

from eagrctl.cli import console

HEADINGS = ("run", "Edge", "Graph", "mIoU", "state")
ROWS = [("celebamask-hq-small-20261124-113000", "✓", "", "78.3 (+7.7)", "interrupted"), ("b", "", "✓", "-", "running")]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_too_narrow_for_a_table_gets_paragraphs_and_a_pipe_the_table(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(
        console, "stdout", console.Console(file=file, width=50, force_terminal=terminal, color_system=None)
    )
    console.table(HEADINGS, ROWS, "All of them")
    title, *lines = file.getvalue().splitlines()
    assert title == "All of them"
    if terminal:
        assert lines == [
            "celebamask-hq-small-20261124-113000: Edge ✓, mIoU",
            "  78.3 (+7.7), state interrupted",
            "b: Graph ✓, mIoU -, state running",
        ]
    else:
        assert [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line[0] == "│"] == [
            [*row] for row in ROWS
        ]


def test_a_table_that_fits_a_terminal_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    # Three characters for each column, one for the last border, and the longest cells.
    width = (
        1
        + 3 * 5
        + sum(map(len, ("celebamask-hq-small-20261124-113000", "Edge", "Graph", "78.3 (+7.7)", "interrupted")))
    )
    monkeypatch.setattr(
        console, "stdout", console.Console(file=file, width=width, force_terminal=True, color_system=None)
    )
    console.table(HEADINGS, ROWS)
    assert {len(line) for line in file.getvalue().splitlines()} == {width}
