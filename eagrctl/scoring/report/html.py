"""A report as one self-contained web page: no network, no font or script from elsewhere."""

import base64
import io
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import numpy as np
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.labels import IGNORE, LabelSet, in_words
from eagrctl.drawing.curves import Curve, Plot, stretches
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
    table = report.table
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
        counts=report.counts.tolist(),
        strong=STRONG,
        faces={
            heading: [ShownFace.of(example, report.labels) for example in report.examples if example.kind == kind]
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


@dataclass(frozen=True)
class ShownFace:
    """A face as the page shows it.

    Attributes:
        name: of the face.
        mean_f1: 0..1.
        wrong: share of its pixels that are wrong.
        pictures: (name, text for those who cannot see it, data URI) of photo, truth, prediction and errors.
    """

    name: str
    mean_f1: float
    wrong: float
    pictures: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, example: Example, labels: LabelSet) -> "ShownFace":
        """An example with its pictures encoded."""
        # Pixels without a label are not wrong.
        wrong = (example.truth != example.prediction) & (example.truth != IGNORE)
        share = float(wrong.mean())
        grey = np.asarray(Image.fromarray(example.photo).convert("L").convert("RGB"))
        marked = (grey // 2 + 96).astype(np.uint8)
        marked[wrong] = WRONG
        return cls(
            example.name,
            example.mean_f1,
            share,
            (
                ("photo", f"Photo of face {example.name}", _jpeg(example.photo)),
                ("truth", f"True labels: {_present(example.truth, labels)}", _png(example.truth, labels)),
                ("prediction", f"Predicted: {_present(example.prediction, labels)}", _png(example.prediction, labels)),
                ("errors", f"The {100 * share:.1f} % of pixels that are wrong, marked on a grey photo", _jpeg(marked)),
            ),
        )


class SvgPlot:
    """A plot as SVG draws it: the area within the axes has `WIDTH` by `HEIGHT` units, from its upper left corner.

    Attributes:
        plot: its titles and curves.
        marks: values to mark along the upright axis; the first and the last are its ends.
    """

    WIDTH, HEIGHT = 300, 150

    def __init__(self, plot: Plot) -> None:
        self.plot, self.marks = plot, plot.marks()

    def x(self, place: float) -> float:
        """Where a place is."""
        return round(self.WIDTH * self.plot.across(place), 1)

    def y(self, value: float) -> float:
        """Where a value is."""
        return round(self.HEIGHT * (self.marks[-1] - value) / (self.marks[-1] - self.marks[0]), 1)

    def stretches(self, curve: Curve) -> list[list[tuple[float, float]]]:
        """The points of a curve, cut where a value is not finite."""
        return [[(self.x(place), self.y(value)) for place, value in piece] for piece in stretches(self.plot, curve)]


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
