"""The faces of a report: photo, truth, prediction and errors, side by side or under a slider."""

import base64
import io
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.labels import IGNORE, LabelSet
from eagrctl.scoring.examples import BEST, MEDIAN, WORST, Example
from eagrctl.scoring.report.html.markup import element
from eagrctl.scoring.report.rows import percent

SIDE = 320  # pixels of a picture: nine faces then take about half a megabyte
WRONG = (230, 0, 120)  # no skin, lip or hair looks like it
_HEADINGS = {BEST: "Best", MEDIAN: "Median", WORST: "Worst, the worst last"}


def faces_section(examples: Sequence[Example], labels: LabelSet) -> list[Element]:
    """Every kind of example under its heading, over the legend of the classes."""
    parts = []
    for kind, heading in _HEADINGS.items():
        figures = [_face(example, labels) for example in examples if example.kind == kind]
        if figures:
            parts += [element("h3", heading), element("div", figures, class_="faces")]
    return [*parts, _legend(labels)]


def wrong_pixels(truth: Pixels, prediction: Pixels) -> Pixels:
    """(H, W) uint8: 1 where the prediction is another than the truth; pixels without a label are not wrong."""
    wrong: Pixels = ((truth != prediction) & (truth != IGNORE)).astype(np.uint8)
    return wrong


def _face(example: Example, labels: LabelSet) -> Element:
    wrong = wrong_pixels(example.truth, example.prediction)
    grey = np.asarray(Image.fromarray(example.photo).convert("L").convert("RGB"))
    marked = (grey // 2 + 96).astype(np.uint8)
    marked[wrong > 0] = WRONG
    share = 100 * float(wrong.mean())
    pictures = (
        ("photo", f"Photo of face {example.name}", _jpeg(example.photo)),
        ("truth", f"True labels: {_present(example.truth, labels)}", _png(example.truth, labels)),
        ("prediction", f"Predicted: {_present(example.prediction, labels)}", _png(example.prediction, labels)),
        ("errors", f"The {share:.1f} % of pixels that are wrong, marked on a grey photo", _jpeg(marked)),
    )
    layers = [
        element(
            "span",
            element("img", src=source, alt=alt, width=SIDE, height=SIDE),
            element("span", name, class_="name"),
            class_="layer",
        )
        for name, alt, source in pictures
    ]
    slider = element(
        "input",
        type="range",
        min=0,
        max=len(pictures) - 1,
        step=0.1,
        value=0,
        aria_label=f"Face {example.name}: from photo over truth and prediction to errors",
    )
    stops = [element("button", name, type="button") for name, _, _ in pictures]
    # The page's script takes `hidden` away: without it, the four pictures stand side by side.
    controls = element("div", slider, element("div", stops, class_="stops"), class_="controls", hidden="")
    caption = element(
        "figcaption",
        element("strong", example.name),
        f": mean F1 {percent(example.mean_f1)}, {share:.1f} % of its pixels wrong",
    )
    return element("figure", caption, element("div", layers, class_="layers"), controls, class_="face")


def _legend(labels: LabelSet) -> Element:
    entries = [(name, colour) for name, colour in zip(labels.names, labels.colours, strict=True)]
    items = [
        element(
            "li", element("span", class_="swatch", style=f"background:rgb{tuple(colour)}", aria_hidden="true"), name
        )
        for name, colour in [*entries, ("wrong, in the picture of errors", WRONG)]
    ]
    return element("ul", items, class_="legend", aria_label="Colours of the classes")


def _present(labels: Pixels, label_set: LabelSet) -> str:
    return ", ".join(label_set.names[number] for number in np.unique(labels) if number < len(label_set))


def _jpeg(pixels: Pixels) -> str:
    picture = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _embedded(picture, "JPEG", quality=82, subsampling=0)  # a thin line of errors keeps its colour


def _png(labels: Pixels, label_set: LabelSet) -> str:
    palette = np.full((256, 3), 255, np.uint8)
    palette[: len(label_set)] = label_set.colours
    picture = Image.fromarray(labels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    picture.putpalette(palette.tobytes())  # a byte a pixel, and every colour exact
    return _embedded(picture, "PNG", optimize=True)


def _embedded(picture: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
