"""A report as JSON: everything, at full precision."""

import json
import math
from dataclasses import asdict
from typing import Any

from eagrctl.scoring.report.contents import Report, mean_boundary_f1

FORMAT = "eagrctl report"
VERSION = 1


def json_text(report: Report) -> str:
    """All figures of a report; scores are fractions, 0..1, those of `table` percent, and null is what is undefined.

    Keys:
        format, version: "eagrctl report" and the number of this layout.
        method: the name of our row.
        origin: dataset, split, counts, resolutions (height, width), alignment, settings, checkpoint, eagrctl's version.
        means: over all classes, by name.
        classes, regions: by name, `f1`, `iou`, `accuracy`, `labelled` and `predicted` pixels, the paper's
            `published_f1`; classes in id order, the background first.
        boundary_f1: by tolerance in pixels, `mean` (without background) and `classes`; null where not counted.
        confusion: rows are labelled classes, columns predicted ones, in id order.
        table: the paper's table: columns (heading, score) and rows (method, published, values in percent).
        training: the recipe, and how it differs from the paper's; null where not known.
        notes: what belongs under the table.

    Classes have their dataset's official names here (`ear_r`), which other programs know, and words in the notes.
    """
    scores, table = report.scores, report.table
    keys = ("f1", "iou", "accuracy", "labelled", "predicted")
    columns = [*(getattr(scores, key).tolist() for key in keys), report.published]
    figures = {
        name: dict(zip((*keys, "published_f1"), map(known, values), strict=True))
        for name, *values in zip(scores.names, *columns, strict=True)
    }
    contents = {
        "format": FORMAT,
        "version": VERSION,
        "method": report.method,
        "origin": asdict(report.origin),
        "means": {name: known(value) for name, value in scores.means.items()},
        "classes": {name: figures[name] for name in scores.classes},
        "regions": {name: figures[name] for name in scores.regions},
        "boundary_f1": {
            str(tolerance): {
                "mean": known(mean_boundary_f1(by_class, report.labels)),
                "classes": {name: known(value) for name, value in by_class.items()},
            }
            for tolerance, by_class in report.boundary_f1().items()
        }
        or None,
        "confusion": report.counts.tolist(),
        "table": {
            "columns": [vars(column) for line in table.lines for column in line],
            "rows": [
                {"method": method, "published": number < table.published, "values": [known(value) for value in values]}
                for number, (method, *values) in enumerate(table.scores.itertuples(name=None))
            ],
        },
        "training": asdict(report.training) if report.training else None,
        "notes": table.notes,
    }
    return _indented(contents) + "\n"


def known(value: float) -> float | None:
    """None for NaN, which JSON does not know."""
    return None if math.isnan(value) else value


def _indented(value: Any, depth: int = 0) -> str:
    """JSON with a line per entry of an object and per row of a list; what holds plain values alone takes one line."""
    within = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, dict | list | tuple) or not any(isinstance(each, dict | list | tuple) for each in within):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{json.dumps(key, ensure_ascii=False)}: {_indented(each, depth + 1)}" for key, each in value.items()]
        opening, closing = "{", "}"
    else:
        lines, (opening, closing) = [_indented(each, depth + 1) for each in value], "[]"
    return f"{opening}\n{pad}" + f",\n{pad}".join(lines) + f"\n{'  ' * depth}{closing}"
