"""A report as one self-contained web page: no network, no font or script from elsewhere."""

import base64
import io
import math
from importlib.resources import files
from itertools import groupby

import jinja2
import numpy as np
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.labels import LabelSet, in_words
from eagrctl.drawing.curves import Curve, Plot
from eagrctl.drawing.overlay import palette
from eagrctl.scoring.examples import BEST, MEDIAN, WORST, Example
from eagrctl.scoring.report.contents import Report, mean_boundary_f1
from eagrctl.scoring.report.tables import percent

SIDE = 320  # pixels of a picture: nine faces then take about half a megabyte
WRONG = (230, 0, 120)  # no skin, lip or hair looks like it
HEADINGS = {BEST: "Best", MEDIAN: "Median", WORST: "Worst, the worst last"}
STRONG = 0.7  # share of a row from which the heat map's ink is white: where white and black are equally far from it


def html_text(report: Report) -> str:
    """A report as a page that reads on a phone, on paper and in the dark, and without scripts but for its sliders."""
    here = files(__package__)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, words=in_words)
    table, scores = report.table, report.scores
    cells = zip(table.cells.values.tolist(), table.best.values.tolist(), strict=True)
    boundaries = report.boundary_f1()
    text = environment.from_string(here.joinpath("page.html.j2").read_text(encoding="utf-8")).render(
        report=report,
        table=table,
        headings=table.split(list(table.scores.columns)),
        rows=[
            (method, table.split(list(zip(values, best, strict=True))))
            for method, (values, best) in zip(table.scores.index, cells, strict=True)
        ],
        boundaries=boundaries,
        boundary_means=[mean_boundary_f1(by_class, report.labels) for by_class in boundaries.values()],
        figures=list(zip(scores.names, scores.f1, scores.iou, report.published, strict=True))[1:],
        counts=report.counts.tolist(),
        strong=STRONG,
        faces={
            heading: [(each, pictures_of(each, report.labels)) for each in report.examples if each.kind == kind]
            for kind, heading in HEADINGS.items()
        },
        side=SIDE,
        colours=[
            *zip(map(in_words, report.labels.names), report.labels.colours, strict=True),
            ("wrong, in the picture of errors", WRONG),
        ],
        charts=[SvgPlot(plot) for plot in report.curves],
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        script=here.joinpath("page.js").read_text(encoding="utf-8"),
    )
    return f"{text}\n"


def pictures_of(example: Example, labels: LabelSet) -> list[tuple[str, str, str]]:
    """(name, text for those who cannot see it, data URI) of an example's photo, truth, prediction and errors."""
    grey = np.asarray(Image.fromarray(example.photo).convert("L").convert("RGB"))
    marked = (grey // 2 + 96).astype(np.uint8)
    marked[example.wrong] = WRONG
    wrong = f"The {100 * example.wrong.mean():.1f} % of pixels that are wrong, marked on a grey photo"
    return [
        ("photo", f"Photo of face {example.name}", _jpeg(example.photo)),
        ("truth", f"True labels: {_present(example.truth, labels)}", _png(example.truth, labels)),
        ("prediction", f"Predicted: {_present(example.prediction, labels)}", _png(example.prediction, labels)),
        ("errors", wrong, _jpeg(marked)),
    ]


class SvgPlot:
    """A plot as SVG draws it: the area within the axes has `WIDTH` by `HEIGHT` units, from its upper left corner.

    Attributes:
        plot: its titles and curves.
        marks: round values along the upright axis; the first and the last are its ends.
        places: round places to mark along the level axis, all within its ends.
    """

    WIDTH, HEIGHT = 300, 150

    def __init__(self, plot: Plot) -> None:
        finite = [value for curve in plot.curves for value in curve.values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            low, high = low - (abs(low) / 10 or 1), high + (abs(high) / 10 or 1)
        step, first, last = _step(high - low, 5), plot.places[0], plot.places[-1]
        ends = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        apart = max(1, math.ceil(_step(last - first, 6))) if last > first else 1
        self.plot, self.marks = plot, [step * number for number in range(ends[0], ends[1] + 1)]
        self.places = list(range(-(-first // apart) * apart, last + 1, apart)) or [first]

    def x(self, place: float) -> float:
        """Where a place is; one that is alone is in the middle."""
        first, last = self.plot.places[0], self.plot.places[-1]
        return round(self.WIDTH * ((place - first) / (last - first) if last > first else 0.5), 1)

    def y(self, value: float) -> float:
        """Where a value is."""
        return round(self.HEIGHT * (self.marks[-1] - value) / (self.marks[-1] - self.marks[0]), 1)

    def stretches(self, curve: Curve) -> list[list[tuple[float, float]]]:
        """The points of a curve, cut where a value is not finite."""
        points = zip(self.plot.places, curve.values, strict=True)
        pieces = groupby(points, key=lambda point: math.isfinite(point[1]))
        return [[(self.x(place), self.y(value)) for place, value in piece] for finite, piece in pieces if finite]


def _step(span: float, most: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that divides a span into at most so many parts."""
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    return next(magnitude * each for each in (1.0, 2.0, 5.0, 10.0, 20.0) if span <= most * each * magnitude)


def _present(labels: Pixels, label_set: LabelSet) -> str:
    return ", ".join(in_words(label_set.names[number]) for number in np.unique(labels) if number < len(label_set))


def _jpeg(pixels: Pixels) -> str:
    picture = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _embedded(picture, "JPEG", quality=82, subsampling=0)  # a thin line of errors keeps its colour


def _png(labels: Pixels, label_set: LabelSet) -> str:
    picture = Image.fromarray(labels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    picture.putpalette(palette(label_set).tobytes())  # a byte a pixel, and every colour exact
    return _embedded(picture, "PNG", optimize=True)


def _embedded(picture: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
