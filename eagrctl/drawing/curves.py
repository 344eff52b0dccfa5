"""Quantities over time as curves: in a picture here, in a terminal in `eagrctl.drawing.terminal_chart`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from eagrctl.drawing.chart import COLOURS, FAINT, GRID, INK

WIDTH, HEIGHT = 560, 300  # of the area within a plot's axes, in pixels
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 46, 46  # room around it: ticks' numbers, title and legend, places
HEADING = 62  # above all plots
FINER = 3  # Pillow draws lines with steps: they are drawn this much larger, and shrunk
DOTTED = 40  # places up to which each is marked

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_INKS = (COLOURS[3], COLOURS[1], COLOURS[2], COLOURS[0])  # most different first


@dataclass(frozen=True)
class Curve:
    """One quantity.

    Attributes:
        name: what it is.
        values: one per place of its plot; those that are not finite are left out.
    """

    name: str
    values: tuple[float, ...]

    @property
    def label(self) -> str:
        """Its name, and its last finite value if there is one."""
        last = next((value for value in reversed(self.values) if math.isfinite(value)), None)
        return self.name if last is None else f"{self.name} {last:.3g}"


@dataclass(frozen=True)
class Plot:
    """Quantities that share their axes.

    Attributes:
        title: what they are, with their unit.
        along: what the places count.
        places: whole numbers, ascending; at least one.
        curves: each with a value per place.
    """

    title: str
    along: str
    places: tuple[int, ...]
    curves: tuple[Curve, ...]

    def marks(self) -> list[float]:
        """Round numbers along the upright axis; the first and the last are its ends."""
        finite = [value for curve in self.curves for value in curve.values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            low, high = low - (abs(low) / 10 or 1), high + (abs(high) / 10 or 1)
        step = _step(high - low, 5)
        return [step * number for number in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]

    def place_marks(self, most: int = 8) -> list[int]:
        """Round places along the level axis, all within its ends."""
        first, last = self.places[0], self.places[-1]
        step = max(1, math.ceil(_step(last - first, most))) if last > first else 1
        inner = range(-(-first // step) * step, last + 1, step)
        return list(inner) or [first]

    def across(self, place: float) -> float:
        """How far along the level axis a place is, 0..1; a place that is alone is in the middle."""
        first, last = self.places[0], self.places[-1]
        return (place - first) / (last - first) if last > first else 0.5


def stretches(plot: Plot, curve: Curve) -> list[list[tuple[int, float]]]:
    """A curve as (place, value), cut where a value is not finite."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for place, value in zip(plot.places, curve.values, strict=True):
        if math.isfinite(value):
            pieces[-1].append((place, value))
        else:
            pieces.append([])
    return [piece for piece in pieces if piece]


def curves_picture(title: str, note: str, plots: Sequence[Plot]) -> Image.Image:
    """Draw plots side by side.

    Args:
        title: of the picture.
        note: a line under the title.
        plots: at least one.

    Returns:
        RGB, as high as one plot and as wide as all.
    """
    slot = LEFT + WIDTH + RIGHT
    sheet = Image.new("RGB", (slot * len(plots), HEADING + TOP + HEIGHT + BOTTOM), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((LEFT, 14), title, INK, _font(20))
    draw.text((LEFT, 42), note, FAINT, _font(14))
    for number, plot in enumerate(plots):
        _draw_plot(sheet, plot, number * slot + LEFT, HEADING + TOP)
    return sheet


def _draw_plot(sheet: Image.Image, plot: Plot, left: int, top: int) -> None:
    draw, small = ImageDraw.Draw(sheet), _font(13)
    marks = plot.marks()
    for mark in marks:
        y = top + _down(mark, marks, HEIGHT)
        draw.line((left, y, left + WIDTH, y), GRID)
        draw.text((left - 8, y), f"{mark:g}", FAINT, small, anchor="rm")
    for place in plot.place_marks():
        x = left + round(plot.across(place) * WIDTH)
        draw.line((x, top + HEIGHT, x, top + HEIGHT + 4), INK)
        draw.text((x, top + HEIGHT + 8), f"{place}", FAINT, small, anchor="mt")
    draw.text((left + WIDTH, top + HEIGHT + 26), plot.along, FAINT, small, anchor="rt")
    draw.line((left, top + HEIGHT, left + WIDTH, top + HEIGHT), INK)
    _draw_curves(sheet, plot, marks, left, top)
    draw.text((left, top - 32), plot.title, INK, _font(15))
    # The legend, from the right: its last entry ends where the plot does.
    x = left + WIDTH
    for number, curve in reversed(list(enumerate(plot.curves))):
        x -= round(small.getlength(curve.label))
        draw.text((x, top - 22), curve.label, INK, small, anchor="lm")
        draw.line((x - 28, top - 22, x - 6, top - 22), _INKS[number % len(_INKS)], 3)
        x -= 44


def _draw_curves(sheet: Image.Image, plot: Plot, marks: Sequence[float], left: int, top: int) -> None:
    """Draw the curves themselves, finely, over what is there; with room for lines on the plot's very edge."""
    room = 6
    box = (left - room, top - room, left + WIDTH + room, top + HEIGHT + room)
    under = sheet.crop(box)
    fine = under.resize((under.width * FINER, under.height * FINER), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(fine)
    for number, curve in reversed(list(enumerate(plot.curves))):  # the first one lies on top
        ink = _INKS[number % len(_INKS)]
        for piece in stretches(plot, curve):
            points = [
                (FINER * (room + plot.across(place) * WIDTH), FINER * (room + _down(value, marks, HEIGHT)))
                for place, value in piece
            ]
            draw.line(points, ink, round(2.2 * FINER), joint="curve")
            for x, y in points if len(plot.places) <= DOTTED or len(points) == 1 else ():
                reach = 3.2 * FINER
                draw.ellipse((x - reach, y - reach, x + reach, y + reach), ink)
    sheet.paste(fine.resize(under.size, Image.Resampling.BOX), box[:2])


def _down(value: float, marks: Sequence[float], height: int) -> float:
    """How far below the upper end of the upright axis a value is, in pixels."""
    return height * (marks[-1] - value) / (marks[-1] - marks[0])


def _step(span: float, most: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that divides a span into at most so many parts."""
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    return next(magnitude * each for each in (1.0, 2.0, 5.0, 10.0, 20.0) if span <= most * each * magnitude)


def _font(size: int) -> Font:
    return ImageFont.load_default(size=size)
