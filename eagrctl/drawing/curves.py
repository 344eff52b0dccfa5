"""Quantities over time, as charts and reports draw them."""

import math
from dataclasses import dataclass


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


def _step(span: float, most: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that divides a span into at most so many parts."""
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    return next(magnitude * each for each in (1.0, 2.0, 5.0, 10.0, 20.0) if span <= most * each * magnitude)
