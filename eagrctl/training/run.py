"""A run's folder: what stands in it, written down and read back.

Reading a run's history never fails: it may be in the middle of a line, come from another version, or have lost a file.
"""

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from eagrctl.checkpoint import Checkpoint, save_checkpoint
from eagrctl.documents import Count, NumberOrNaN, Versioned, read_json, read_json_or_none, valid_lines
from eagrctl.drawing.curves import Curve, Plot
from eagrctl.errors import CheckpointError, RecipeError, TrainingError
from eagrctl.files import replacing, writing
from eagrctl.recipe import Recipe, load_recipe, recipe_to_toml

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Epoch(Versioned):
    """What a run logged when an epoch was validated.

    Attributes:
        epoch, step: how many were done then.
        rate: learning rate of the last step; NaN where it was not logged.
        loss: mean over the epoch's steps: `total`, `parsing`, `edge` and `boundary`.
        val: scores on the validation split, 0..1: `mean_f1`, `miou` and others.
        seconds: spent training until then, over all sittings; NaN where it was not logged.
    """

    epoch: Count
    step: Count
    rate: NumberOrNaN = math.nan
    loss: Mapping[str, NumberOrNaN] = field(default_factory=dict)
    val: Mapping[str, NumberOrNaN] = field(default_factory=dict)
    seconds: NumberOrNaN = math.nan

    @property
    def mean_f1(self) -> float:
        """The score that chooses the best checkpoint; NaN where it was not logged."""
        return self.val.get("mean_f1", math.nan)


@dataclass(frozen=True)
class _About(Versioned):
    """What stands in run.json."""

    data: str
    began: datetime | None = None


@dataclass
class Run:
    """The folder of one training run.

    It holds `recipe.toml` (resolved), `run.json` (which data, when it began), `metrics.jsonl` (a line per epoch),
    `last.pt` (to resume from), `previous.pt` (the one before, should the last be damaged) and `best.pt` (the best on
    the validation split so far), each a path of this class. While it is trained, `run.json`, which makes a folder a
    run, is locked.
    """

    folder: Path

    def __post_init__(self) -> None:
        self.recipe, self.about = self.folder / "recipe.toml", self.folder / "run.json"
        self.metrics = self.folder / "metrics.jsonl"
        self.last, self.previous, self.best = (self.folder / f"{name}.pt" for name in ("last", "previous", "best"))

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint to use: the best; where there is none, the last; None where there is neither."""
        return next((path for path in (self.best, self.last) if path.is_file()), None)

    def require_free(self) -> None:
        """TrainingError where the folder holds something already."""
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise TrainingError(
                f"{self.folder} holds something already: name another folder with --output"
                + (", or continue its run with --resume" if self.last.is_file() else "")
            )

    @property
    def state(self) -> str:
        """What it is: "running", "finished" or "interrupted"."""
        if self._locked():
            return "running"
        return "finished" if self.finished() else "interrupted"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from training the run meanwhile; a process that dies lets go of it.

        Raises:
            TrainingError: somebody else is at it.
        """
        if fcntl is None:  # Windows
            yield
            return
        with self.about.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise TrainingError(f"{self.folder} is being trained by another process: wait, or stop it") from None
            yield

    def create(self, recipe: Recipe, data: Path) -> None:
        """Make the folder, and write down what will be trained on what.

        Raises:
            TrainingError: the folder holds something already, or cannot be written.
        """
        self.require_free()
        with writing(self.folder, TrainingError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.recipe.write_text(recipe_to_toml(recipe), encoding="utf-8")
            about = {"data": str(data.absolute()), "began": datetime.now().astimezone().isoformat(timespec="seconds")}
            self.about.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    def data(self) -> Path:
        """The dataset it trains on; TrainingError where the folder does not tell."""
        return Path(read_json(self.about, _About, TrainingError, "give --data").data)

    def epochs(self) -> tuple[Epoch, ...]:
        """What was logged; lines that are damaged are passed over."""
        return tuple(epoch for _, epoch in valid_lines(self.metrics, Epoch))

    def finished(self) -> bool:
        """Whether every epoch of its recipe is logged."""
        epochs = self.epochs()
        try:
            return bool(epochs) and epochs[-1].epoch >= load_recipe(self.recipe).train.epochs
        except RecipeError:
            return False

    def log(self, line: dict[str, Any]) -> None:
        """Append to the metrics; TrainingError where the disk is full."""
        with writing(self.metrics, TrainingError), self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def keep_last(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint to resume from, and keep the one before.

        Raises:
            CheckpointError: it cannot be written; the last one is then untouched.
        """
        fresh = self.folder / "next.pt"
        save_checkpoint(checkpoint, fresh)
        with writing(self.last, CheckpointError):
            if self.last.is_file():
                self.last.replace(self.previous)
            fresh.replace(self.last)

    def discard_unless_saved(self) -> None:
        """Take the folder away again if it holds no checkpoint."""
        if self.checkpoint is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def forget_after(self, step: int) -> None:
        """Drop metrics of steps that a resumed run will take again."""
        if not self.metrics.is_file():
            return
        kept = [line for line, epoch in valid_lines(self.metrics, Epoch) if epoch.step <= step]
        with replacing(self.metrics) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def _locked(self) -> bool:
        try:
            with self.locked():
                return False
        except TrainingError:
            return True
        except OSError:  # somebody else's folder
            return False


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
    about = read_json_or_none(run.about, _About)
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
