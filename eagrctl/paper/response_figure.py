"""Fig. 5, drawn: photos, edge maps, and response maps with the vertex marked in a blue rectangle."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from eagrctl.arrays import Pixels
from eagrctl.drawing.pictures import MARGIN
from eagrctl.paper.responses import Cell, Responses

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Side of each picture in the figure, in pixels.
SIDE = 240

BLUE = (20, 70, 255)
OUTLINE = 3

# The photo under a response map: black becomes this grey, so that dark hair does not pass for a high response.
PALEST_BLACK = 175

# From the lowest to the highest response. No channel ever grows, so that on one photo higher is darker everywhere.
_SHADES = np.array([[255, 255, 255], [255, 190, 130], [225, 75, 45], [90, 0, 25]], np.float64)

_HEADING, _CAPTION, _LEGEND = 24, 18, 28
_GREY, _FRAME = (90, 90, 90), (200, 200, 200)


def response_figure(
    names: Sequence[str],
    photos: Sequence[Pixels],
    responses: Responses,
    vertices: Sequence[int],
    side: int = SIDE,
) -> Image.Image:
    """Draw a column per face: the photo, its edge map (darker for likelier), and a response map per vertex.

    Each response map is stretched from its own lowest to its own highest share, which stand below it. There is no edge
    map where the network has no edge module.

    Args:
        names: what stands above each column.
        photos: (S, S, 3) uint8 each, of any size: the network's whole input.
        responses: what the network made of them.
        vertices: one row each.
        side: of each picture, in pixels.

    Raises:
        EagrctlError: there is no such vertex.
    """
    small, font = ImageFont.load_default(size=12), ImageFont.load_default(size=14)
    titles = ["photo", *(["edges"] if responses.edges is not None else []), *(f"vertex {each}" for each in vertices)]
    gutter = MARGIN + max(round(font.getlength(title)) for title in titles) + MARGIN
    pictures = len(titles) - len(vertices)
    tops = [_HEADING + row * (side + MARGIN) + max(0, row - pictures) * _CAPTION for row in range(len(titles) + 1)]
    bottom = tops[-1] if vertices else tops[-1] - MARGIN
    sheet = Image.new("RGB", (gutter + len(names) * (side + MARGIN), bottom + _LEGEND + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    for title, top in zip(titles, tops, strict=False):
        draw.text((gutter - MARGIN, top + side // 2), title, "black", font, anchor="rm")
    for column, (name, photo) in enumerate(zip(names, photos, strict=True)):
        left = gutter + column * (side + MARGIN)
        middle = left + side // 2
        draw.text((middle, _HEADING // 2), _shortened(name, side, font), "black", font, anchor="mm")
        picture = Image.fromarray(photo).resize((side, side), Image.Resampling.BICUBIC)
        panels = [picture]
        if responses.edges is not None:
            panels.append(_drawn_edges(_enlarged(responses.edges[column], responses.size, side)))
        for number, vertex in enumerate(vertices, start=len(panels)):
            response = responses.maps[column, vertex]
            panels.append(_drawn_response(picture, response, responses.cell(vertex), responses.size))
            low, high = (round(100 * float(share)) for share in (response.min(), response.max()))
            draw.text((middle, tops[number] + side + 2), f"response {low} to {high} %", _GREY, small, anchor="mt")
        for panel, top in zip(panels, tops, strict=False):
            sheet.paste(panel, (left, top))
    _draw_legend(draw, gutter, bottom, small)
    return sheet


def shade(photo: Image.Image, response: NDArray[np.float32]) -> Pixels:
    """Lay a response map, (H, W) in 0..1, over a photo of its size, made pale and grey: (H, W, 3) uint8."""
    grey = np.asarray(photo.convert("L"), np.float64) / 255
    pale = (PALEST_BLACK + (255 - PALEST_BLACK) * grey) / 255
    places = np.linspace(0, 1, len(_SHADES))
    shades = np.stack([np.interp(response, places, channel) for channel in _SHADES.T], axis=-1)
    shaded: Pixels = np.rint(pale[..., None] * shades).astype(np.uint8)
    return shaded


def _drawn_response(picture: Image.Image, response: torch.Tensor, cell: Cell, size: int) -> Image.Image:
    """One response map, (h, w), over its photo, with the anchor's cell marked."""
    low, high = response.min(), response.max()
    stretched = (response - low) / (high - low).clamp(min=torch.finfo(torch.float32).tiny)
    panel = Image.fromarray(shade(picture, _enlarged(stretched, size, picture.width)))
    # Pillow counts an outline from its outermost pixel, both corners included; the cell itself stays free of it.
    left, top, right, bottom = (round((edge + 0.5) * picture.width / size) for edge in cell)
    last = picture.width - 1
    corners = (
        max(left - OUTLINE, 0),
        max(top - OUTLINE, 0),
        min(right + OUTLINE - 1, last),
        min(bottom + OUTLINE - 1, last),
    )
    ImageDraw.Draw(panel).rectangle(corners, outline=BLUE, width=OUTLINE)
    return panel


def _drawn_edges(edges: NDArray[np.float32]) -> Image.Image:
    """Probabilities, (H, W), black on white; framed, as most of it is white."""
    panel = Image.fromarray(np.rint(255 * (1 - edges)).astype(np.uint8)).convert("RGB")
    ImageDraw.Draw(panel).rectangle((0, 0, panel.width - 1, panel.height - 1), outline=_FRAME)
    return panel


def _enlarged(values: torch.Tensor, size: int, side: int) -> NDArray[np.float32]:
    """A map of the network, (h, w) in 0..1, at the figure's size.

    Its corners are aligned with the input's; the input is then resized as the photo is.
    """
    whole = F.interpolate(values[None, None], size=(size, size), mode="bilinear", align_corners=True)[0, 0]
    resized = Image.fromarray(whole.numpy()).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32).clip(0, 1)


def _draw_legend(draw: ImageDraw.ImageDraw, left: int, top: int, font: Font) -> None:
    """How shades are read, and what the rectangle is."""
    middle, length = top + _LEGEND // 2, 56
    draw.text((left, middle), "low", "black", font, anchor="lm")
    left += round(font.getlength("low")) + 6
    ramp = shade(Image.new("L", (length, 1), "white"), np.linspace(0, 1, length, dtype=np.float32)[None])[0]
    for place, colour in enumerate(ramp.tolist()):
        draw.line((left + place, middle - 6, left + place, middle + 6), tuple(colour))
    draw.rectangle((left - 1, middle - 7, left + length, middle + 7), outline=_FRAME)
    left += length + 6
    draw.text((left, middle), "high response", "black", font, anchor="lm")
    left += round(font.getlength("high response")) + 14
    draw.rectangle((left, middle - 7, left + 14, middle + 7), outline=BLUE, width=OUTLINE)
    draw.text((left + 20, middle), "anchor", "black", font, anchor="lm")


def _shortened(text: str, width: int, font: Font) -> str:
    """Text that fits into `width` pixels, its middle left out if need be."""
    text = " ".join(text.split())  # a file's name may hold a line break, whose length Pillow does not know
    if font.getlength(text) <= width:
        return text
    kept = len(text) - 1
    while kept > 2 and font.getlength(_without_middle(text, kept)) > width:
        kept -= 1
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"
