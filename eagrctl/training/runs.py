"""Where runs are, and which of them is meant. A run is a folder with a run.json."""

from datetime import datetime
from pathlib import Path

from eagrctl.errors import CheckpointError, TrainingError
from eagrctl.recipe import Recipe
from eagrctl.training.history import read_history
from eagrctl.training.run import Run
from eagrctl.weights import SHIPPED, meant


def runs_in(folder: Path) -> list[Run]:
    """The runs in a folder, those without a checkpoint too; the one that wrote last comes first."""
    if not folder.is_dir():
        return []
    runs = [Run(path) for path in folder.iterdir() if Run(path).about.is_file()]
    return sorted(runs, key=_last_written, reverse=True)


def _last_written(run: Run) -> float:
    return next(path for path in (*run.saved, run.about, run.folder) if path.exists()).stat().st_mtime


def find_run(given: Path | None, runs: Path) -> Run:
    """The run at a path, or of that name in `runs`; or the one in `runs` that wrote last.

    Raises:
        TrainingError: there is none.
    """
    candidates = runs_in(runs)[:1] if given is None else [Run(given), Run(runs / given)]
    run = next((run for run in candidates if run.about.is_file()), None)
    if run is not None:
        return run
    if given is None:
        raise TrainingError(f"no run in {runs}/: train one with eagrctl train, or name a run's folder")
    raise TrainingError(f"{given} is not a run (no run.json): eagrctl runs lists those in {runs}/")


def unfinished_run(given: Path | None, runs: Path) -> Run:
    """The run to resume: the one given, or the newest one in `runs` that has epochs left.

    The one given may have no checkpoint yet; it then starts over.

    Raises:
        TrainingError: there is none.
    """
    if given is None:
        run = next((run for run in runs_in(runs) if run.saved and not run.finished()), None)
        if run is None:
            raise TrainingError(f"no unfinished run in {runs}/: name one with --output, or start one without --resume")
        return run
    run = Run(given)
    if not run.saved and not run.about.is_file():
        raise TrainingError(f"{given} holds no run to resume (no last.pt): start it without --resume")
    if run.saved and run.finished():
        raise TrainingError(f"{given} is finished: evaluate it, or start another run with more epochs")
    return run


def run_for(recipe: Recipe, data: Path, given: Path | None, runs: Path, name: str) -> tuple[Run, bool]:
    """The run of a command, and whether it has a checkpoint to go on from.

    A folder that is given is taken if the same command began it, finished or not. Else it is a run that the same
    command began and did not finish, and that nobody is training, or a new one.

    Args:
        recipe: resolved.
        data: the prepared dataset.
        given: its folder; None looks at all runs in `runs` called after the recipe, and names another by the time.
        runs: where runs are.
        name: of the recipe.
    """
    if given:
        found = read_history(Run(given))
        return found.run, bool(found.run.saved) and (found.recipe, found.data) == (recipe, data.absolute())
    begun = sorted(map(Run, runs.glob(f"{name}-2*")), key=_last_written, reverse=True) if runs.is_dir() else []
    for run in begun:
        found = read_history(run)
        if run.saved and (found.recipe, found.data, found.state) == (recipe, data.absolute(), "interrupted"):
            return run, True
    for run in begun:
        if run.recipe.is_file() and run.state == "interrupted" and run.free_for(recipe, data):
            return run, False
    return Run(runs / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"), False


def find_checkpoint(given: Path | None, runs: Path, default: Path | None = None) -> Path:
    """The checkpoint to use: a file as given, the best one of a run, or that of the newest run that has one.

    Where nothing is called `shipped`, that is the network that comes with eagrctl.

    Args:
        given: a file, the folder of a run, or None.
        runs: where runs are.
        default: what is used where nothing is given and no run has a checkpoint.

    Raises:
        CheckpointError: there is none.
    """
    if given is None:
        given = next((run.folder for run in runs_in(runs) if run.checkpoint), default)
    if given is None:
        raise CheckpointError(
            f"no run in {runs}/: train one with eagrctl train, or name a run, a checkpoint, or the network that "
            f"comes with eagrctl: {SHIPPED}"
        )
    given = meant(given)
    if not given.is_dir():
        return given
    found = Run(given).checkpoint
    if found is None:
        raise CheckpointError(f"{given} holds no checkpoint (best.pt or last.pt): name a run of eagrctl train")
    return found
