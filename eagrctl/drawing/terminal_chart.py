"""Curves as lines of text, for a terminal: dots of braille, eight to a character, and no colour."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from eagrctl.drawing.curves import Plot, stretches

# A character's dots, by column and row, as bits of its number.
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800
# By curve: a point without neighbours, whose one dot would be overlooked, and all points where there is no braille.
_POINTS, _PLAIN = "●○◆◇", "*o+x"
GAP = 3  # of all curves but the first, one dot in so many is drawn, so that they are told apart


def terminal_chart(plot: Plot, width: int = 80, height: int = 10, plain: bool = False) -> list[str]:
    """Draw a plot in characters.

    The first curve is solid, others are dotted; each ends in its name and its last value.

    Args:
        plot: what to draw, of four curves at most.
        width: the most characters in a line; at least 40.
        height: lines that the curves take, at least as many as there are curves. Three more hold title and places.
        plain: keep to ASCII, one dot a character, for terminals that know no better.
    """
    marks = plot.marks()
    names = [curve.label for curve in plot.curves]
    margin = max(len(f"{mark:g}") for mark in marks)
    canvas = _Canvas(width - margin - 3 - max(map(len, names)), height, plain)

    def down(value: float) -> int:
        return round((marks[-1] - value) / (marks[-1] - marks[0]) * (canvas.dots_down - 1))

    ends = []
    for number, curve in enumerate(plot.curves):
        end = canvas.dots_down - 1
        for piece in stretches(plot, curve):
            path = [(round(plot.across(place) * (canvas.dots_across - 1)), down(value)) for place, value in piece]
            canvas.draw(path, number)
            end = path[-1][1]
        ends.append(end // canvas.tall)
    upright, tick, corner, level, foot = "|++-+" if plain else "│┤└─┬"
    labels = {down(mark) // canvas.tall: f"{mark:g}" for mark in marks}
    beside = dict(zip(_apart(ends, height), names, strict=True))
    lines = [f"{'':{margin + 2}}{plot.title}"]
    for row, cells in enumerate(canvas.cells):
        edge = tick if row in labels else upright
        lines.append(f"{labels.get(row, ''):>{margin}} {edge}{''.join(cells)} {beside.get(row, '')}".rstrip())
    places = {round(plot.across(place) * (canvas.columns - 1)): f"{place}" for place in plot.place_marks()}
    axis = "".join(foot if column in places else level for column in range(canvas.columns))
    lines.append(f"{'':{margin + 1}}{corner}{axis}")
    lines.append(f"{'':{margin + 2}}{_spread(places, canvas.columns)} {plot.along}")
    return lines


class _Canvas:
    """Characters that are made of dots: 2 across and 4 down with braille, 1 and 1 without.

    Attributes:
        columns: characters across.
        tall: dots of a character, down.
        dots_across, dots_down: dots in all.
        cells: the characters, by row and column.
    """

    def __init__(self, columns: int, rows: int, plain: bool) -> None:
        self._plain = plain
        self._wide, self.tall = (1, 1) if plain else (2, 4)
        self.columns = columns
        self.dots_across, self.dots_down = columns * self._wide, rows * self.tall
        self.cells = [[" "] * columns for _ in range(rows)]

    def draw(self, path: list[tuple[int, int]], number: int) -> None:
        """Draw a path of straight lines through dots, as belongs to the curve of that number."""
        points = _PLAIN if self._plain else _POINTS
        if len(path) == 1:
            self._put(*path[0], points[number])
            return
        dots = dict.fromkeys(_walk(path))  # each once, in the order of the path
        for x, y in list(dots)[:: 1 if self._plain or number == 0 else GAP]:
            if self._plain:
                self._put(x, y, points[number])
                continue
            before = self.cells[y // self.tall][x // self._wide]
            if before not in points:
                bits = _BLANK if before == " " else ord(before)
                self._put(x, y, chr(bits | _BITS[x % self._wide][y % self.tall]))

    def _put(self, x: int, y: int, character: str) -> None:
        self.cells[y // self.tall][x // self._wide] = character


def _walk(path: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The dots along a path of straight lines, from the first to the last."""
    for (x, y), (to_x, to_y) in pairwise(path):
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for number in range(steps + 1):
            yield x + round((to_x - x) * number / steps), y + round((to_y - y) * number / steps)


def _apart(rows: Iterable[int], height: int) -> list[int]:
    """Rows for the names, no two the same, each as near its own as those before leave room."""
    taken: list[int] = []
    for own in rows:
        taken.append(min((row for row in range(height) if row not in taken), key=lambda row: (abs(row - own), -row)))
    return taken


def _spread(texts: dict[int, str], columns: int) -> str:
    """Texts centred on their columns; those that would touch the one before are left out."""
    line = ""
    for column, text in sorted(texts.items()):
        start = min(max(column - len(text) // 2, 0), columns - len(text))
        if not line or start > len(line):
            line = f"{line:{start}}{text}"
    return f"{line:{columns}}"
