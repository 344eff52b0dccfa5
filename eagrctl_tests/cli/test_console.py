import io
from pathlib import Path

import pytest

from eagrctl.cli import console
from eagrctl.events import Notice, Progress

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


HOSTILE = "a\x1b[31m\r[red]b[/] :fire: \u202e\udcff\nError: no"
SHOWN = r"a\x1b[31m\r[red]b[/] :fire: \u202e\udcff"


def test_nothing_in_a_text_acts_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    drawn = console.Console(file=file, width=300, height=50, force_terminal=True, color_system=None)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(console, name, drawn)
    monkeypatch.setattr(console, "quiet", False)
    console.message(HOSTILE)
    console.error(HOSTILE)
    console.written([Path(HOSTILE)])
    console.result(HOSTILE)
    console.marked(True, HOSTILE)
    console.table([HOSTILE], [[HOSTILE]], HOSTILE)
    drawn.width = 20
    console.table(["x", "y"], [[HOSTILE, HOSTILE]])
    drawn.width = 300
    plain = file.getvalue()
    assert not {"\x1b", "\r", "\u202e", "\udcff"} & {*plain}
    # An error is folded onto one line first; of a narrow table, lines are folded anywhere.
    assert plain.count(SHOWN) == 7
    assert len([line for line in plain.splitlines() if line.startswith("Error: ")]) == 1
    file.truncate(0)
    with console.progress() as listener:
        listener(Progress(HOSTILE, 0, 2))
        listener(Progress(HOSTILE, 1, 2, HOSTILE))
        listener(Notice(HOSTILE))
    text = file.getvalue()
    assert text.count(SHOWN) >= 3
    assert not {"\u202e", "\udcff"} & {*text}
    assert "a\x1b[31m" not in text


def test_quiet_leaves_out_messages_but_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "stderr", console.Console(file=file))
    monkeypatch.setattr(console, "quiet", True)
    console.message("idle talk")
    console.written([Path("file")])
    console.message("look here", warning=True)
    assert file.getvalue() == "look here\n"
