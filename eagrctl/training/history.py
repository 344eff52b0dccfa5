"""What is known of a run, and its curves, without its checkpoints."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from eagrctl.documents import read_json_or_none
from eagrctl.drawing.curves import Curve, Plot
from eagrctl.errors import RecipeError
from eagrctl.recipe import Recipe, load_recipe
from eagrctl.training.run import About, Epoch, Run


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
    about = read_json_or_none(run.about, About)
    data, began = (None, None) if about is None else (Path(about.data), about.began)
    return History(run, run.state, recipe, data, began, run.epochs())


def plots_of(epochs: Sequence[Epoch]) -> tuple[Plot, ...]:
    """The curves of loss and scores; none before the first epoch."""
    if not epochs:
        return ()
    places = tuple(epoch.epoch for epoch in epochs)
    losses = [Curve(name, tuple(epoch.loss.get(name, math.nan) for epoch in epochs)) for name in ("total", "parsing")]
    scores = [
        Curve(name, tuple(100 * epoch.val.get(key, math.nan) for epoch in epochs))
        for name, key in (("mean F1", "mean_f1"), ("mIoU", "miou"))
    ]
    return (
        Plot("Loss, mean over the epoch", "epoch", places, tuple(losses)),
        Plot("Scores on the validation split, in percent", "epoch", places, tuple(scores)),
    )
