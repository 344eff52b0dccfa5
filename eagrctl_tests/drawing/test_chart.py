from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.drawing.chart import Panel, bar_chart, readable, ticks

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("Baseline", "Without sampling", "Without graph", "EAGRNet")
AMOUNTS = st.floats(1e-6, 1e12)


def drawn(*panels: Panel, names: tuple[str, ...] = NAMES) -> ElementTree.Element:
    return ElementTree.fromstring(bar_chart("Complexity", "11 classes", names, panels))


def parts(parent: ElementTree.Element, tag: str, kind: str) -> list[ElementTree.Element]:
    return [element for element in parent.iter(SVG + tag) if element.get("class") == kind]


@given(st.lists(st.tuples(*[AMOUNTS] * 4), min_size=1, max_size=4))
def test_each_panel_has_a_bar_per_name_as_high_as_its_value(quantities: list[tuple[float, ...]]) -> None:
    svg = drawn(*(Panel(f"quantity {number}", values) for number, values in enumerate(quantities)))
    panels = parts(svg, "g", "panel")
    assert len(panels) == len(quantities)
    for panel, values in zip(panels, quantities, strict=True):
        bars = parts(panel, "rect", "bar")
        assert len(bars) == 4
        heights = [float(bar.get("height", "nan")) for bar in bars]
        highest = max(values)
        assert max(heights) > 170  # of 230: axes end soon after the highest value
        for value, height in zip(values, heights, strict=True):
            assert height == pytest.approx(max(heights) * value / highest, abs=0.02)
        # All stand on the axis, from left to right.
        feet = [float(bar.get("y", "nan")) + height for bar, height in zip(bars, heights, strict=True)]
        assert feet == pytest.approx([230] * 4, abs=0.02)
        lefts = [float(bar.get("x", "nan")) for bar in bars]
        assert lefts == sorted(set(lefts))


def test_bars_are_named_and_carry_their_values() -> None:
    svg = drawn(Panel("GFLOPs", (465.0, 531.6, 472.8, 472.82)), Panel("Latency (ms)", (4.631, 1728.74, 0.05, 0)))
    texts = [element.text for element in svg.iter(SVG + "text")]
    for expected in ("GFLOPs", "465.0", "531.6", "4.631", "1,729", "0.05000", "Baseline", "sampling", "EAGRNet"):
        assert expected in texts
    assert texts.count("472.8") == 2


def test_nothing_is_drawn_outside_the_picture() -> None:
    svg = drawn(*[Panel("Peak activation memory (MB)", (1.0, 2.0, 3.0, 4.0))] * 4)
    width, height = float(svg.get("width", "nan")), float(svg.get("height", "nan"))
    assert svg.get("viewBox") == f"0 0 {width:g} {height:g}"
    for panel in parts(svg, "g", "panel"):
        left, top = map(float, panel.get("transform", "").removeprefix("translate(").removesuffix(")").split())
        for line in panel.iter(SVG + "line"):
            assert 0 <= left + float(line.get("x1", "nan")) < left + float(line.get("x2", "nan")) <= width
        for text in panel.iter(SVG + "text"):
            assert 0 <= top + float(text.get("y", "nan")) <= height


def test_a_chart_reads_on_dark_pages_and_aloud() -> None:
    svg = drawn(Panel("GFLOPs", (465.0, 531.6, 472.8, 472.8)))
    (background,) = parts(svg, "rect", "background")
    assert (background.get("fill"), background.get("width"), background.get("height")) == ("white", "100%", "100%")
    assert svg.get("role") == "img"
    title, description = svg.find(SVG + "title"), svg.find(SVG + "desc")
    assert title is not None
    assert description is not None
    assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "Complexity"
    assert "11 classes. GFLOPs: Baseline 465.0, Without sampling 531.6" in (description.text or "")


def test_names_may_hold_what_xml_does_not() -> None:
    svg = drawn(Panel("<MB> & more", (1.0, 2.0)), names=("A<B", "C&D"))
    texts = [element.text for element in svg.iter(SVG + "text")]
    assert {"<MB> & more", "A<B", "C&D"} <= set(texts)


@pytest.mark.parametrize(
    ("value", "text"),
    [(66.722523, "66.72"), (472.82, "472.8"), (1728.74, "1,729"), (123456.7, "123,457"), (0.0411, "0.04110"), (0, "0")],
)
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    assert readable(value) == text


@given(AMOUNTS)
def test_ticks_are_four_to_six_round_numbers_from_zero(highest: float) -> None:
    marks = ticks(highest)
    assert marks[0] == 0
    assert 4 <= len(marks) <= 6
    assert marks[-2] < highest <= marks[-1] * (1 + 1e-8)
    assert all(len(f"{mark:.12g}".replace(".", "").strip("0").split("e")[0]) <= 3 for mark in marks)


def test_nothing_at_all_still_has_an_axis() -> None:
    assert ticks(0) == [0, 1]
