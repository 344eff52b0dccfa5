"""Everything that is drawn in a terminal: progress, messages, tables. The only module that imports rich.

Results go to stdout; progress and messages go to stderr. Progress is drawn where stderr is a terminal only.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from eagrctl.events import Listener, Notice, Progress

if TYPE_CHECKING:
    from eagrctl.data.index import ShardIndex

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("-- /s", style="dim")
        return Text(f"{speed:.1f} /s" if speed >= 1 else f"{1 / speed:.1f} s each", style="dim")


@contextmanager
def progress(quiet: bool = False) -> Iterator[Listener]:
    """Draw the events of the library while the block runs.

    Args:
        quiet: show warnings only.
    """
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("[dim]{task.fields[note]}"),
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
                bars.console.print(escape(event.text), style="yellow" if event.warning else None, soft_wrap=True)
            return
        if event.task not in tasks:
            tasks[event.task] = bars.add_task(event.task, total=event.total, completed=event.done, note="")
        task = tasks[event.task]
        bars.update(task, completed=event.done, total=event.total, note=escape(event.note))
        if event.done >= event.total:
            bars.remove_task(tasks.pop(event.task))

    with bars:
        yield draw


def message(text: str) -> None:
    """Say something that is not a result."""
    stderr.print(escape(text), soft_wrap=True)


def error(text: str) -> None:
    """Say, in one line, what is wrong."""
    line = " ".join(text.split())
    stderr.print(f"[bold red]Error:[/] {escape(line)}", soft_wrap=True)


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
        stdout.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    rows = list(rows)
    width = 1 + sum(3 + max(map(len, column)) for column in zip(headings, *rows, strict=True))
    if stdout.is_terminal and width > stdout.width:
        for row in rows:
            (_, name), *cells = zip(headings, row, strict=True)
            line = f"{name}: {', '.join(f'{heading} {cell}' for heading, cell in cells if cell)}"
            result(fill(line, stdout.width, subsequent_indent="  "))
        return
    drawn = Table()
    for number, heading in enumerate(headings):
        drawn.add_column(escape(heading), justify="left" if number == 0 else "right")
    for row in rows:
        drawn.add_row(*(escape(cell) for cell in row))
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
    mark = {True: f"[green]{tick}[/]", False: f"[bold red]{cross}[/]", None: "-"}[good]
    stdout.print(f"{mark} {escape(text)}", soft_wrap=True)


def plain() -> bool:
    """Whether stdout takes ASCII alone."""
    return not stdout.encoding.startswith("utf")


def result(text: str) -> None:
    """Print a line of results on stdout."""
    stdout.print(escape(text), soft_wrap=True)
