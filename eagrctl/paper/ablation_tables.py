"""An ablation's tables as DataFrames: ours beside the paper's, and what each row gains over the first."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from eagrctl import __version__
from eagrctl.documents import plain
from eagrctl.files import write_text
from eagrctl.paper.ablation import Ablation
from eagrctl.paper.variants import STUDIES, Study
from eagrctl.scoring.published import COMPONENTS, MEAN, TABLE_OF
from eagrctl.scoring.report.as_json import known
from eagrctl.scoring.report.tables import csv_guarded, markdown_escaped, markdown_grid
from eagrctl.scoring.scores import Scores
from eagrctl.weights.start import SCRATCH

HELEN = "helen"  # what the paper's figures were measured on
OVERALL = "overall"  # Helen's region of all facial components
METRICS = {"miou": "mIoU", "f1": "F1-score", "accuracy": "Accuracy"}
KEYS = (*METRICS, "pixel_accuracy")
# Figures by whose they are: how their columns begin, and which there are. The paper has no pixel accuracy.
KINDS = {
    "ours": ("", KEYS),
    "difference": ("difference_", KEYS),
    "published": ("paper_", tuple(METRICS)),
    "published_difference": ("paper_difference_", tuple(METRICS)),
}


def table_of(ablation: Ablation, study: Study) -> pd.DataFrame:
    """A study's table: a row for each variant, with those figures that are there.

    Returns:
        Columns `table`, `model`, `variant`, one for each of the paper's components ("x" where it is ticked, else ""),
        `run`, `dataset`, `split`, and those of KINDS, unrounded, in percent or percentage points: figures and their
        differences to the first row; NaN where there is none.
    """
    dataset, rows, ours, paper = ablation.index.provenance.dataset, [], [], []
    for variant in study.variants:
        training, row = ablation.plan.training(study, variant), variant.published
        scores, ticked = ablation.scores(training), row.components if row else frozenset()
        ticks = {name: "x" if name in ticked else "" for name in COMPONENTS}
        named = {"table": study.name, "model": variant.model, "variant": variant.name}
        rows.append(named | ticks | {"run": training.name, "dataset": dataset, "split": ablation.split})
        ours.append(figures(scores, dataset) if scores else {})
        paper.append(vars(row) if row else {})
    blocks = [pd.DataFrame(rows)]
    for (begin, keys), found in zip(KINDS.values(), (ours, ours, paper, paper), strict=True):
        block = pd.DataFrame([{key: each.get(key) for key in keys} for each in found], dtype=float)
        if begin.endswith("difference_"):
            block -= block.iloc[0]
            block.iloc[0] = math.nan
        blocks.append(block.add_prefix(begin))
    return pd.concat(blocks, axis="columns")


def tables_of(ablation: Ablation) -> dict[str, pd.DataFrame]:
    """The tables of the studies asked for, by name, and of those that earlier commands have completed."""
    tables = {name: table_of(ablation, study) for name, study in STUDIES.items()}
    return {
        name: table
        for name, table in tables.items()
        # A recipe may leave a study that nobody asked for nothing to compare.
        if STUDIES[name] in ablation.plan.studies or (table["miou"].notna().all() and table["run"].is_unique)
    }


def f1_score_is(dataset: str, regions: Collection[str]) -> str:
    """Which F1 a dataset is scored by: that of Helen's region "overall", or the mean over its classes.

    LaPa has Helen's classes and regions; the paper gives its mean (Table 5).
    """
    table = TABLE_OF.get(dataset)
    by_mean = table is not None and any(column.score == MEAN for line in table.lines for column in line)
    return OVERALL if OVERALL in regions and not by_mean else MEAN


def figures(scores: Scores, dataset: str) -> dict[str, float]:
    """The figures of Tables 1 and 2, and pixel accuracy, in percent; NaN where there is no score."""
    f1 = scores.f1_of(OVERALL) if f1_score_is(dataset, scores.regions) == OVERALL else scores.mean_f1
    values = (scores.miou, f1, scores.mean_accuracy, scores.pixel_accuracy)
    return {key: 100 * value for key, value in zip(KEYS, values, strict=True)}


def headings(study: Study, dataset: str) -> list[str]:
    """The columns of a study's table: the paper's, each with the published figures beside ours."""
    paper = ["paper" if dataset == HELEN else "paper (Helen)"] if _published(study) else []
    return [
        "Model",
        *study.components,
        *(cell for name in METRICS.values() for cell in (name, *paper)),
        "Pixel accuracy",
    ]


def cells(study: Study, table: pd.DataFrame) -> list[list[str]]:
    """The rows under `headings`; in brackets the difference to the first row."""
    kinds = ("", "paper_") if _published(study) else ("",)
    shown = [*((kind, key) for key in METRICS for kind in kinds), ("", "pixel_accuracy")]
    return [
        [
            str(row["model"]),
            *("✓" if row[name] else "" for name in study.components),
            *(_cell(row[f"{kind}{key}"], row[f"{kind}difference_{key}"]) for kind, key in shown),
        ]
        for row in table.to_dict("records")
    ]


def conditions(ablation: Ablation, tables: Mapping[str, pd.DataFrame]) -> list[str]:
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
    if any(_published(STUDIES[name]) for name in tables):
        said.append(
            "The paper's figures: Helen's test split of 100 images."
            if source.dataset == HELEN
            else "The paper's figures are Helen's, on other faces than ours, so they do not compare with ours."
        )
    missing = [model for table in tables.values() for model in table.loc[table["miou"].isna(), "model"]]
    if missing:
        said.append(f"Not finished yet: {', '.join(missing)}.")
    return said


def markdown(ablation: Ablation, tables: Mapping[str, pd.DataFrame]) -> str:
    """All tables, each with its notes, and what they hold for."""
    parts = []
    for name, table in tables.items():
        study = STUDIES[name]
        top = headings(study, ablation.index.provenance.dataset)
        ticks = len(study.components)
        alignment = ("left", *["center"] * ticks, *["right"] * (len(top) - 1 - ticks))
        parts += [f"## {study.title}", markdown_grid(top, cells(study, table), alignment)]
        parts += [study.note] if study.note else []
    return "\n\n".join([*parts, *map(markdown_escaped, conditions(ablation, tables))]) + "\n"


def as_csv(tables: Mapping[str, pd.DataFrame]) -> str:
    """A line for each row of each table, unrounded; an empty cell where there is no figure."""
    frame = pd.concat(tables.values())
    return str(frame.assign(dataset=frame["dataset"].map(csv_guarded)).to_csv(index=False, lineterminator="\n"))


def as_json(ablation: Ablation, tables: Mapping[str, pd.DataFrame]) -> str:
    """Everything, unrounded, in percent; null where there is no figure."""
    index = ablation.index
    contents = {
        "eagrctl": __version__,
        "dataset": index.provenance.dataset,
        "variant": index.provenance.variant,
        "split": ablation.split,
        "images": index.split(ablation.split).count,
        "f1": f1_score_is(index.provenance.dataset, index.labels.regions),
        "published_on": HELEN,
        "recipe": plain(ablation.plan.base),
        "tables": {
            name: {
                "title": STUDIES[name].title,
                "rows": [
                    {
                        "model": row["model"],
                        "name": row["variant"],
                        "components": [each for each in STUDIES[name].components if row[each]],
                        "overrides": list(variant.overrides),
                        "run": row["run"],
                        **{
                            kind: {key: known(row[f"{begin}{key}"]) for key in keys}
                            for kind, (begin, keys) in KINDS.items()
                        },
                    }
                    for variant, row in zip(STUDIES[name].variants, table.to_dict("records"), strict=True)
                ],
            }
            for name, table in tables.items()
        },
    }
    return json.dumps(contents, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_tables(ablation: Ablation, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write `table.md`, `table.csv` and `table.json` into the ablation's folder, and name them.

    Raises:
        EagrctlError: they cannot be written.
    """
    texts = {".md": markdown(ablation, tables), ".csv": as_csv(tables), ".json": as_json(ablation, tables)}
    paths = [ablation.folder / f"table{ending}" for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(text, path)
    return paths


def _published(study: Study) -> bool:
    return any(variant.published for variant in study.variants)


def _cell(value: float, difference: float) -> str:
    if math.isnan(value):
        return "-"
    # Not -0.0, which is a difference that rounds to none.
    points = round(difference, 1) if math.isfinite(difference) else None
    return f"{value:.1f}" + ("" if points is None else f" ({points:+.1f})" if points else " (0.0)")
