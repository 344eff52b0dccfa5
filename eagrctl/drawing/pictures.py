"""Pictures of label maps: photo, truth and prediction side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eagrctl.arrays import Pixels
from eagrctl.data.align import warp_labels
from eagrctl.data.labels import BACKGROUND, LabelSet
from eagrctl.data.shards import Stored
from eagrctl.drawing.formats import save_whole
from eagrctl.errors import EagrctlError
from eagrctl.files import replacing

MARGIN = 8


def colourise(labels: Pixels, label_set: LabelSet) -> Pixels:
    """(H, W) uint8 labels -> (H, W, 3) uint8 colours; 255 is white."""
    palette = np.full((256, 3), 255, np.uint8)
    palette[: len(label_set)] = label_set.colours
    return palette[labels]


class Gallery:
    """Picks faces evenly spread over a split while it is evaluated, and draws them.

    Args:
        total: faces that will pass by.
        wanted: faces to keep.
    """

    def __init__(self, total: int, wanted: int = 8) -> None:
        wanted = min(wanted, total)
        self._places = {total * number // wanted for number in range(wanted)}
        self._seen = 0
        self._faces: list[tuple[Pixels, Pixels, Pixels]] = []

    def look(self, face: Stored, prediction: Pixels) -> None:
        """A face passes by, with its prediction in the source frame."""
        if self._seen in self._places:
            aligned = warp_labels(prediction, face.matrix, face.image.shape[0])
            self._faces.append((face.image, face.labels, aligned))
        self._seen += 1

    def draw(self, label_set: LabelSet) -> Image.Image:
        """The faces that were kept."""
        return side_by_side(self._faces, label_set)


def overlay(photo: Pixels, labels: Pixels, edges: Pixels, label_set: LabelSet) -> Pixels:
    """A photo (S, S, 3) under its labels' colours, with its edges (S, S) in white; all uint8."""
    mixed = (photo.astype(np.uint16) + colourise(labels, label_set)) // 2
    mixed[labels == BACKGROUND] = photo[labels == BACKGROUND]
    mixed[edges > 0] = 255
    return mixed.astype(np.uint8)


def contact_sheet(samples: Sequence[Stored], label_set: LabelSet, side: int = 160, across: int = 6) -> Image.Image:
    """Draw samples, each with labels and edges laid over it and its name below, over a legend of the classes."""
    font = ImageFont.load_default(size=12)
    across = max(1, min(across, len(samples)))
    cell_width, cell_height = 2 * side + MARGIN, side + 20
    rows = -(-len(samples) // across)
    width = across * cell_width + MARGIN
    legend = _legend(label_set, width, font)
    sheet = Image.new("RGB", (width, rows * cell_height + MARGIN + legend.height), "white")
    draw = ImageDraw.Draw(sheet)
    for place, sample in enumerate(samples):
        left, top = MARGIN + place % across * cell_width, MARGIN + place // across * cell_height
        laid = overlay(sample.image, sample.labels, sample.edges, label_set)
        for number, pixels in enumerate((sample.image, laid)):
            picture = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(picture, (left + number * side, top))
        draw.text((left, top + side + 2), sample.name, "black", font)
    sheet.paste(legend, (0, rows * cell_height + MARGIN))
    return sheet


def side_by_side(
    faces: Sequence[tuple[Pixels, Pixels, Pixels]], label_set: LabelSet, side: int = 220, across: int = 2
) -> Image.Image:
    """Draw photo, truth and prediction of each face, `across` faces to a row, over a legend of the classes.

    Args:
        faces: photo (S, S, 3) uint8, truth and prediction (H, W) uint8 labels.
        label_set: their classes.
        side: of each of the three pictures, in pixels.
        across: faces in a row.
    """
    font = ImageFont.load_default(size=14)
    heading = 24
    across = max(1, min(across, len(faces)))
    group = 3 * (side + MARGIN)
    rows = -(-len(faces) // across)
    width = across * group + MARGIN
    legend = _legend(label_set, width, font)
    height = heading + rows * (side + MARGIN) + MARGIN + legend.height
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(across):
        for number, title in enumerate(("photo", "truth", "prediction")):
            draw.text((MARGIN + column * group + number * (side + MARGIN), 4), title, "black", font)
    for place, (photo, truth, prediction) in enumerate(faces):
        left, top = MARGIN + place % across * group, heading + place // across * (side + MARGIN)
        pictures = (photo, colourise(truth, label_set), colourise(prediction, label_set))
        for number, (pixels, method) in enumerate(
            zip(pictures, (Image.Resampling.BICUBIC, *[Image.Resampling.NEAREST] * 2), strict=True)
        ):
            picture = Image.fromarray(pixels).resize((side, side), method)
            sheet.paste(picture, (left + number * (side + MARGIN), top))
    sheet.paste(legend, (0, height - legend.height))
    return sheet


def in_columns(
    titles: Sequence[str], columns: Sequence[Sequence[Pixels]], label_set: LabelSet, side: int = 170
) -> Image.Image:
    """Draw columns of pictures under their titles, a face to a row, over a legend of the classes.

    Args:
        titles: one for each column; those too wide for it take several lines.
        columns: photos, (S, S, 3) uint8, or label maps, (H, W) uint8; all of one length.
        label_set: the classes.
        side: of each picture, in pixels.
    """
    font = ImageFont.load_default(size=14)
    line = 18
    lines = [_wrapped(title, side, font) for title in titles]
    heading = MARGIN + max(map(len, lines)) * line
    width = MARGIN + len(columns) * (side + MARGIN)
    legend = _legend(label_set, width, font)
    height = heading + len(columns[0]) * (side + MARGIN) + MARGIN + legend.height
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (words, pictures) in enumerate(zip(lines, columns, strict=True)):
        left = MARGIN + place * (side + MARGIN)
        for number, text in enumerate(words):
            draw.text((left, MARGIN // 2 + number * line), text, "black", font)
        for row, pixels in enumerate(pictures):
            shown, method = (
                (pixels, Image.Resampling.BICUBIC)
                if pixels.ndim == 3
                else (colourise(pixels, label_set), Image.Resampling.NEAREST)
            )
            picture = Image.fromarray(shown).resize((side, side), method)
            sheet.paste(picture, (left, heading + row * (side + MARGIN)))
    sheet.paste(legend, (0, height - legend.height))
    return sheet


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all; EagrctlError where it cannot be written."""
    try:
        with replacing(path) as temporary:
            save_whole(picture, temporary, "PNG")
    except OSError as error:
        raise EagrctlError(f"cannot write {path}: {error.strerror or error}") from error


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """The text in lines of at most `width` pixels, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _legend(label_set: LabelSet, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    cell, line = 120, 22
    per_line = max(1, (width - MARGIN) // cell)
    height = -(-len(label_set) // per_line) * line + MARGIN
    legend = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(legend)
    for number, (name, colour) in enumerate(zip(label_set.names, label_set.colours, strict=True)):
        left, top = MARGIN + number % per_line * cell, number // per_line * line
        draw.rectangle((left, top + 2, left + 14, top + 16), fill=colour, outline="black")
        draw.text((left + 20, top), name, "black", font)
    return legend
