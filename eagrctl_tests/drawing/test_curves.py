import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.drawing.curves import Curve, Plot

AMOUNTS = st.floats(-1e6, 1e6)


def plot(*values: tuple[float, ...], places: tuple[int, ...] = ()) -> Plot:
    names = ("total", "parsing", "edge", "boundary")
    curves = tuple(Curve(name, each) for name, each in zip(names, values, strict=False))
    return Plot("Loss", "epoch", places or tuple(range(1, len(values[0]) + 1)), curves)


@given(st.lists(AMOUNTS, min_size=1, max_size=9))
def test_the_upright_axis_holds_all_values_between_round_numbers(values: list[float]) -> None:
    marks = plot(tuple(values)).marks()
    assert 2 <= len(marks) <= 7
    step = (marks[-1] - marks[0]) / (len(marks) - 1)
    assert marks == pytest.approx([marks[0] + number * step for number in range(len(marks))], abs=1e-6 * step)
    assert marks[0] - 1e-6 * step <= min(values)
    assert max(values) <= marks[-1] + 1e-6 * step
    if min(values) < max(values):  # no shorter axis of this step would do
        assert min(values) < marks[1] + 1e-6 * step
        assert max(values) > marks[-2] - 1e-6 * step
    assert f"{step:.6e}"[:8] in ("1.000000", "2.000000", "5.000000")


@given(st.integers(1, 500), st.integers(0, 500))
def test_the_level_axis_has_a_few_whole_places_within_its_ends(first: int, more: int) -> None:
    places = plot((0.0,) * (more + 1), places=tuple(range(first, first + more + 1))).place_marks()
    assert places == sorted(set(places))
    assert 1 <= len(places) <= 10
    assert first <= places[0]
    assert places[-1] <= first + more


def test_values_that_are_not_finite_do_not_stretch_the_axis() -> None:
    assert plot((1.0, math.nan, 3.0, math.inf)).marks() == plot((1.0, 3.0)).marks()
    assert plot((math.nan,)).marks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_a_label_has_the_last_finite_value() -> None:
    assert Curve("mean F1", (10.0, 70.441, math.nan)).label == "mean F1 70.4"
    assert Curve("mean F1", (math.nan,)).label == "mean F1"
