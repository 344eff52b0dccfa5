"""What a run has written down, read back: how far it has come, and the curves of its loss and its scores.

Reading never fails: a run may be in the middle of a line, come from another version, or have lost a file.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from eagrctl.errors import RecipeError, TrainingError
from eagrctl.recipe import Recipe, load_recipe
from eagrctl.training.run import Run


@dataclass(frozen=True)
class Epoch:
    """What a run logged when an epoch was validated.

    Attributes:
        epoch, step: how many were done then.
        rate: learning rate of the last step; NaN where it was not logged.
        loss: mean over the epoch's steps: `total`, `parsing`, `edge` and `boundary`.
        val: scores on the validation split, 0..1: `mean_f1`, `miou` and others.
        seconds: spent training until then, over all sittings; NaN where it was not logged.
    """

    epoch: int
    step: int
    rate: float = math.nan
    loss: Mapping[str, float] = field(default_factory=dict)
    val: Mapping[str, float] = field(default_factory=dict)
    seconds: float = math.nan

    @property
    def mean_f1(self) -> float:
        """The score that chooses the best checkpoint; NaN where it was not logged."""
        return self.val.get("mean_f1", math.nan)


@dataclass(frozen=True)
class History:
    """What is known of a run.

    Attributes:
        run: its folder.
        state: "running", "finished" or "interrupted".
        recipe: what it trains; None where that cannot be read, or by this version no more.
        data: the dataset it trains on, or None.
        began: when, or None.
        epochs: those validated so far, in order.
    """

    run: Run
    state: str
    recipe: Recipe | None
    data: Path | None
    began: datetime | None
    epochs: tuple[Epoch, ...]

    @property
    def best(self) -> Epoch | None:
        """The first of the epochs with the highest mean F1, whose checkpoint is `best.pt`; None before any."""
        scored = [epoch for epoch in self.epochs if math.isfinite(epoch.mean_f1)]
        return max(scored, key=lambda epoch: epoch.mean_f1, default=None)


def read_history(run: Run) -> History:
    """All that a run's folder tells, without its checkpoints."""
    try:
        recipe = load_recipe(run.recipe)
    except RecipeError:
        recipe = None
    try:
        data = run.data()
    except TrainingError:
        data = None
    return History(run, run.state, recipe, data, run.began(), read_epochs(run.metrics))


def read_epochs(metrics: Path) -> tuple[Epoch, ...]:
    """The epochs in a run's `metrics.jsonl`; lines that are damaged are passed over, and no file is no epochs."""
    try:
        lines = metrics.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    epochs = []
    for line in lines:
        try:
            epochs.append(_epoch(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return tuple(epochs)


def histories_in(folder: Path) -> list[History]:
    """The runs in a folder, those without a checkpoint too; the one that wrote last comes first."""
    if not folder.is_dir():
        return []
    runs = [Run(path) for path in folder.iterdir() if (path / "run.json").is_file()]
    return [read_history(run) for run in sorted(runs, key=_last_written, reverse=True)]


def find_history(given: Path | None, runs: Path) -> History:
    """The run at a path, or of that name in `runs`; or the one in `runs` that wrote last.

    Raises:
        TrainingError: there is none.
    """
    if given is None:
        newest = next(iter(histories_in(runs)), None)
        if newest is None:
            raise TrainingError(f"no run in {runs}/: train one with eagrctl train, or name a run's folder")
        return newest
    for folder in (given, runs / given):
        if (folder / "run.json").is_file():
            return read_history(Run(folder))
    raise TrainingError(f"{given} is no run (no run.json): eagrctl runs lists those in {runs}/")


def _last_written(run: Run) -> float:
    return max(path.stat().st_mtime for path in (run.folder / "run.json", run.last) if path.is_file())


def _epoch(line: dict[str, Any]) -> Epoch:
    return Epoch(
        epoch=int(line["epoch"]),
        step=int(line["step"]),
        rate=float(line.get("rate", math.nan)),
        loss={name: float(value) for name, value in line.get("loss", {}).items()},
        val={name: float(value) for name, value in line.get("val", {}).items()},
        seconds=float(line.get("seconds", math.nan)),
    )
