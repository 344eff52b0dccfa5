"""Drawings of a report that are made of tables and lines: bars, the heat map, curves."""

import math
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from eagrctl.drawing.curves import Curve, Plot, stretches
from eagrctl.scoring.confusion import Counts
from eagrctl.scoring.report.contents import Figures
from eagrctl.scoring.report.html.markup import element
from eagrctl.scoring.report.rows import percent

STRONG = 0.7  # share of a row from which the heat map's ink is white: where white and black are equally far from it
CURVE_WIDTH, CURVE_HEIGHT = 300, 150  # of the area within the axes
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 28, 34


def scrolling(child: Element, label: str) -> Element:
    """A place that scrolls by itself where its content is wider than the page; the keyboard reaches it."""
    return element("div", child, class_="scroll", role="region", aria_label=label, tabindex=0)


def bar_table(figures: Sequence[Figures]) -> Element:
    """F1 and IoU of every class and region as bars, ours over the paper's where there is one."""
    head = element(
        "tr", element("th", "Class", scope="col"), *(element("th", name, scope="col") for name in ("F1", "IoU"))
    )
    body = []
    for each in figures:
        pairs = ((each.f1, each.published), (each.iou, each.published_iou))
        cells = [element("td", _bars(ours, paper), class_="bars") for ours, paper in pairs]
        body.append(element("tr", element("th", each.name, scope="row"), *cells))
    return element("table", element("thead", head), element("tbody", body), class_="figures")


def _bars(ours: float, paper: float) -> list[Element]:
    rows = [("ours", ours)] if math.isnan(paper) else [("ours", ours), ("paper", paper)]
    return [
        element(
            "span",
            element("span", f"{owner} ", class_="unseen"),
            element("span", element("span", style=f"width:{_width(value)}%"), class_="track", aria_hidden="true"),
            element("span", percent(value), class_="value"),
            class_=f"bar {owner}",
        )
        for owner, value in rows
    ]


def _width(value: float) -> str:
    return "0" if math.isnan(value) else f"{100 * value:.1f}"


def heat_map(counts: Counts, names: Sequence[str]) -> Element:
    """The confusion matrix, every row shared out in percent; a class that is labelled nowhere has an empty row."""
    headings = [element("th", element("span", name), scope="col") for name in names]
    head = [
        element("tr", element("td"), element("th", "Predicted as", scope="colgroup", colspan=len(names))),
        element("tr", element("th", "Labelled", scope="col", class_="stuck"), *headings),
    ]
    body = []
    for name, row in zip(names, counts, strict=True):
        total = int(row.sum())
        cells = [
            _heat(int(count), total, f"{name}, predicted as {other}") for other, count in zip(names, row, strict=True)
        ]
        body.append(element("tr", element("th", name, scope="row", class_="stuck"), *cells))
    return element("table", element("thead", head), element("tbody", body), class_="heat")


def _heat(count: int, total: int, what: str) -> Element:
    if not total:
        return element("td", title=f"{what}: never labelled")
    share = count / total
    text = f"{100 * share:.0f}" if share >= 0.005 else ""
    return element(
        "td",
        *([text] if text else []),
        style=f"--share:{share:.3f}",
        title=f"{what}: {count:,} of {total:,} pixels, {100 * share:.2f} %",
        **({"class_": "strong"} if share >= STRONG else {}),
    )


def curve_chart(plot: Plot) -> Element:
    """Curves over epochs as SVG, in the colours of the page."""
    width, height = _LEFT + CURVE_WIDTH + _RIGHT, _TOP + CURVE_HEIGHT + _BOTTOM
    marks = plot.marks()
    parts = [element("title", _description(plot))]
    for mark in marks:
        y = _y(mark, marks)
        parts.append(element("line", class_="grid", x1=_LEFT, x2=_LEFT + CURVE_WIDTH, y1=_short(y), y2=_short(y)))
        parts.append(_text(_LEFT - 5, y + 4, f"{mark:g}", "end"))
    parts += [_text(_x(plot, place), _TOP + CURVE_HEIGHT + 15, f"{place}", "middle") for place in plot.place_marks(6)]
    parts.append(_text(_LEFT + CURVE_WIDTH, _TOP + CURVE_HEIGHT + 29, plot.along, "end"))
    left = float(_LEFT)
    for number, curve in enumerate(plot.curves):
        parts += _curve(plot, curve, marks, number)
        parts.append(element("line", class_=f"curve c{number}", x1=_short(left), x2=_short(left + 16), y1=12, y2=12))
        parts.append(_text(left + 20, 16, curve.label, "start"))
        left += 40 + 6.2 * len(curve.label)
    chart = element("svg", parts, viewBox=f"0 0 {width} {height}", role="img")
    return element("figure", element("figcaption", plot.title), chart, class_="curves")


def _curve(plot: Plot, curve: Curve, marks: Sequence[float], number: int) -> Iterable[Element]:
    for piece in stretches(plot, curve):
        points = [(_x(plot, place), _y(value, marks)) for place, value in piece]
        path = " ".join(f"{_short(x)},{_short(y)}" for x, y in points)
        yield element("polyline", class_=f"curve c{number}", points=path)
        for x, y in points if len(plot.places) <= 20 or len(points) == 1 else ():
            yield element("circle", class_=f"dot c{number}", cx=_short(x), cy=_short(y), r=2.5)


def _description(plot: Plot) -> str:
    ends = (
        f"{curve.name} goes from {finite[0]:.3g} to {finite[-1]:.3g}"
        for curve in plot.curves
        if (finite := [value for value in curve.values if math.isfinite(value)])
    )
    return f"{plot.title}, {plot.along} {plot.places[0]} to {plot.places[-1]}: {'; '.join(ends)}"


def _x(plot: Plot, place: float) -> float:
    return _LEFT + CURVE_WIDTH * plot.across(place)


def _y(value: float, marks: Sequence[float]) -> float:
    return float(_TOP + CURVE_HEIGHT * (marks[-1] - value) / (marks[-1] - marks[0]))


def _text(x: float, y: float, text: str, anchor: str) -> Element:
    return element("text", text, x=_short(x), y=_short(y), text_anchor=anchor)


def _short(value: float) -> str:
    return f"{np.round(value, 1):g}"
