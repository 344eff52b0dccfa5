"""A run's folder: what stands in it, and how runs are found."""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from eagrctl.checkpoint import Checkpoint, save_checkpoint
from eagrctl.errors import CheckpointError, RecipeError, TrainingError
from eagrctl.files import replacing
from eagrctl.recipe import Recipe, load_recipe, recipe_to_toml
from eagrctl.weights import shipped

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Run:
    """The folder of one training run.

    It holds `recipe.toml` (resolved), `run.json` (which data, when it began), `metrics.jsonl` (a line per epoch),
    `last.pt` (to resume from), `previous.pt` (the one before, should the last be damaged) and `best.pt` (the best on
    the validation split so far). While it is trained, `run.json` is locked.
    """

    folder: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.folder / "recipe.toml"

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.folder / "last.pt"

    @property
    def previous(self) -> Path:
        """The checkpoint before the last."""
        return self.folder / "previous.pt"

    @property
    def best(self) -> Path:
        """The checkpoint that scored best on the validation split."""
        return self.folder / "best.pt"

    @property
    def metrics(self) -> Path:
        """One JSON object per epoch."""
        return self.folder / "metrics.jsonl"

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
        with self._about.open("rb") as file:
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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.recipe.write_text(recipe_to_toml(recipe), encoding="utf-8")
            about = {"data": str(data.absolute()), "began": datetime.now().astimezone().isoformat(timespec="seconds")}
            self._about.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise TrainingError(f"cannot write {self.folder}: {error.strerror or error}") from error

    def data(self) -> Path:
        """The dataset it trains on; TrainingError where the folder does not tell."""
        try:
            return Path(json.loads(self._about.read_text(encoding="utf-8"))["data"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{self._about} does not tell the run's data ({error}): give --data") from None

    def began(self) -> datetime | None:
        """When it was created; None where the folder does not tell."""
        try:
            return datetime.fromisoformat(json.loads(self._about.read_text(encoding="utf-8"))["began"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finished(self) -> bool:
        """Whether every epoch of its recipe is logged."""
        try:
            last = json.loads(self.metrics.read_text(encoding="utf-8").splitlines()[-1])
            return bool(last["epoch"] >= load_recipe(self.recipe).train.epochs)
        except (OSError, ValueError, IndexError, KeyError, TypeError, RecipeError):
            return False

    def log(self, line: dict[str, Any]) -> None:
        """Append to the metrics; TrainingError where the disk is full."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise TrainingError(f"cannot write {self.metrics}: {error.strerror or error}") from error

    def keep_last(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint to resume from, and keep the one before.

        Raises:
            CheckpointError: it cannot be written; the last one is then untouched.
        """
        fresh = self.folder / "next.pt"
        save_checkpoint(checkpoint, fresh)
        try:
            if self.last.is_file():
                self.last.replace(self.previous)
            fresh.replace(self.last)
        except OSError as error:
            raise CheckpointError(f"cannot write {self.last}: {error.strerror or error}") from error

    def discard_unless_saved(self) -> None:
        """Take the folder away again if it holds no checkpoint."""
        if not (self.last.is_file() or self.best.is_file()):
            shutil.rmtree(self.folder, ignore_errors=True)

    def forget_after(self, step: int) -> None:
        """Drop metrics of steps that a resumed run will take again."""
        if not self.metrics.is_file():
            return
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if _step_of(line) <= step]
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

    @property
    def _about(self) -> Path:
        return self.folder / "run.json"


def _step_of(line: str) -> float:
    """The step of a line of metrics; infinite where it is damaged, as a full disk leaves its last line."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def runs_in(folder: Path) -> Iterator[Run]:
    """The runs in a folder that have a checkpoint, newest first."""
    if not folder.is_dir():
        return
    runs = [Run(path) for path in folder.iterdir() if (path / "last.pt").is_file()]
    yield from sorted(runs, key=lambda run: run.last.stat().st_mtime, reverse=True)


def unfinished_run(given: Path | None, runs: Path) -> Run:
    """The run to resume: the one given, or the newest one in `runs` that has epochs left.

    Raises:
        TrainingError: there is none.
    """
    if given is None:
        run = next((run for run in runs_in(runs) if not run.finished()), None)
        if run is None:
            raise TrainingError(f"no unfinished run in {runs}/: name one with --output, or start one without --resume")
        return run
    run = Run(given)
    if not run.last.is_file():
        raise TrainingError(f"{given} holds no run to resume (no last.pt): start it without --resume")
    if run.finished():
        raise TrainingError(f"{given} is finished: evaluate it, or start another run with more epochs")
    return run


def same_unfinished(recipe: Recipe, data: Path, given: Path | None, runs: Path, name: str) -> Run | None:
    """The run that the same command began and did not finish, if there is one; not one that is being trained.

    Args:
        recipe: resolved.
        data: the prepared dataset.
        given: the only folder to look at; None looks at all runs in `runs` called after the recipe.
        runs: where runs are.
        name: of the recipe.
    """
    candidates = [Run(given)] if given else [run for run in runs_in(runs) if run.folder.name.startswith(f"{name}-2")]
    for run in candidates:
        try:
            if (
                run.last.is_file()
                and load_recipe(run.recipe) == recipe
                and run.data() == data.absolute()
                and run.state == "interrupted"
            ):
                return run
        except (RecipeError, TrainingError):
            continue
    return None


def find_checkpoint(given: Path | None, runs: Path) -> Path:
    """The checkpoint to use: a file as given, the best one of a run, or of the newest run.

    Where nothing is called `shipped`, that is the network that comes with eagrctl.

    Raises:
        CheckpointError: there is none.
    """
    if given is None:
        run = next(runs_in(runs), None)
        if run is None:
            raise CheckpointError(
                f"no run in {runs}/: train one with eagrctl train, or name a run, a checkpoint, or the network that "
                f"comes with eagrctl: {shipped.NAME}"
            )
        given = run.folder
    given = shipped.meant(given)
    if given.is_dir():
        run = Run(given)
        found = next((path for path in (run.best, run.last) if path.is_file()), None)
        if found is None:
            raise CheckpointError(f"{given} holds no checkpoint (best.pt or last.pt): name a run of eagrctl train")
        return found
    return given
