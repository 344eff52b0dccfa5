import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.drawing.curves import Curve, Plot
from eagrctl.drawing.terminal_chart import terminal_chart

NAMES = ("total", "parsing", "edge", "boundary")
VALUES = st.one_of(st.floats(-1e4, 1e4), st.just(math.nan))
# The dots of a braille character as Unicode numbers them, 1 to 8: (column, row).
BRAILLE = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))


def plot(*values: tuple[float, ...]) -> Plot:
    curves = tuple(Curve(name, each) for name, each in zip(NAMES, values, strict=False))
    return Plot("Loss", "epoch", tuple(range(1, len(values[0]) + 1)), curves)


def dots(lines: list[str]) -> set[tuple[int, int]]:
    """Where the braille dots of a chart are, (x, y), counted from the axis and from the top."""
    body = lines[1:-2]
    edge = next(line.index(mark) for line in body for mark in "│┤" if mark in line)
    return {
        (2 * column + x, 4 * row + y)
        for row, line in enumerate(body)
        for column, character in enumerate(line[edge + 1 :])
        if 0x2800 < ord(character) < 0x2900
        for bit, (x, y) in enumerate(BRAILLE)
        if (ord(character) - 0x2800) >> bit & 1
    }


@given(
    st.integers(1, 30).flatmap(
        lambda places: st.lists(st.tuples(*[VALUES] * places), min_size=1, max_size=4),
    ),
    st.integers(40, 120),
    st.integers(4, 20),
    st.booleans(),
)
def test_every_chart_keeps_to_its_width_and_names_each_curve_on_a_line_of_its_own(
    values: list[tuple[float, ...]], width: int, height: int, plain: bool
) -> None:
    chart = plot(*values)
    lines = terminal_chart(chart, width, height, plain)
    assert len(lines) == height + 3
    assert max(map(len, lines)) <= width
    assert not plain or all(line.isascii() for line in lines)
    for curve in chart.curves:
        assert len([line for line in lines[1:-2] if line.endswith(f" {curve.label}")]) == 1


def test_a_straight_line_is_a_diagonal_of_dots() -> None:
    # The axis goes from 0 to 4: the line goes from its lower left to its upper right corner.
    drawn = dots(terminal_chart(plot((0.0, 4.0)), width=60, height=8))
    wide, tall = max(x for x, _ in drawn), max(y for _, y in drawn)
    assert tall == 4 * 8 - 1
    assert wide > 80
    assert {x for x, _ in drawn} == set(range(wide + 1))
    for x, y in drawn:
        assert abs(y - (tall - x * tall / wide)) <= 0.5 + 1e-9


def test_curves_but_the_first_are_dotted() -> None:
    drawn = dots(terminal_chart(plot((4.0, 4.0), (0.0, 0.0)), width=60, height=8))
    solid, dotted = (sorted(x for x, y in drawn if y == level) for level in (0, 31))
    assert solid == list(range(len(solid)))
    assert dotted == solid[::3]


def test_a_missing_value_is_a_gap() -> None:
    drawn = {x for x, _ in dots(terminal_chart(plot((1.0, 1.0, math.nan, 1.0, 1.0)), width=60))}
    wide = max(drawn)
    assert drawn == {x for x in range(wide + 1) if x <= round(wide / 4) or x >= round(3 * wide / 4)}


@pytest.mark.parametrize(("plain", "marks"), [(False, "●○"), (True, "*o")])
def test_a_single_epoch_is_a_point_that_is_seen(plain: bool, marks: str) -> None:
    lines = terminal_chart(plot((2.0,), (1.0,)), plain=plain)
    rows = [next(row for row, line in enumerate(lines) if f" {mark} " in line) for mark in marks]
    assert rows[0] < rows[1]
    assert lines[rows[0]].endswith(" total 2")
    assert lines[rows[1]].endswith(" parsing 1")


def test_axes_are_labelled_where_their_values_lie() -> None:
    lines = terminal_chart(plot((0.0, 1.0, 2.0, 3.0, 4.0)), width=50, height=9)
    assert lines[0].strip() == "Loss"
    assert lines[1].startswith("4 ┤")
    assert lines[5].startswith("2 ┤")
    assert lines[9].startswith("0 ┤")
    assert lines[11].split() == ["1", "2", "3", "4", "5", "epoch"]
    for place in "12345":
        assert lines[10][lines[11].index(place)] == "┬"
