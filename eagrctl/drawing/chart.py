"""Bar charts as SVG, which any browser shows and which need no library to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
INK, FAINT, GRID = "#1f2430", "#5a6272", "#e3e6eb"
# Told apart in grey and by the colour-blind, too.
COLOURS = ("#b4bac4", "#e08a4f", "#6fb3a8", "#1f5a96")

SLOT, BAR = 72, 44  # pixels from bar to bar, and of a bar
PLOT = 230  # height of the tallest possible bar
AXIS, GAP, MARGIN = 52, 18, 16  # room for the ticks' numbers, between panels, around everything
TOP, BOTTOM = 118, 48  # above the plots: title, note, panels' titles; below them: names of the bars


@dataclass(frozen=True)
class Panel:
    """One quantity.

    Attributes:
        title: what it is, with its unit.
        values: one per bar, finite and not negative.
    """

    title: str
    values: tuple[float, ...]


def bar_chart(title: str, note: str, names: Sequence[str], panels: Sequence[Panel]) -> str:
    """Panels side by side, each with an axis from zero and the same bars in the same order.

    Args:
        title: of the chart.
        note: a line under the title: what the figures hold for.
        names: of the bars.
        panels: each with a value for each name.

    Returns:
        An SVG document. It has a background, so that it reads the same on dark pages, and a description with all
        figures, for those who hear it read.
    """
    panel_width = AXIS + SLOT * len(names)
    width = 2 * MARGIN + panel_width * len(panels) + GAP * (len(panels) - 1)
    height = TOP + PLOT + BOTTOM + MARGIN
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
            "aria-labelledby": "title description",
            "font-family": FONT,
        },
    )
    SubElement(svg, "title", id="title").text = title
    SubElement(svg, "desc", id="description").text = _description(note, names, panels)
    SubElement(svg, "rect", {"class": "background", "width": "100%", "height": "100%", "fill": "white"})
    _text(svg, MARGIN, MARGIN + 20, title, size=20, weight="bold")
    _text(svg, MARGIN, MARGIN + 44, note, size=14, fill=FAINT)
    for number, panel in enumerate(panels):
        left = MARGIN + number * (panel_width + GAP)
        group = SubElement(svg, "g", {"class": "panel", "transform": f"translate({left} {TOP})"})
        _draw_panel(group, panel, names)
    ElementTree.indent(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def readable(value: float) -> str:
    """A number from 0 in four significant digits, thousands set apart; digits before the point all stay."""
    if value == 0:
        return "0"
    whole = math.floor(math.log10(value)) + 1
    return f"{value:,.{max(4 - whole, 0)}f}"


def ticks(highest: float) -> list[float]:
    """Round numbers from zero, four to six of them, the last one at `highest` or above."""
    if highest <= 0:
        return [0.0, 1.0]
    magnitude = 10.0 ** math.floor(math.log10(highest))
    # Relative to the magnitude, `highest` is from 1 to below 10.
    step = next(magnitude * each for each in (0.25, 0.5, 1.0, 2.0, 2.5) if highest <= 5 * each * magnitude)
    return [number * step for number in range(math.ceil(highest / step - 1e-9) + 1)]


def _draw_panel(group: Element, panel: Panel, names: Sequence[str]) -> None:
    marks = ticks(max(panel.values))
    right = AXIS + SLOT * len(names)
    _text(group, AXIS, -26, panel.title, size=15, weight="bold")
    for mark in marks:
        y = PLOT * (1 - mark / marks[-1])
        line = {"x1": str(AXIS), "x2": str(right), "y1": f"{y:.2f}", "y2": f"{y:.2f}"}
        SubElement(group, "line", {**line, "stroke": GRID if mark else INK})
        _text(group, AXIS - 8, y + 4, f"{mark:,g}", size=12, fill=FAINT, anchor="end")
    for place, (name, value) in enumerate(zip(names, panel.values, strict=True)):
        middle = AXIS + SLOT * (place + 0.5)
        tall = PLOT * value / marks[-1]
        bar = {"x": f"{middle - BAR / 2:.2f}", "y": f"{PLOT - tall:.2f}", "width": str(BAR), "height": f"{tall:.2f}"}
        SubElement(group, "rect", {"class": "bar", **bar, "fill": COLOURS[place % len(COLOURS)]})
        _text(group, middle, PLOT - tall - 7, readable(value), size=14, weight="bold", anchor="middle")
        for line_number, word in enumerate(name.split()):
            _text(group, middle, PLOT + 20 + 16 * line_number, word, size=13, anchor="middle")


def _text(
    parent: Element,
    x: float,
    y: float,
    text: str,
    size: int,
    fill: str = INK,
    weight: str = "normal",
    anchor: str = "start",
) -> None:
    attributes = {"font-size": str(size), "fill": fill, "font-weight": weight, "text-anchor": anchor}
    SubElement(parent, "text", {"x": f"{x:g}", "y": f"{y:g}", **attributes}).text = text


def _description(note: str, names: Sequence[str], panels: Sequence[Panel]) -> str:
    figures = (
        f"{panel.title}: "
        + ", ".join(f"{name} {readable(value)}" for name, value in zip(names, panel.values, strict=True))
        for panel in panels
    )
    return f"Bar charts. {note}. {'. '.join(figures)}."
