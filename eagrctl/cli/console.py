"""Everything that is drawn in a terminal: progress, messages, tables. The only module that imports rich.

Results go to stdout; progress and messages go to stderr. Progress is drawn where stderr is a terminal only. Whatever a
text holds, names of files too, it is shown on one line, and nothing in it acts on the terminal or on rich.
"""

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, Notice, Progress
from eagrctl.files import printable

if TYPE_CHECKING:
    from eagrctl.data.index import ShardIndex

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)
quiet = False  # whether --quiet leaves out messages that are no warnings

BROKEN_PIPE = 128 + 13  # the exit code of a program whose reader, `head` say, has seen enough


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("-- /s", style="dim")
        return Text(f"{speed:.1f} /s" if speed >= 1 else f"{1 / speed:.1f} s each", style="dim")


class _Stream(TextIOWrapper):
    """stdout or stderr, as it stands however it was opened: closed, full, or with an encoding that lacks letters."""

    def __init__(self, number: int) -> None:
        name = "stdout" if number == 1 else "stderr"
        given = getattr(sys, name)
        if given is None:
            # It is closed. Else the next file that is opened would get its number, and what libraries print.
            null = os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_WRONLY)  # results are not lost in silence
            if null != number:
                os.dup2(null, number)
                os.close(null)
            raw, encoding = open(number, "wb", closefd=False), "utf-8"  # noqa: SIM115
        else:
            raw, encoding = given.detach(), given.encoding
        super().__init__(raw, encoding, "backslashreplace", line_buffering=number == 2 or raw.isatty())
        self._results = number == 1

    def write(self, text: str) -> int:
        with self._lost():
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._lost():
            super().flush()

    @contextmanager
    def _lost(self) -> Iterator[None]:
        """End the program where nobody reads, and say so where results cannot be written; messages are let go."""
        try:
            yield
        except OSError as failed:
            # What is left in the buffer goes nowhere, also when the program ends.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            if failed.errno == errno.EPIPE:
                raise SystemExit(BROKEN_PIPE) from None
            if self._results:
                raise EagrctlError(f"cannot write to standard output ({failed.strerror}): write it elsewhere") from None


def open_streams() -> None:
    """Make stdout and stderr ready for any text, and for being closed, full, or left by who reads them."""
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)  # takes number 0
    sys.stdout, sys.stderr = _Stream(1), _Stream(2)


@contextmanager
def progress(quiet: bool = False) -> Iterator[Listener]:
    """Draw the events of the library while the block runs.

    Args:
        quiet: show warnings only.
    """
    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", "dim", markup=False),
        console=stderr,
        transient=True,
        # The rate is an average over this many seconds: steps are uneven, and an epoch holds a validation.
        speed_estimate_period=120,
        disable=quiet or not stderr.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def draw(event: Progress | Notice) -> None:
        if isinstance(event, Notice):
            if event.warning or not quiet:
                bars.console.print(_shown(event.text), style="yellow" if event.warning else None, soft_wrap=True)
            return
        if event.task not in tasks:
            tasks[event.task] = bars.add_task(printable(event.task), total=event.total, completed=event.done, note="")
        task = tasks[event.task]
        bars.update(task, completed=event.done, total=event.total, note=printable(event.note))
        if event.done >= event.total:
            bars.remove_task(tasks.pop(event.task))

    with bars:
        yield draw


def message(text: str, warning: bool = False) -> None:
    """Say something that is not a result; with --quiet, only if it is a warning."""
    if warning or not quiet:
        stderr.print(_shown(text), soft_wrap=True)


def error(text: str) -> None:
    """Say, in one line, what is wrong."""
    line = " ".join(text.split())
    stderr.print(Text.assemble(("Error:", "bold red"), " ", _shown(line)), soft_wrap=True)


def written(paths: Iterable[Path]) -> None:
    """Name the files that were written."""
    for path in paths:
        message(f"Wrote {path}")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table on stdout, every column but the first aligned to the right.

    On a terminal too narrow for it, each row becomes a paragraph, empty cells left out.
    """
    if title:
        # Not as the table's own title, which would be folded to the table's width.
        stdout.print(_shown(title), style="bold", soft_wrap=True)
    headings, *rows = ([printable(cell) for cell in row] for row in (headings, *rows))
    width = 1 + sum(3 + max(map(cell_len, column)) for column in zip(headings, *rows, strict=True))
    if stdout.is_terminal and width > stdout.width:
        for row in rows:
            (_, name), *cells = zip(headings, row, strict=True)
            line = f"{name}: {', '.join(f'{heading} {cell}' for heading, cell in cells if cell)}"
            for folded in fill(line, stdout.width, subsequent_indent="  ").splitlines():
                result(folded)
        return
    drawn = Table()
    for number, heading in enumerate(headings):
        drawn.add_column(Text(heading), justify="left" if number == 0 else "right")
    for row in rows:
        drawn.add_row(*map(Text, row))
    stdout.width = max(stdout.width, width)  # a pipe has no edge to fold at
    stdout.print(drawn)


def index(prepared: "ShardIndex") -> None:
    """Print what a prepared dataset holds, split by split."""
    provenance = prepared.provenance
    part = f", part {prepared.part[0]} of {prepared.part[1]}" if prepared.part else ""
    table(
        ("split", "samples", "skipped", "centred", "shards", "size"),
        [
            (
                name,
                f"{split.count:,}",
                f"{len(split.skipped):,}",
                f"{len(split.centred):,}",
                f"{len(split.shards):,}",
                f"{sum(shard.bytes for shard in split.shards) / 1e6:,.0f} MB",
            )
            for name, split in prepared.splits.items()
        ],
        f"{provenance.dataset} ({provenance.variant}){part}, {prepared.size} x {prepared.size}, "
        f"split by {provenance.split_rule}",
    )


def marked(good: bool | None, text: str) -> None:
    """Print a line of results on stdout behind a tick, a cross, or a dash where `good` is None."""
    tick, cross = ("+", "x") if plain() else ("✓", "✗")
    mark = {True: (tick, "green"), False: (cross, "bold red"), None: ("-", "")}[good]
    stdout.print(Text.assemble(mark, " ", _shown(text)), soft_wrap=True)


def plain() -> bool:
    """Whether stdout takes ASCII alone."""
    return not stdout.encoding.startswith("utf")


def result(text: str) -> None:
    """Print a line of results on stdout."""
    stdout.print(_shown(text), soft_wrap=True)


def _shown(text: str) -> Text:
    return Text(printable(text))
