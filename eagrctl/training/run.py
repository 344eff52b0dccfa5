"""A run's folder: what stands in it, written down and read back.

Reading a run's history never fails: it may be in the middle of a line, come from another version, or have lost a file.
"""

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from eagrctl.checkpoint import Checkpoint, epoch_of, save_checkpoint
from eagrctl.documents import Count, NumberOrNaN, Versioned, read_json, read_json_or_none, valid_lines
from eagrctl.errors import CheckpointError, RecipeError, TrainingError
from eagrctl.events import Listener, ignore
from eagrctl.files import TEMPORARY, printable, replacing, require_regular, writing
from eagrctl.locks import LOCK, is_locked, locked
from eagrctl.recipe import Recipe, load_recipe, recipe_to_toml

TENSORBOARD = "tensorboard"  # folder of its files
HALVES = ("next.pt.part", "best.pt.part", "metrics.jsonl.part")  # left by killed trainings of earlier versions


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
class About(Versioned):
    """What stands in run.json."""

    data: str
    began: datetime | None = None


@dataclass
class Run:
    """The folder of one training run.

    It holds `recipe.toml` (resolved), `run.json` (which data, when it began), `metrics.jsonl` (a line per epoch),
    `last.pt` (to resume from), `previous.pt` (the one before, should the last be damaged) and `best.pt` (the best on
    the validation split so far), each a path of this class. `next.pt` is there while a checkpoint is written. While it
    is trained, the folder is locked.

    Whenever a training is killed, the same command goes on from what is there. `run.json`, which makes a folder a run,
    is written last at its beginning. At an epoch's end `best.pt` is written, then `last.pt` with the epoch's line of
    metrics in it, then the line: a best checkpoint that is ahead of the last is written again, and a line that is
    missing is found in the last.
    """

    folder: Path

    def __post_init__(self) -> None:
        self.next = self.folder / "next.pt"
        self.recipe, self.about = self.folder / "recipe.toml", self.folder / "run.json"
        self.metrics = self.folder / "metrics.jsonl"
        self.last, self.previous, self.best = (self.folder / f"{name}.pt" for name in ("last", "previous", "best"))
        self.earlier = self.folder / "best-earlier.pt"

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint to use: the best; where there is none, the last; None where there is none at all."""
        return next((path for path in (self.best, *self.saved) if path.is_file()), None)

    @property
    def saved(self) -> list[Path]:
        """The checkpoints that training can go on from, the newest first."""
        return [path for path in (self.last, self.next, self.previous) if path.is_file()]

    def free_for(self, recipe: Recipe | None = None, data: Path | None = None) -> bool:
        """Whether a training can begin in the folder: it is not there, or empty, or has what the same one left.

        That is what a training of this recipe on this data leaves that is killed before it can be gone on with.
        """
        if not self.folder.exists():
            return True
        if not self.folder.is_dir():
            return False
        stale = (LOCK, TEMPORARY, *HALVES)
        there = {path.name for path in self.folder.iterdir() if not any(path.match(name) for name in stale)}
        if not there:
            return True
        own = (self.recipe, self.about, self.metrics, self.best, self.folder / TENSORBOARD, self.earlier)
        if recipe is None or data is None or self.saved or not there <= {path.name for path in own}:
            return False
        return self._began(recipe, data)

    def _began(self, recipe: Recipe, data: Path) -> bool:
        """Whether recipe.toml and run.json, either of which may have been cut short, are of this training."""
        wanted = recipe_to_toml(recipe).encode()
        try:
            require_regular(self.recipe, RecipeError)
            same = wanted.startswith(self.recipe.read_bytes()) or load_recipe(self.recipe) == recipe
        except (OSError, RecipeError):
            return False
        about = read_json_or_none(self.about, About)
        return same and (about is None or about.data == str(data.absolute()))

    def require_free(self, recipe: Recipe | None = None, data: Path | None = None) -> None:
        """TrainingError where the folder is not `free_for` a training."""
        if not self.free_for(recipe, data):
            raise TrainingError(
                f"{printable(self.folder)} holds something already: name another folder with --output"
                + (", or continue its run with --resume" if self.saved else "")
            )

    @property
    def state(self) -> str:
        """What it is: "running", "finished" or "interrupted"."""
        if is_locked(self.folder):
            return "running"
        return "finished" if self.finished() else "interrupted"

    @contextmanager
    def taken(self, recipe: Recipe, data: Path, resume: bool, listener: Listener = ignore) -> Iterator[None]:
        """Have the folder to oneself for a training that begins, or goes on (`resume`).

        If it fails, a folder without checkpoints is taken away again.

        Raises:
            TrainingError: another process is at it, it holds something else, or it cannot be written.
        """
        if not (resume or self.folder.is_dir()):
            self.require_free()
        with writing(self.folder, TrainingError):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.folder, TrainingError, listener):
                if not resume:
                    self.require_free(recipe, data)
                for name in HALVES:
                    (self.folder / name).unlink(missing_ok=True)
                try:
                    yield
                except BaseException:
                    self.discard_unless_saved()
                    raise
        finally:
            with suppress(OSError):
                self.folder.rmdir()  # where nothing is in it

    def create(self, recipe: Recipe, data: Path) -> None:
        """Make the folder, and write down what will be trained on what.

        Raises:
            TrainingError: the folder is not free for it, or cannot be written.
        """
        self.require_free(recipe, data)
        about = {"data": str(data.absolute()), "began": datetime.now().astimezone().isoformat(timespec="seconds")}
        with writing(self.folder, TrainingError):
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.outlived():
                self.best.replace(self.earlier)
            self.best.unlink(missing_ok=True)
            self.metrics.unlink(missing_ok=True)
            shutil.rmtree(self.folder / TENSORBOARD, ignore_errors=True)
            for path, text in (
                (self.recipe, recipe_to_toml(recipe)),
                (self.about, json.dumps(about, indent=2) + "\n"),
            ):
                with replacing(path) as temporary:
                    temporary.write_text(text, encoding="utf-8")

    def outlived(self) -> bool:
        """Whether its best checkpoint is left of several epochs, of which somebody has removed the last one."""
        return self.best.is_file() and not self.saved and len(self.epochs()) > 1

    def data(self) -> Path:
        """The dataset it trains on; TrainingError where the folder does not tell."""
        return Path(read_json(self.about, About, TrainingError, "give --data").data)

    def epochs(self) -> tuple[Epoch, ...]:
        """What was logged; lines that are damaged are passed over."""
        return tuple(epoch for _, epoch in valid_lines(self.metrics, Epoch))

    def finished(self) -> bool:
        """Whether every epoch of its recipe is logged, and the last checkpoint does not say otherwise."""
        epochs = self.epochs()
        try:
            wanted = load_recipe(self.recipe).train.epochs
        except RecipeError:
            return False
        if not epochs or epochs[-1].epoch < wanted:
            return False
        saved = epoch_of(self.saved[0]) if self.saved else None
        return saved is None or saved >= wanted

    def log(self, line: Mapping[str, Any]) -> None:
        """Append to the metrics; TrainingError where the disk is full."""
        with writing(self.metrics, TrainingError):
            if self.metrics.exists():
                require_regular(self.metrics, TrainingError)
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(line)) + "\n")

    def keep_last(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint to resume from, and keep the one before.

        Raises:
            CheckpointError: it cannot be written; the last one is then untouched.
        """
        save_checkpoint(checkpoint, self.next)
        with writing(self.last, CheckpointError):
            if self.last.is_file():
                # A second name of the same file, so that at no moment there is no last one.
                with replacing(self.previous) as temporary:
                    temporary.unlink()
                    try:
                        os.link(self.last, temporary)
                    except OSError:  # some file systems have one name for a file
                        shutil.copyfile(self.last, temporary)
            self.next.replace(self.last)

    def discard_unless_saved(self) -> None:
        """Remove what a training has written that holds no checkpoint."""
        if self.checkpoint is None:
            for path in (self.about, self.recipe, self.metrics):
                path.unlink(missing_ok=True)
            shutil.rmtree(self.folder / TENSORBOARD, ignore_errors=True)

    def go_on_from(self, step: int) -> None:
        """Drop metrics of steps that a resumed run will take again, and what a killed one left half done."""
        with writing(self.last, CheckpointError):
            if not self.last.is_file():
                self.saved[0].replace(self.last)
            self.next.unlink(missing_ok=True)
        if not self.metrics.is_file():
            return
        kept = [line for line, epoch in valid_lines(self.metrics, Epoch) if epoch.step <= step]
        with writing(self.metrics, TrainingError), replacing(self.metrics) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
