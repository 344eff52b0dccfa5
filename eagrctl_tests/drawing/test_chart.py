import math
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from PIL import Image

from eagrctl.drawing.chart import Chart, bar_chart, curves_chart, readable, save_chart
from eagrctl.drawing.curves import Curve, Plot
from eagrctl.errors import EagrctlError

NAMES = ("Baseline", "Without sampling", "Without graph", "EAGRNet")
VALUES = st.floats(width=32)


def plot(*values: tuple[float, ...]) -> Plot:
    names = ("total", "parsing", "edge", "boundary")
    curves = tuple(Curve(name, each) for name, each in zip(names, values, strict=False))
    return Plot("Loss", "epoch", tuple(range(1, len(values[0]) + 1)), curves)


def points(axes: Axes, number: int) -> list[tuple[float, float]]:
    """A curve's points."""
    x, y = axes.lines[number].get_data()
    return list(zip(np.asarray(x, float).tolist(), np.asarray(y, float).tolist(), strict=True))


def texts(chart: Chart, folder: Path) -> list[str]:
    """All that is written in a chart, a word or a line at a time."""
    save_chart(chart, folder / "chart.svg")
    root = ElementTree.parse(folder / "chart.svg").getroot()
    return [text for each in root.iter("{http://www.w3.org/2000/svg}text") for text in each.itertext()]


def test_curves_go_through_their_values_and_are_cut_where_one_is_missing() -> None:
    chart = curves_chart("run", "note", [plot((0.0, 2.0, 4.0), (1.0, math.inf, 1.0)), plot((5.0,))])
    left, right = chart.axes
    assert points(left, 0) == [(1, 0), (2, 2), (3, 4)]
    (first, gap, last) = points(left, 1)
    assert (first, last) == ((1, 1), (3, 1))
    assert math.isnan(gap[1])
    assert points(right, 0) == [(1, 5)]
    assert left.get_xlim() == (1, 3)


def test_a_long_curve_is_a_line_and_a_point_without_neighbours_is_marked() -> None:
    values = (*[1.0] * 30, math.nan, 2.0, math.nan, *[1.0] * 30)
    (axes,) = curves_chart("run", "note", [plot(values, (1.0,) * 63)]).axes
    lone, whole = axes.lines
    assert np.flatnonzero(np.asarray(lone.get_markevery())).tolist() == [31]
    assert not np.any(whole.get_markevery())


def test_plots_are_named_with_their_axes_and_last_values(tmp_path: Path) -> None:
    written = texts(curves_chart("run $1$ <x>", "5 epochs & more", [plot((3.0, 2.0), (1.0, math.nan))]), tmp_path)
    assert {"run $1$ <x>", "5 epochs & more", "Loss", "epoch", "total 2", "parsing 1"} <= set(written)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 5).flatmap(lambda places: st.lists(st.tuples(*[VALUES] * places), min_size=1, max_size=4)),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300),
)
def test_whatever_a_run_has_logged_can_be_drawn(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[float, ...]], name: str
) -> None:
    path = tmp_path_factory.mktemp("chart") / "curves.png"
    save_chart(curves_chart(name, name, [plot(*values)]), path)
    with Image.open(path) as picture:
        assert picture.width > 500


def test_long_lines_are_broken_where_the_chart_ends(tmp_path: Path) -> None:
    sizes = []
    for title in ("short", "very " * 60 + "long", "very" * 80):
        save_chart(curves_chart(title, title, [plot((1.0, 2.0))]), tmp_path / "curves.png")
        sizes.append(np.asarray(Image.open(tmp_path / "curves.png")).shape)
    assert np.ptp(sizes, axis=0).max() < 30


def test_each_quantity_has_a_bar_per_name_as_high_as_its_value(tmp_path: Path) -> None:
    quantities = {"GFLOPs": (465.0, 531.6, 472.8, 472.82), "<MB> & more": (4.631, 1728.74, 0.05, 0)}
    chart = bar_chart("Complexity", "11 classes", NAMES, quantities)
    for axes, (title, values) in zip(chart.axes, quantities.items(), strict=True):
        assert axes.get_title(loc="left") == title
        assert [bar.get_height() for bar in axes.containers[0].patches] == list(values)  # type: ignore[attr-defined]
        assert axes.get_ylim()[0] == 0
    written = texts(chart, tmp_path)
    for expected in ("465.0", "531.6", "4.631", "1,729", "0.05000", "0", "Baseline", "sampling", "11 classes"):
        assert expected in written
    assert written.count("472.8") == 2


def test_bars_of_nothing_and_of_very_much_can_be_drawn(tmp_path: Path) -> None:
    save_chart(bar_chart("", "", ["a", "b"], {"GFLOPs": (0, 0), "MB": (1e-6, 1e12)}), tmp_path / "bars.png")


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_chart_is_written_whole_or_not_at_all(tmp_path: Path, ending: str, start: bytes) -> None:
    chart = curves_chart("run", "note", [plot((1.0, 2.0))])
    save_chart(chart, tmp_path / f"chart.{ending}")
    assert (tmp_path / f"chart.{ending}").read_bytes().startswith(start)
    with pytest.raises(EagrctlError, match="cannot write"):
        save_chart(chart, tmp_path / "missing" / f"chart.{ending}")
    assert len(list(tmp_path.iterdir())) == 1


def test_the_readers_own_settings_of_matplotlib_change_nothing(tmp_path: Path) -> None:
    def drawn(name: str) -> bytes:
        save_chart(curves_chart("run", "note", [plot((1.0, 2.0))]), tmp_path / name)
        return (tmp_path / name).read_bytes()

    plain = drawn("plain.png")
    with matplotlib.rc_context({"savefig.dpi": 30, "font.size": 40, "axes.facecolor": "black"}):
        assert drawn("own.png") == plain
        assert matplotlib.rcParams["font.size"] == 40


def test_nothing_is_said_where_matplotlib_can_keep_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = (
        "from pathlib import Path; from eagrctl.drawing.chart import bar_chart, save_chart; "
        f"save_chart(bar_chart('', '', ['a'], {{'b': (1,)}}), Path({str(tmp_path / 'bars.png')!r}))"
    )
    nowhere = {"HOME": str(tmp_path / "file"), "MPLCONFIGDIR": str(tmp_path / "file" / "in")}
    told = subprocess.run([sys.executable, "-c", code], env=os.environ | nowhere, capture_output=True, check=True)
    assert (told.stdout, told.stderr) == (b"", b"")
    assert (tmp_path / "bars.png").is_file()


@pytest.mark.parametrize(
    ("value", "text"),
    [(66.722523, "66.72"), (472.82, "472.8"), (1728.74, "1,729"), (123456.7, "123,457"), (0.0411, "0.04110"), (0, "0")],
)
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    assert readable(value) == text
