"""A parsed photo to look at: the photo under its classes' colours, over a legend."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from eagrctl.arrays import Pixels
from eagrctl.data.labels import BACKGROUND, LabelSet, edge_mask, in_words

Box = tuple[float, float, float, float]

# The longer side of an overlay: photos are shrunk to the one, and small ones enlarged to the other, in pixels.
LONGEST, SHORTEST = 1600, 640

# Of a pixel with a class, this much is the class's colour; of one on a border between classes, this much is white.
COLOUR, BORDER = 0.5, 0.75

# Drawn this many times larger, then shrunk, so that borders are smooth.
_FINER = 2

_INK, _PAPER = (31, 36, 48), (255, 255, 255)


def overlay(photo: Pixels, labels: Pixels, label_set: LabelSet, boxes: Sequence[Box | None] = ()) -> Image.Image:
    """Draw a photo under the colours of its classes, over a legend of those that occur.

    Boxes are drawn with their numbers where there are several; a single one is not drawn.

    Args:
        photo: (H, W, 3) uint8, RGB.
        labels: (H, W) uint8.
        label_set: the classes.
        boxes: of each face: left, top, right and bottom in the photo's pixels; None where it has none.

    Returns:
        A picture as wide as the photo, which is brought to at most `LONGEST` and at least `SHORTEST` pixels.
    """
    height, width = labels.shape
    longest = max(height, width)
    scale = min(LONGEST, max(SHORTEST, longest)) / longest
    size = max(1, round(height * scale)), max(1, round(width * scale))
    picture = Image.fromarray(coloured(photo, labels, label_set, size))
    if len(boxes) > 1:
        _draw_boxes(picture, boxes, scale)
    counts = np.bincount(labels.reshape(-1), minlength=256)[: len(label_set)]
    occurring = [number for number, count in enumerate(counts) if count and number != BACKGROUND]
    below = legend(label_set, occurring, picture.width)
    sheet = Image.new("RGB", (picture.width, picture.height + below.height), _PAPER)
    sheet.paste(picture)
    sheet.paste(below, (0, picture.height))
    return sheet


def coloured(photo: Pixels, labels: Pixels, label_set: LabelSet, size: tuple[int, int] | None = None) -> Pixels:
    """Lay the colours of classes over a photo, and thin white lines between them; background stays as it is.

    Args:
        photo: (H, W, 3) uint8, RGB.
        labels: (H, W) uint8.
        label_set: the classes.
        size: height and width of the result; the photo's unless given.

    Returns:
        (height, width, 3) uint8.
    """
    height, width = size or labels.shape
    shown = Image.fromarray(photo)
    if shown.size != (width, height):
        shown = shown.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    pixels = np.array(shown)
    fine = Image.fromarray(labels).resize((_FINER * width, _FINER * height), Image.Resampling.NEAREST)
    box = fine.getbbox()  # of all that is not background, which is 0
    if box is None:
        return pixels
    # A border lies on both its sides.
    left, top = (max(0, edge - 1) // _FINER for edge in box[:2])
    right, bottom = (-(-min(edge + 1, end) // _FINER) for edge, end in zip(box[2:], fine.size, strict=True))
    places = np.asarray(fine)[_FINER * top : _FINER * bottom, _FINER * left : _FINER * right]
    # Colours lie weighted beside their weights, so that none bleeds into another or the background when shrunk; all
    # four in one number, because moving one number is faster than moving four.
    weights = np.full(256, COLOUR)
    weights[BACKGROUND] = 0
    layer = _weighted(palette(label_set), weights)[places]
    layer[edge_mask(places)] = _weighted(np.array([_PAPER]), np.array([BORDER]))
    small = Image.fromarray(layer.view(np.uint8).reshape(*layer.shape, 4), "RGBX").reduce(_FINER)
    weighted = np.asarray(small)
    part = pixels[top:bottom, left:right]
    part[:] = weighted[..., :3] + (part * (255 - weighted[..., 3:].astype(np.uint16)) // 255).astype(np.uint8)
    return pixels


def palette(label_set: LabelSet) -> Pixels:
    """(256, 3) uint8: the colours of classes by id, and white for what is none."""
    colours = np.full((256, 3), 255, np.uint8)
    colours[: len(label_set)] = label_set.colours
    return colours


def _weighted(colours: NDArray[np.integer], weights: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Colours, (N, 3), times their weights, (N,), and the weights, as the bytes of a number each: (N,)."""
    parts = np.column_stack([colours * weights[:, None], 255 * weights])
    return np.rint(parts).astype(np.uint8).view(np.uint32)[:, 0]


def legend(label_set: LabelSet, classes: Sequence[int], width: int, letters: int | None = None) -> Image.Image:
    """Name classes beside their colours, in columns.

    Args:
        label_set: all classes.
        classes: ids of those to name; a legend of none is a thin white strip.
        width: of the picture, in pixels; a column that is wider is cut off.
        letters: their size, in pixels; goes with the width unless given.
    """
    letters = letters or _letters(width)
    font = ImageFont.load_default(size=letters)
    gap = letters // 2
    names = [in_words(label_set.names[number]) for number in classes]
    cell = max((math.ceil(font.getlength(name)) for name in names), default=0) + letters + 3 * gap
    margin = letters
    across = max(1, (width - 2 * margin + gap) // cell)
    rows = -(-len(names) // across)
    # No row is left with a single class where the others are full: as many columns as the rows need.
    across = -(-len(names) // rows) if rows else across
    line = round(1.6 * letters)
    picture = Image.new("RGB", (width, 2 * gap + rows * line), _PAPER)
    draw = ImageDraw.Draw(picture)
    for place, (number, name) in enumerate(zip(classes, names, strict=True)):
        left, middle = margin + place % across * cell, gap + place // across * line + line // 2
        top = middle - letters // 2
        chip = (left, top, left + letters, top + letters)
        draw.rounded_rectangle(chip, radius=letters // 5, fill=label_set.colours[number], outline=_INK)
        draw.text((left + letters + gap, middle), name, _INK, font, anchor="lm")
    return picture


def _draw_boxes(picture: Image.Image, boxes: Sequence[Box | None], scale: float) -> None:
    """Frame the faces that a detector found, in place, and number them from 1."""
    draw = ImageDraw.Draw(picture)
    letters = round(0.8 * _letters(picture.width))
    font = ImageFont.load_default(size=letters)
    for number, box in enumerate(boxes, 1):
        if box is None:
            continue
        left, top, right, bottom = (round(edge * scale) for edge in box)
        draw.rectangle((left, top, right, bottom), outline=_PAPER, width=max(1, letters // 10))
        tag = math.ceil(font.getlength(str(number))) + letters, round(1.3 * letters)
        # Above the box, so that a small face is not hidden; inside, where there is no room above.
        under = top if top >= tag[1] else top + tag[1]
        draw.rectangle((left, under - tag[1], left + tag[0], under), fill=_PAPER)
        draw.text((left + tag[0] // 2, under - tag[1] // 2), str(number), _INK, font, anchor="mm")


def _letters(width: int) -> int:
    """Size of letters in a picture as wide as this, in pixels."""
    return min(26, max(13, round(0.019 * width)))
