import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.drawing.curves import BOTTOM, HEADING, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Curve, Plot, curves_picture

AMOUNTS = st.floats(-1e6, 1e6)
BLUE, ORANGE = (31, 90, 150), (224, 138, 79)


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


def drawn(pixels: np.ndarray, colour: tuple[int, int, int], across: float, down: float) -> bool:
    """Whether a plot's pixel, by its place within the axes in 0..1, has a colour."""
    x, y = LEFT + round(across * WIDTH), HEADING + TOP + round(down * HEIGHT)
    return bool((abs(pixels[y - 1 : y + 2, x - 1 : x + 2].astype(int) - colour).max(axis=-1) < 8).any())


def test_curves_go_through_their_values() -> None:
    # On an axis from 0 to 4: from the lower left to the upper right corner, and level at a quarter.
    picture = curves_picture("run", "note", [plot((0.0, 2.0, 4.0), (1.0, 1.0, 1.0))])
    assert picture.size == (LEFT + WIDTH + RIGHT, HEADING + TOP + HEIGHT + BOTTOM)
    pixels = np.asarray(picture)
    for share in (0.0, 0.1, 0.4, 0.5, 0.9, 1.0):
        assert drawn(pixels, BLUE, share, 1 - share)
        assert not drawn(pixels, BLUE, share, 1 - share + (0.1 if share > 0.5 else -0.1))
        if abs(share - 0.25) > 0.05:
            assert drawn(pixels, ORANGE, share, 0.75)


def test_a_curve_is_cut_where_a_value_is_missing() -> None:
    pixels = np.asarray(curves_picture("run", "note", [plot((0.0, 2.0, math.nan, 2.0, 4.0))]))
    assert drawn(pixels, BLUE, 0.2, 0.6)
    assert drawn(pixels, BLUE, 0.9, 0.2)
    assert not any(drawn(pixels, BLUE, share, 0.5) for share in (0.35, 0.5, 0.65))


def test_a_single_value_is_a_point_in_the_middle() -> None:
    pixels = np.asarray(curves_picture("run", "note", [plot((1.0,), (2.0,))]))
    marks = plot((1.0,), (2.0,)).marks()
    down = [(marks[-1] - value) / (marks[-1] - marks[0]) for value in (1.0, 2.0)]
    assert drawn(pixels, BLUE, 0.5, down[0])
    assert drawn(pixels, ORANGE, 0.5, down[1])


def test_plots_stand_side_by_side() -> None:
    one, other = plot((0.0, 1.0)), plot((1.0, 0.0))
    both = curves_picture("", "", [one, other])
    slot = LEFT + WIDTH + RIGHT
    for number, each in enumerate((one, other)):
        alone = curves_picture("", "", [each])
        assert np.array_equal(np.asarray(both)[:, number * slot : (number + 1) * slot], np.asarray(alone))
