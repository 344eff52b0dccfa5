"""An ablation's tables: as lines of cells for the terminal, as Markdown, CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eagrctl import __version__
from eagrctl.paper.ablation import Ablation
from eagrctl.paper.ablation_rows import OVERALL, Row, f1_score_is
from eagrctl.paper.variants import STUDIES, Study
from eagrctl.recipe import recipe_to_dict
from eagrctl.scoring.published_ablations import COMPONENTS
from eagrctl.scoring.report.tables import write_report
from eagrctl.weights.start import SCRATCH

HELEN = "helen"  # what the paper's figures were measured on
METRICS = ("mIoU", "F1-score", "Accuracy")
KEYS = ("miou", "f1", "accuracy", "pixel_accuracy")


def headings(study: Study, dataset: str) -> list[str]:
    """The columns of a study's table: the paper's, each with the published figures beside ours."""
    paper = "paper" if dataset == HELEN else "paper (Helen)"
    metrics = [column for metric in METRICS for column in ((metric, paper) if _published(study) else (metric,))]
    return ["Model", *study.components, *metrics, "Pixel accuracy"]


def cells(study: Study, row: Row) -> list[str]:
    """A row under `headings`; in brackets the difference to the first row."""
    ticks = row.variant.published.components if row.variant.published else frozenset()
    ours = [_cell(row.ours, row.difference, place) for place in range(len(KEYS))]
    paper = [_cell(row.published, row.published_difference, place) for place in range(len(METRICS))]
    metrics = ours[:-1]
    if _published(study):
        metrics = [cell for pair in zip(metrics, paper, strict=True) for cell in pair]
    return [row.variant.model, *("✓" if name in ticks else "" for name in study.components), *metrics, ours[-1]]


def in_lines(study: Study, rows: Sequence[Row], dataset: str) -> list[str]:
    """A table for narrow terminals: a line for each row."""
    top, lines = headings(study, dataset), []
    for row in rows:
        model, *shown = cells(study, row)
        ticks, figures = shown[: len(study.components)], shown[len(study.components) :]
        ticked = ", ".join(name for name, tick in zip(study.components, ticks, strict=True) if tick)
        named = zip(top[1 + len(ticks) :], figures, strict=True)
        said = ", ".join(f"{heading} {figure}" for heading, figure in named)
        lines.append(f"{model}{f' ({ticked})' if ticked else ''}: {said}")
    return lines


def conditions(ablation: Ablation, rows: Sequence[Row]) -> list[str]:
    """What a reader has to know before comparing anything, a sentence or two each."""
    index, base, split = ablation.index, ablation.plan.base, ablation.split
    source = index.provenance
    overall = f1_score_is(source.dataset, index.labels.regions) == OVERALL
    f1 = (
        "of all facial components as one region (Helen's overall F1)"
        if overall
        else "averaged over the classes without the background"
    )
    pretrained = base.model.pretrained
    start = "no pretrained weights" if pretrained == SCRATCH else f"the same pretrained weights ({pretrained})"
    said = [
        f"In percent, in brackets the difference to the first row. mIoU: over all {len(index.classes)} classes, the "
        f"background included. F1-score: {f1}. Accuracy: mean class accuracy, which the paper's almost certainly is. "
        "Pixel accuracy: share of the pixels that are right.",
        f"Ours: dataset {source.dataset} ({source.variant}), split {split}, {index.split(split).count:,} images, each "
        f"at its own resolution. Every variant was trained once, for {base.train.epochs} "
        f"epoch{'s' if base.train.epochs > 1 else ''}, from seed {base.train.seed} and {start}; scored is the "
        "checkpoint that was best on the split val." + (" The same faces chose it." if split == "val" else ""),
    ]
    if any(row.published for row in rows) and source.dataset != HELEN:
        said.append("The paper's figures are Helen's, on other faces than ours, so they do not compare with ours.")
    elif any(row.published for row in rows):
        said.append("The paper's figures: Helen's test split of 100 images.")
    missing = [row.variant.model for row in rows if row.ours is None]
    if missing:
        said.append(f"Not finished yet: {', '.join(missing)}.")
    return said


def markdown(ablation: Ablation, tables: Mapping[str, Sequence[Row]]) -> str:
    """All tables, each with its notes, and what they hold for."""
    parts = []
    dataset = ablation.index.provenance.dataset
    for name, rows in tables.items():
        study = STUDIES[name]
        top = headings(study, dataset)
        left = 1 + len(study.components)
        lines = [top, [":--", *[":-:"] * len(study.components), *["--:"] * (len(top) - left)]]
        lines += [cells(study, row) for row in rows]
        parts += [f"## {study.title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        parts += [study.note] if study.note else []
    every = [row for rows in tables.values() for row in rows]
    return "\n\n".join([*parts, *conditions(ablation, every)]) + "\n"


def as_csv(ablation: Ablation, tables: Mapping[str, Sequence[Row]]) -> str:
    """A line for each row of each table, unrounded; an empty cell where there is no figure."""
    kinds = ("", "difference_", "paper_", "paper_difference_")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    figures = [f"{kind}{key}" for kind in kinds for key in (KEYS if not kind.startswith("paper") else KEYS[:3])]
    writer.writerow(["table", "model", "variant", *COMPONENTS, "run", "dataset", "split", *figures])
    for name, rows in tables.items():
        for row in rows:
            ticks = row.variant.published.components if row.variant.published else frozenset()
            shown = [row.variant.model, row.variant.name, *("x" if each in ticks else "" for each in COMPONENTS)]
            where = [row.training.name, ablation.index.provenance.dataset, ablation.split]
            writer.writerow([name, *shown, *where, *(each for kind in _kinds(row) for each in kind.values())])
    return file.getvalue()


def as_json(ablation: Ablation, tables: Mapping[str, Sequence[Row]]) -> str:
    """Everything, unrounded, in percent; null where there is no figure."""
    index = ablation.index
    table: dict[str, Any] = {
        "eagrctl": __version__,
        "dataset": index.provenance.dataset,
        "variant": index.provenance.variant,
        "split": ablation.split,
        "images": index.split(ablation.split).count,
        "f1": f1_score_is(index.provenance.dataset, index.labels.regions),
        "published_on": HELEN,
        "recipe": recipe_to_dict(ablation.plan.base),
        "tables": {},
    }
    for name, rows in tables.items():
        study = STUDIES[name]
        table["tables"][name] = {"title": study.title, "rows": []}
        for row in rows:
            ticks = row.variant.published.components if row.variant.published else frozenset()
            named = dict(zip(("ours", "difference", "published", "published_difference"), _kinds(row), strict=True))
            table["tables"][name]["rows"].append(
                {
                    "model": row.variant.model,
                    "name": row.variant.name,
                    "components": [each for each in study.components if each in ticks],
                    "overrides": list(row.variant.overrides),
                    "run": row.training.name,
                    **named,
                }
            )
    return json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_tables(ablation: Ablation, tables: Mapping[str, Sequence[Row]]) -> list[Path]:
    """Write `table.md`, `table.csv` and `table.json` into the ablation's folder, and name them.

    Raises:
        EagrctlError: they cannot be written.
    """
    written = []
    for suffix, form in ((".md", markdown), (".csv", as_csv), (".json", as_json)):
        path = ablation.folder / f"table{suffix}"
        write_report(form(ablation, tables), path)
        written.append(path)
    return written


def _published(study: Study) -> bool:
    return any(variant.published for variant in study.variants)


def _kinds(row: Row) -> list[dict[str, float | None]]:
    """Ours, its difference, the paper's, its difference, each by name."""
    given = (
        (row.ours, KEYS),
        (row.difference, KEYS),
        (row.published, KEYS[:3]),
        (row.published_difference, KEYS[:3]),
    )
    return [
        {key: None if values is None else _finite(values[place]) for place, key in enumerate(keys)}
        for values, keys in given
    ]


def _cell(values: Sequence[float] | None, differences: Sequence[float] | None, place: int) -> str:
    if values is None or math.isnan(values[place]):
        return "-"
    shown = f"{values[place]:.1f}"
    if differences is None or math.isnan(differences[place]):
        return shown
    return f"{shown} ({_signed(differences[place])})"


def _signed(points: float) -> str:
    # Not -0.0, which is a difference that rounds to none.
    rounded = round(points, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def _finite(value: float) -> float | None:
    """None for NaN, which JSON does not know."""
    return None if math.isnan(value) else value
