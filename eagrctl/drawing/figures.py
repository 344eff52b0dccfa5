"""The paper's figures that are made of pictures: label maps of several networks (Fig. 3), responses (Fig. 5)."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from eagrctl.arrays import Pixels
from eagrctl.data.labels import LabelSet, in_words
from eagrctl.drawing.chart import Chart, styled
from eagrctl.drawing.overlay import Box, palette

_INCHES, _SMALL = 2.4, 1.6  # sides of a picture in Fig. 5 and in Fig. 3

# Pixels of a picture in Fig. 5, by the style's dots per inch.
SIDE = 360

BLUE = "#1446ff"

# The photo under a response map: black becomes this grey, so that dark hair does not pass for a high response.
PALEST_BLACK = 175 / 255

# From the lowest to the highest response. No channel ever grows, so that on one photo higher is darker everywhere.
SHADES = LinearSegmentedColormap.from_list("responses", ["#ffffff", "#ffbe82", "#e14b2d", "#5a0019"])


@dataclass(frozen=True)
class VertexMaps:
    """The responses of several faces to one vertex.

    Attributes:
        vertex: its number.
        maps: (B, h, w) float, in 0..1: which share of itself a pixel gives to the vertex.
        cell: where its anchor is pooled, in pixels of the network's input, whose centres lie on integers.
    """

    vertex: int
    maps: NDArray[np.float32]
    cell: Box


@styled
def label_figure(titles: Sequence[str], columns: Sequence[Sequence[Pixels]], label_set: LabelSet) -> Chart:
    """Draw columns of pictures under their titles, a face to a row, over a legend of the classes (Fig. 3).

    Args:
        titles: one for each column; those too wide for it take several lines.
        columns: photos, (S, S, 3) uint8, or label maps, (H, W) uint8; all of one length.
        label_set: the classes.
    """
    figure, grid = _grid(len(columns[0]), len(columns), _SMALL, apart=0.04)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(textwrap.fill(title, 20), weight="normal")
    for axes, pixels in zip(grid.T.flat, (pixels for column in columns for pixels in column), strict=True):
        axes.imshow(pixels if pixels.ndim == 3 else palette(label_set)[pixels])
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in label_set.colours]
    names = [in_words(name) for name in label_set.names]
    figure.legend(
        handles=[Patch(facecolor=colour, edgecolor="black", linewidth=0.5) for colour in colours],
        labels=names,
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        handlelength=1,
        handleheight=1,
        ncols=min(len(label_set), max(1, int(figure.get_figwidth() / 1.2))),
    )
    return figure


@styled
def response_figure(
    names: Sequence[str],
    photos: Sequence[Pixels],
    edges: NDArray[np.float32] | None,
    vertices: Sequence[VertexMaps],
    size: int,
) -> Chart:
    """Draw a column per face: the photo, its edge map (darker for likelier), and a response map per vertex (Fig. 5).

    Each response map is stretched from its own lowest to its own highest share, which stand below it.

    Args:
        names: what stands above each column.
        photos: (S, S, 3) uint8 each, of any size: the network's whole input.
        edges: (B, h, w) float, in 0..1, the probability of an edge; None where the network sees none.
        vertices: one row each. Corners of their maps, and of `edges`, are aligned with the input's.
        size: side of the network's input.
    """
    pictures = 1 if edges is None else 2
    figure, grid = _grid(pictures + len(vertices), len(names), _INCHES, apart=0.12)
    extent = (-0.5, size - 0.5, size - 0.5, -0.5)
    titles = ["photo", "edges"][:pictures] + [f"vertex {row.vertex}" for row in vertices]
    for axes, title in zip(grid[:, 0], titles, strict=True):
        axes.set_ylabel(title, rotation=0, ha="right", va="center")
    for number, (column, name, photo) in enumerate(zip(grid.T, names, photos, strict=True)):
        column[0].set_title(_shortened(name), loc="center", weight="normal")
        column[0].imshow(photo, extent=extent)
        if edges is not None:
            shown = enlarged(edges[number], size, len(photo))
            column[1].imshow(shown, "gray_r", vmin=0, vmax=1, extent=extent)
            column[1].spines[:].set(visible=True, color="0.9")
        for axes, row in zip(column[pictures:], vertices, strict=True):
            low, high = row.maps[number].min(), row.maps[number].max()
            stretched = (row.maps[number] - low) / max(high - low, np.finfo(np.float32).tiny)
            axes.imshow(shade(photo, enlarged(stretched, size, len(photo))), extent=extent)
            axes.set_xlabel(f"response {100 * low:.0f} to {100 * high:.0f} %", labelpad=2)
            left, top, right, bottom = row.cell
            axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, ec=BLUE, lw=2, clip_on=False))
    _explain(figure)
    return figure


def shade(photo: Pixels, response: NDArray[np.floating]) -> NDArray[np.float64]:
    """Lay a response map, (H, W) in 0..1, over a photo of its size, made pale and grey: (H, W, 3) in 0..1."""
    grey = photo @ np.array([0.299, 0.587, 0.114]) / 255
    pale = PALEST_BLACK + (1 - PALEST_BLACK) * grey
    shaded: NDArray[np.float64] = pale[..., None] * SHADES(response)[..., :3]
    return shaded


def enlarged(values: NDArray[np.float32], size: int, side: int) -> NDArray[np.float64]:
    """A map of the network, (h, w), at the pixels of its input, `size` wide, when that is resized to `side`; bilinear.

    The map's corner pixels lie on the input's.
    """
    places = ((np.arange(side) + 0.5) * size / side - 0.5).clip(0, size - 1) / (size - 1)
    down, across = (
        np.maximum(0, 1 - abs(places[:, None] * (length - 1) - np.arange(length))) for length in values.shape
    )
    whole: NDArray[np.float64] = down @ values @ across.T
    return whole


def _grid(rows: int, columns: int, inches: float, apart: float) -> tuple[Figure, NDArray[Any]]:
    """Square axes for pictures, rows `apart` by a share of `inches`; writing enlarges the file and shrinks none."""
    figure = Figure(figsize=(inches * (1.04 * columns - 0.04), inches * ((1 + apart) * rows - apart)))
    close = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0.04, "hspace": apart}
    grid: NDArray[Any] = figure.subplots(rows, columns, squeeze=False, gridspec_kw=close)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure, grid


def _explain(figure: Chart) -> None:
    """How shades are read, and what the rectangle is, below the pictures."""
    width, height = figure.get_size_inches()
    bar: Axes = figure.add_axes((0, -0.5 / height, 1.4 / width, 0.12 / height))
    figure.colorbar(ScalarMappable(cmap=SHADES), bar, orientation="horizontal", ticks=[0, 0.5, 1])
    bar.set_xticklabels(["low", "response", "high"])
    anchor = Patch(fill=False, edgecolor=BLUE, linewidth=2, label="where the anchor is pooled")
    figure.legend(handles=[anchor], loc="center left", bbox_to_anchor=(1.8 / width, -0.44 / height))


def _shortened(name: str, most: int = 28) -> str:
    """A name in one line, its middle left out where it is long."""
    name = " ".join(name.split())
    return name if len(name) <= most else f"{name[: most // 2 - 2]}...{name[1 - most // 2 :]}"
