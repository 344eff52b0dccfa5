"""Sheets of faces: photos beside their label maps, over a legend of the classes."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from eagrctl.arrays import Pixels
from eagrctl.data.labels import LabelSet
from eagrctl.data.source import AlignedSample
from eagrctl.drawing.overlay import coloured, legend, palette
from eagrctl.files import write_whole

MARGIN = 8
_LETTERS, _LINE = 14, 22  # size of writing, and of a line of it, in pixels


def contact_sheet(samples: Sequence[AlignedSample], label_set: LabelSet) -> Image.Image:
    """Draw samples, each beside itself under its labels' colours and its edges in white, with its name below."""
    groups = []
    for sample in samples:
        laid = coloured(sample.image, sample.labels, label_set)
        laid[sample.edges > 0] = 255
        groups.append((sample.image, laid))
    titles = ("photo", "labels, edges")
    return sheet(titles, groups, label_set, side=160, across=6, names=[sample.name for sample in samples])


def sheet(
    titles: Sequence[str],
    groups: Sequence[Sequence[Pixels]],
    label_set: LabelSet,
    side: int,
    across: int,
    names: Sequence[str] = (),
) -> Image.Image:
    """Draw groups of pictures, `across` groups to a row, over a legend of the classes.

    Args:
        titles: what stands above each picture of a group.
        groups: as many as there are titles: photos, (S, S, 3) uint8, or label maps, (H, W) uint8.
        label_set: the classes.
        side: of each picture, in pixels.
        across: groups in a row, unless there are fewer.
        names: what stands below each group; nothing unless given.
    """
    font = ImageFont.load_default(size=_LETTERS)
    across = max(1, min(across, len(groups)))
    cell, below = side + MARGIN, _LINE if names else MARGIN
    rows = -(-len(groups) // across)
    width = MARGIN + across * len(titles) * cell
    named = legend(label_set, range(len(label_set)), width, _LETTERS)
    height = _LINE + rows * (side + below)
    drawn = Image.new("RGB", (width, height + named.height), "white")
    draw = ImageDraw.Draw(drawn)
    for column in range(across * len(titles)):
        draw.text((MARGIN + column * cell, 3), titles[column % len(titles)], "black", font)
    for place, pictures in enumerate(groups):
        left, top = MARGIN + place % across * len(titles) * cell, _LINE + place // across * (side + below)
        for number, pixels in enumerate(pictures):
            if pixels.ndim == 3:
                picture = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
            else:
                picture = Image.fromarray(palette(label_set)[pixels]).resize((side, side), Image.Resampling.NEAREST)
            drawn.paste(picture, (left + number * cell, top))
        if names:
            draw.text((left, top + side + 2), names[place], "black", font)
    drawn.paste(named, (0, height))
    return drawn


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all; EagrctlError where it cannot be written."""
    content = BytesIO()
    picture.save(content, "PNG")
    write_whole(content.getvalue(), path)
