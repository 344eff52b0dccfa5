"""Quantities over time, as charts and reports draw them; training hands them over without importing matplotlib."""

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
