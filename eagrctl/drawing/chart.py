"""Charts by matplotlib, which this module and `eagrctl.drawing.figures` alone import: one style, no display."""

import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eagrctl.drawing.curves import Plot
from eagrctl.files import write_whole

Chart = Figure  # what is drawn, to be written by `save_chart`

DOTTED = 40  # places up to which each is marked

# Wraps whatever draws. The reader's own settings of matplotlib change nothing.
styled = matplotlib.style.context(Path(__file__).with_name("chart.mplstyle"), after_reset=True)


@styled
def curves_chart(title: str, note: str, plots: Sequence[Plot]) -> Chart:
    """Draw plots side by side; a curve has a gap where a value is not finite.

    Args:
        title: of the chart.
        note: a line under the plots.
        plots: at least one.
    """
    figure = _titled(title, note, width=6.2 * len(plots), height=4)
    for axes, plot in zip(figure.subplots(1, len(plots), squeeze=False)[0], plots, strict=True):
        axes.set_title(plot.title)
        axes.set_xlabel(plot.along)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        if len(plot.places) > 1:
            axes.set_xlim(plot.places[0], plot.places[-1])
        for number, curve in enumerate(plot.curves):
            values = np.array(curve.values, float)
            finite = np.isfinite(values)
            around = np.pad(finite, 1)
            # A point between gaps has no line that shows it.
            marked = finite & ((len(values) <= DOTTED) | ~(around[:-2] | around[2:]))
            shown = np.where(finite, values, np.nan)
            style = "o-" if marked.any() else "-"
            axes.plot(plot.places, shown, style, markevery=marked, label=curve.label, zorder=9 - number, clip_on=False)
        axes.legend()
    return figure


@styled
def bar_chart(title: str, note: str, names: Sequence[str], quantities: Mapping[str, Sequence[float]]) -> Chart:
    """Draw quantities side by side, each with an axis from zero and the same bars in the same order.

    Args:
        title: of the chart.
        note: a line under the bars: what the figures hold for.
        names: of the bars.
        quantities: title, with its unit -> a value for each name, finite and not negative.
    """
    figure = _titled(title, note, width=0.9 * len(names) * len(quantities), height=3.6)
    places = range(len(names))
    colours = [f"C{3 - place % 4}" for place in places]
    for axes, (quantity, values) in zip(
        figure.subplots(1, len(quantities), squeeze=False)[0], quantities.items(), strict=True
    ):
        axes.set_title(quantity)
        axes.bar_label(axes.bar(places, values, width=0.65, color=colours), fmt=readable, padding=2)
        axes.margins(y=0.12)  # room for the figures on the bars
        axes.set_xticks(places, ["\n".join(name.split()) for name in names])
        axes.tick_params("x", length=0)
        axes.yaxis.set_major_formatter("{x:,g}")
    return figure


@styled
def save_chart(figure: Chart, path: Path) -> None:
    """Write a chart as `eagrctl.files.CHARTS` allows, whole or not at all; EagrctlError."""
    content = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # its place is taken by a box
        figure.savefig(content, format=path.suffix[1:])
    write_whole(content.getvalue(), path)


def readable(value: float) -> str:
    """A number from 0 in four significant digits, thousands set apart; digits before the point all stay."""
    return f"{value:,.{max(3 - math.floor(math.log10(value)), 0)}f}" if value else "0"


def _titled(title: str, note: str, width: float, height: float) -> Chart:
    """A figure of so many inches, with its title above and a note below, both broken where it ends."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(textwrap.fill(title, int(9 * width)), x=0.01, ha="left")
    figure.supxlabel(textwrap.fill(note, int(14 * width)), x=0.01, ha="left")
    return figure
