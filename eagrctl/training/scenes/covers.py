"""What hides a part of a face: painted face masks, sunglasses, hands, hats, microphones, and patches of anything.

All is painted in the head's own frame, before the head is turned and shrunk. Places are told in shares of the face's
ellipse: (0, 0) is its middle, (1, 0) its edge on the viewer's right, (0, 1) the chin, (0, -1) the brows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from eagrctl.arrays import Landmarks

MASK = ((-1.02, -0.1), (-0.5, -0.14), (0.0, -0.24), (0.5, -0.14), (1.02, -0.1), (0.95, 0.5), (0.55, 0.95), (0.0, 1.1))
CLOTHS = ((238, 240, 242), (150, 190, 215), (25, 25, 28), (120, 160, 190), (210, 215, 220))  # of face masks


@dataclass(frozen=True)
class Frame:
    """A face's ellipse in a picture.

    Attributes:
        middle: (2,) float64, in pixels.
        axes: (2, 2) float64: the half axes, along the face and down, as rows.
    """

    middle: NDArray[np.float64]
    axes: NDArray[np.float64]

    def at(
        self, places: Sequence[tuple[float, float] | NDArray[np.float64]] | NDArray[np.float64]
    ) -> list[tuple[float, float]]:
        """Where places, in shares of the ellipse, lie in the picture."""
        return [(float(x), float(y)) for x, y in self.middle + np.asarray(places, np.float64) @ self.axes]

    @property
    def reach(self) -> float:
        """Half the face's width, in pixels."""
        return float(np.hypot(*self.axes[0]))


Painter = Callable[[ImageDraw.ImageDraw, ImageDraw.ImageDraw, Frame, np.random.Generator, Image.Image], None]


def covered(
    head: Image.Image, opacity: Image.Image, frame: Frame, points: Landmarks, random: np.random.Generator
) -> tuple[Image.Image, Image.Image, Landmarks]:
    """Paint one thing over a face.

    Args:
        head: RGB.
        opacity: grey, of the same size.
        frame: the face's.
        points: (5, 2) float64.
        random: what decides.

    Returns:
        Both pictures anew, and the points, NaN where they are hidden now.
    """
    painter = _PAINTERS[random.choice(len(_PAINTERS), p=_CHANCES)]
    layer, hides = head.copy(), Image.new("L", head.size)
    painter(ImageDraw.Draw(layer), ImageDraw.Draw(hides), frame, random, head)
    soft = hides.filter(ImageFilter.GaussianBlur(0.6))
    seen = Image.composite(layer, head, soft)
    both = np.maximum(np.asarray(opacity), np.asarray(soft))
    return seen, Image.fromarray(both), hidden_under(np.asarray(hides), points)


def hidden_under(hides: NDArray[np.uint8], points: Landmarks) -> Landmarks:
    """The points, NaN where something opaque, (H, W) uint8, lies over them."""
    left = points.copy()
    for row, point in enumerate(points):
        if np.isfinite(point).all():
            x, y = (
                int(np.clip(round(float(value)), 0, end - 1))
                for value, end in zip(point, hides.shape[::-1], strict=True)
            )
            if hides[y, x] > 127:
                left[row] = np.nan
    return left


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = random.integers(0, 256, 3)
    return int(red), int(green), int(blue)


def _face_mask(
    layer: ImageDraw.ImageDraw, hides: ImageDraw.ImageDraw, frame: Frame, random: np.random.Generator, head: Image.Image
) -> None:
    outline = np.array([*MASK, (-0.55, 0.95), (-0.95, 0.5)])
    outline += random.normal(0, 0.03, outline.shape)
    outline[:5, 1] += random.uniform(-0.12, 0.25)  # worn high, or below the nose
    cloth = CLOTHS[random.integers(len(CLOTHS))] if random.random() < 0.75 else _colour(random)
    width = max(1, round(0.04 * frame.reach))
    for side, end in ((-1, 4), (1, 0)):
        strap = frame.at([(side * 1.0, 0.0), (side * 1.25, -0.45 + 0.05 * end)])
        layer.line(strap, fill=cloth, width=width)
        hides.line(strap, fill=255, width=width)
    shape = frame.at(outline)
    layer.polygon(shape, fill=cloth)
    hides.polygon(shape, fill=255)
    darker = tuple(int(0.82 * part) for part in cloth)
    for fold in range(int(random.integers(0, 4))):
        y = 0.15 + 0.22 * fold
        layer.line(frame.at([(-0.9, y), (0.0, y + 0.06), (0.9, y)]), fill=darker, width=max(1, width // 2))


def _sunglasses(
    layer: ImageDraw.ImageDraw, hides: ImageDraw.ImageDraw, frame: Frame, random: np.random.Generator, head: Image.Image
) -> None:
    dark = tuple(int(part) for part in random.integers(0, 60, 3)) if random.random() < 0.85 else _colour(random)
    x, y = random.uniform(0.38, 0.46), random.uniform(-0.72, -0.6)
    wide, tall = random.uniform(0.28, 0.42), random.uniform(0.2, 0.34)
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    power = random.choice([1.0, 0.6])  # round, or nearly square
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    circle = np.sign(circle) * np.abs(circle) ** power
    for side in (-1, 1):
        lens = frame.at(circle * [wide, tall] + [side * x, y])
        layer.polygon(lens, fill=dark)
        hides.polygon(lens, fill=255)
        temple = frame.at([(side * (x + wide), y), (side * 1.05, y - 0.03)])
        for draw, fill in ((layer, dark), (hides, 255)):
            draw.line(temple, fill=fill, width=max(1, round(0.06 * frame.reach)))
    bridge = frame.at([(-x + wide, y - 0.05), (x - wide, y - 0.05)])
    for draw, fill in ((layer, dark), (hides, 255)):
        draw.line(bridge, fill=fill, width=max(1, round(0.06 * frame.reach)))


def _hand(
    layer: ImageDraw.ImageDraw, hides: ImageDraw.ImageDraw, frame: Frame, random: np.random.Generator, head: Image.Image
) -> None:
    cheek = frame.at([(random.choice([-0.5, 0.5]), random.uniform(-0.1, 0.4))])[0]
    x, y = (int(np.clip(value, 0, end - 1)) for value, end in zip(cheek, head.size, strict=True))
    pixel = head.getpixel((x, y))
    assert isinstance(pixel, tuple)
    skin = np.array(pixel) * random.uniform(0.75, 1.1)
    from_side, height = random.choice([-1.0, 1.0]), random.uniform(-0.7, 0.9)
    direction = random.uniform(-0.6, 0.6)
    for finger in range(4):
        tint = tuple(int(part) for part in np.clip(skin * random.uniform(0.9, 1.05), 0, 255))
        tip = (from_side * random.uniform(-0.3, 0.3), height + 0.16 * finger)
        knuckle = (from_side * 1.3, height + 0.22 * finger + direction)
        line = frame.at([tip, knuckle])
        width = max(1, round(0.2 * frame.reach))
        for draw, fill in ((layer, tint), (hides, 255)):
            draw.line(line, fill=fill, width=width)
            for at in line:
                draw.ellipse((at[0] - width / 2, at[1] - width / 2, at[0] + width / 2, at[1] + width / 2), fill=fill)


def _hat(
    layer: ImageDraw.ImageDraw, hides: ImageDraw.ImageDraw, frame: Frame, random: np.random.Generator, head: Image.Image
) -> None:
    colour, low = _colour(random), random.uniform(-1.1, -0.75)
    brim, tall = random.uniform(1.05, 1.9), random.uniform(0.8, 1.4)
    top = low - tall
    crown = [(-1.1, low), (-0.95, top), (-0.4, top - 0.15), (0.4, top - 0.15), (0.95, top), (1.1, low)]
    edge = frame.at([(-brim, low + 0.1), (0, low - 0.12), (brim, low + 0.1), (0, low + 0.22)])
    for draw, fill in ((layer, colour), (hides, 255)):
        draw.polygon(frame.at(crown), fill=fill)
        draw.polygon(edge, fill=fill)


def _microphone(
    layer: ImageDraw.ImageDraw, hides: ImageDraw.ImageDraw, frame: Frame, random: np.random.Generator, head: Image.Image
) -> None:
    shade = int(random.integers(10, 90))
    place = np.array([random.uniform(-0.5, 0.5), random.uniform(0.35, 0.9)])
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ball = frame.at(np.stack([np.cos(angles), np.sin(angles)], 1) * [0.24, 0.2] + place)
    stick = frame.at([place, place + np.array([random.uniform(-0.8, 0.8), 1.4])])
    for draw, fill in ((layer, (shade, shade, shade)), (hides, 255)):
        draw.line(stick, fill=fill, width=max(1, round(0.18 * frame.reach)))
        draw.polygon(ball, fill=fill)


def _patch(
    layer: ImageDraw.ImageDraw, hides: ImageDraw.ImageDraw, frame: Frame, random: np.random.Generator, head: Image.Image
) -> None:
    # A slab that comes in from one side and leaves at least a half.
    angle, depth = random.uniform(0, 2 * np.pi), random.uniform(0.1, 0.75)
    inward = np.array([np.cos(angle), np.sin(angle)])
    beside = np.array([-inward[1], inward[0]]) * random.uniform(0.8, 2.0)
    near, far = inward * depth, inward * 2.2
    slab = frame.at([near - beside, near + beside, far + beside, far - beside])
    layer.polygon(slab, fill=_colour(random))
    hides.polygon(slab, fill=255)


_PAINTERS: tuple[Painter, ...] = (_face_mask, _sunglasses, _hand, _hat, _microphone, _patch)
_CHANCES = (0.34, 0.16, 0.14, 0.12, 0.08, 0.16)
