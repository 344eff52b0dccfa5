"""Seed -> face: what makes one painted face differ from another, and how it is drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[float, float, float]
Capsule = tuple[float, float, float, float, float]  # from x, y to x, y, radius

INK: Colour = (0.07, 0.05, 0.05)
_SKINS = ((0.98, 0.87, 0.79), (0.93, 0.76, 0.64), (0.80, 0.60, 0.46), (0.60, 0.41, 0.29), (0.36, 0.23, 0.17))
_HAIRS = (
    (0.10, 0.08, 0.08),
    (0.25, 0.16, 0.11),
    (0.45, 0.29, 0.18),
    (0.62, 0.33, 0.16),
    (0.85, 0.70, 0.44),
    (0.72, 0.71, 0.70),
)
_IRISES = ((0.28, 0.16, 0.09), (0.22, 0.13, 0.08), (0.30, 0.48, 0.62), (0.35, 0.47, 0.28), (0.42, 0.43, 0.45))


def times(colour: Colour, factor: float) -> Colour:
    """A colour brightened or darkened."""
    red, green, blue = (min(1.0, channel * factor) for channel in colour)
    return red, green, blue


@dataclass(frozen=True)
class Hairstyle:
    """How hair lies around a head, in units of the head frame."""

    beside: float  # volume at the sides of the skull
    above: float  # and on top
    length: float  # the v where it ends
    line: float  # the v where it begins above the forehead
    side: float  # the v that this line reaches at the temples
    power: float  # how abruptly it does
    parting: float = 0.0
    jag: float = 0.0
    curl: tuple[float, float, float] = (0.0, 1.0, 0.0)  # amplitude, waves around the head, phase


class PaintedFace:
    """All that is drawn from a generator. Lengths are in surface units, angles in radians, colours RGB from 0 to 1.

    The order of the draws decides which face a seed gives.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        draw = _Draw(rng)
        self.skin, self.hair = draw.skin(), draw.hair()
        if draw.chance(0.15):
            self.hair = times(self.skin, draw.between(0.7, 1.0))
        self.lip = _apart(draw.lip(self.skin), self.skin, 0.13)
        self.brow = _apart(times(self.hair, draw.between(0.5, 0.9)), self.skin, 0.2)
        # Colours that the face itself has turn up around it, so that none of them tells a part.
        palette = [self.skin, self.skin, self.hair, self.lip, draw.skin(), draw.hair()]
        palette += [draw.any_colour() for _ in range(3)]
        opened = draw.between(0.08, 0.14) if draw.chance(0.94) else draw.between(0.03, 0.06)
        azimuth, slant = draw.between(0, 2 * math.pi), draw.between(0.2, 0.8)
        self.nose_base = draw.between(0.34, 0.44)

        self.roll = math.radians(draw.near(0, 8, 20))
        self.yaw = math.radians(draw.near(0, 13, 28))
        self.pitch = math.radians(draw.near(0, 6, 14))
        self.scale = draw.between(0.4, 0.49)  # frame heights per surface unit
        self.centre = (draw.between(0.44, 0.56), draw.between(0.46, 0.54))  # of the head, in frame heights
        self.perspective = (draw.near(0, 0.04, 0.09), draw.near(0, 0.04, 0.09))

        self.width = draw.between(0.66, 0.82)
        self.jaw = draw.between(0.05, 0.3)  # how much the face narrows towards the chin
        self.squareness = draw.between(2.0, 2.7)  # exponent of the outline: 2 is an ellipse
        self.blush = draw.between(0, 0.4)
        self.freckles = draw.between(0.3, 0.8) if draw.chance(0.15) else 0.0
        self.beard = draw.between(0.15, 0.9) if draw.chance(0.2) else 0.0  # opacity; 0 is clean-shaven
        self.beard_line = draw.between(0.45, 0.6)

        self.eye_gap = draw.between(0.3, 0.37)  # from the nose's axis to an eye's centre
        self.eye_width = draw.between(0.16, 0.21)
        self.eye_open = (opened, opened * draw.between(0.3, 0.6) if draw.chance(0.05) else opened)  # left, right
        self.eye_tilt = draw.near(-0.05, 0.08, 0.2)
        self.gaze = (draw.near(0, 0.03, 0.06), draw.near(0, 0.012, 0.025))
        self.iris = times(draw.one_of(_IRISES), draw.between(0.8, 1.25))
        self.sclera = draw.between(0.68, 0.95)
        self.lashes = draw.between(0.006, 0.018)
        self.eye_shadow = draw.any_colour()
        self.eye_shadow_opacity = draw.between(0.2, 0.6) if draw.chance(0.2) else 0.0

        self.brow_height = -draw.between(0.22, 0.28)
        self.brow_width = draw.between(0.18, 0.23)
        self.brow_thickness = draw.between(0.055, 0.095)
        self.brow_arch = draw.between(0.0, 0.06)
        self.brow_slope = draw.near(0, 0.025, 0.05)

        self.nose_top = draw.between(-0.08, 0.0)
        self.nose_bridge = draw.between(0.06, 0.09)
        self.nose_width = draw.between(0.15, 0.21)
        self.nose_depth = draw.between(0.14, 0.26)
        self.nose_line = draw.between(0.45, 0.85)  # opacity of the outline

        self.mouth_height = self.nose_base + draw.between(0.2, 0.25)
        self.mouth_width = draw.between(0.24, 0.32)
        self.mouth_gap = draw.between(0.04, 0.2) if draw.chance(0.5) else 0.0  # 0 is closed
        self.smile = draw.near(0.02, 0.035, 0.08)
        self.lips = (draw.between(0.07, 0.11), draw.between(0.085, 0.135))  # thickness of the upper and the lower
        self.teeth = draw.between(0.3, 0.9) if draw.chance(0.6) else 0.0  # part of the gap they fill

        self.hairstyle = draw.hairstyle()  # None is bald
        self.sheen = draw.between(0, 0.5)

        self.cloth = draw.one_of(palette)
        self.glasses = draw.one_of((INK, draw.any_colour(), (0.7, 0.6, 0.35))) if draw.chance(0.2) else None
        # Radius, exponent, thickness.
        self.glasses_shape = (draw.between(0.17, 0.23), draw.between(2.0, 4.5), draw.between(0.01, 0.025))
        self.lens = draw.any_colour()
        self.lens_opacity = draw.between(0.05, 0.3)
        self.occluder: tuple[Capsule, ...] = draw.occluder() if draw.chance(0.2) else ()  # in the head frame
        self.occluder_colour = draw.one_of(palette)
        self.occluder_stripes = draw.between(0, 0.2) if draw.chance(0.4) else 0.0

        self.backdrop = (draw.one_of(palette), draw.one_of(palette))
        self.backdrop_angle = draw.between(0, math.pi / 2)
        self.backdrop_mottle = draw.between(0, 0.25)
        # In frame heights.
        self.backdrop_shapes = tuple((draw.blob(), draw.one_of(palette)) for _ in range(draw.count(0, 7)))

        # Towards the lamp: right, down, to the viewer.
        self.light = (slant * math.cos(azimuth), -abs(slant * math.sin(azimuth)), math.sqrt(1 - slant * slant))
        self.ambient = draw.between(0.35, 0.75)
        self.cast = (draw.between(0.85, 1.1), draw.between(0.9, 1.05), draw.between(0.8, 1.1))
        self.gradient = (draw.near(0, 0.1, 0.2), draw.near(0, 0.1, 0.2))
        self.contrast = draw.between(0.6, 0.8) if draw.chance(0.15) else draw.between(0.8, 1.15)
        self.brightness = draw.between(0.44, 0.58)
        self.blur = draw.between(0, 0.004)  # in frame heights
        self.noise = draw.between(0.005, 0.028)
        self.texture = draw.count(0, 2**31)  # seed of the textures


def _luminance(colour: Colour) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def _apart(colour: Colour, other: Colour, least: float) -> Colour:
    """The colour, moved until its luminance differs from another's: a part that nothing shows cannot be learnt."""
    here, there = _luminance(colour), _luminance(other)
    if abs(here - there) >= least:
        return colour
    target = there - least if there > 0.3 else there + least
    red, green, blue = (min(1.0, max(0.0, channel + target - here)) for channel in colour)
    return red, green, blue


class _Draw:
    """Random choices in the painter's words."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def between(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def near(self, middle: float, spread: float, limit: float) -> float:
        return middle + float(np.clip(self._rng.normal(0, spread), -limit, limit))

    def count(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self._rng.random() < probability)

    def one_of(self, colours: Sequence[Colour]) -> Colour:
        return colours[self.count(0, len(colours))]

    def any_colour(self) -> Colour:
        return self.between(0.05, 0.95), self.between(0.05, 0.95), self.between(0.05, 0.95)

    def skin(self) -> Colour:
        at = self.between(0, len(_SKINS) - 1)
        red, green, blue = (float(np.interp(at, range(len(_SKINS)), channel)) for channel in zip(*_SKINS, strict=True))
        return red * self.between(0.94, 1.02), green, blue * self.between(0.88, 1.1)

    def hair(self) -> Colour:
        return self.any_colour() if self.chance(0.12) else times(self.one_of(_HAIRS), self.between(0.7, 1.2))

    def lip(self, skin: Colour) -> Colour:
        if self.chance(0.2):
            return self.one_of(((0.75, 0.08, 0.15), (0.5, 0.1, 0.25), (0.9, 0.4, 0.5), (0.35, 0.15, 0.15)))
        redness = self.between(0.6, 0.85)
        return skin[0] * self.between(0.85, 0.98), skin[1] * redness, skin[2] * (redness + 0.05)

    def hairstyle(self) -> Hairstyle | None:
        """Short or long, straight or curly, plain, with a fringe, parted, or receding; None for bald."""
        long, style = self.chance(0.5), self.count(0, 12)
        curl = (self.between(0.01, 0.045), self.between(7, 15), self.between(0, 6)) if self.chance(0.35) else (0, 1, 0)
        plain = Hairstyle(
            beside=self.between(0.02, 0.2),
            above=self.between(0.04, 0.25),
            length=self.between(0.7, 1.9) if long else self.between(-0.15, 0.25),
            line=-self.between(0.52, 0.72),
            side=self.between(0.1, 1.2) if long else self.between(-0.2, 0.2),
            power=self.between(2.5, 6),
            curl=curl,
        )
        if style < 3:
            return replace(plain, line=-self.between(0.26, 0.42), jag=self.between(0.0, 0.06))
        if style < 7:
            # A parting off the middle hangs hair over the other eye, so it must not reach as low.
            parting, side, power = self.between(-0.36, 0.36), self.between(0, 0.6), self.between(2, 3)
            return replace(plain, parting=parting, side=side, power=power)
        if style == 10:
            return replace(plain, line=-1.3, length=self.between(-0.1, 0.2), beside=0.05, above=-0.05)
        return None if style == 11 else plain

    def blob(self) -> Capsule:
        x, y, turn = self.between(0, 1), self.between(0, 1), self.between(0, math.pi)
        reach = self.between(0, 0.5)
        return x, y, x + reach * math.cos(turn), y + reach * math.sin(turn), self.between(0.02, 0.15)

    def occluder(self) -> tuple[Capsule, ...]:
        """A bar, a cup, a microphone, a hand or a scarf, in the head frame, from outside or below into the face."""
        kind, side, tip = self.count(0, 5), 1 if self.chance(0.5) else -1, self.between(0.3, 0.6)
        low = self.between(0.75, 0.95)
        if kind == 0:
            height = self.between(-0.5, 0.9)
            return ((side * tip, height, side * 2.5, height + self.between(-0.8, 0.8), self.between(0.04, 0.1)),)
        if kind == 1:
            return ((side * (tip - 0.1), low, side * tip, 2.5, self.between(0.16, 0.24)),)
        if kind == 2:
            return (side * 0.15, low, side * 0.18, low + 0.1, 0.15), (side * 0.18, low, side * 0.6, 2.5, 0.06)
        if kind == 3:
            knuckles = [(side * (0.75 + 0.04 * k), 0.35 + 0.15 * k) for k in range(4)]
            fingers = [(side * (tip - 0.03 * k), 0.25 + 0.15 * k, x, y, 0.065) for k, (x, y) in enumerate(knuckles)]
            return (*fingers, (side * 0.95, 0.55, side * 1.1, 1.8, 0.26))
        return (-1.2, low + 0.35, 0, low + 0.3, 0.25), (0, low + 0.3, 1.2, low + 0.35, 0.25)
