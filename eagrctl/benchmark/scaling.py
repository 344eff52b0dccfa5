"""How fast several processes train, beside as many that have nothing to do with one another."""

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from eagrctl.benchmark.steps import Speed, Timing, time_steps
from eagrctl.data.index import ShardIndex
from eagrctl.documents import read_json
from eagrctl.errors import TrainingError
from eagrctl.events import Drawing, Listener, Notice, Progress, ignore, undrawn
from eagrctl.recipe import Recipe, changed
from eagrctl.training.interrupts import interrupts
from eagrctl.training.launch import Places, launch
from eagrctl.training.world import World, joined


def over_processes(
    recipe: Recipe, index: ShardIndex, gpus: bool, processes: int, steps: int, workers: int, drawing: Drawing
) -> list[Speed]:
    """Independent processes at once, which is the floor, and as many that train together; one is its own floor."""
    batch, speeds = recipe.train.batch, []
    ways = {f"{processes} independent": False, f"{processes} together": True} if processes > 1 else {"1 process": False}
    for name, together in ways.items():
        trial = Trial(recipe, index.root, gpus, workers, steps, together, f"timing {name}")
        speeds.append(Speed.of(name, batch, time_processes(trial, processes, drawing)))
    return speeds


@dataclass(frozen=True)
class Trial:
    """What every process of a measurement is told.

    Attributes:
        recipe: what is trained.
        data: the prepared dataset.
        gpus: whether each has a GPU.
        workers: processes that read samples for each.
        steps: that are timed.
        together: whether they train one network, or each its own, on a batch as large as its share would be.
        task: what the progress is called.
    """

    recipe: Recipe
    data: Path
    gpus: bool
    workers: int
    steps: int
    together: bool
    task: str


def time_processes(trial: Trial, processes: int, drawing: Drawing) -> list[Timing]:
    """Time several processes at once, started as `eagrctl train` starts them.

    Args:
        trial: what they do.
        processes: how many; on a CPU, they share its cores evenly.
        drawing: draws the progress of the first.

    Raises:
        TrainingError: a batch cannot be shared out, or a process failed.
        KeyboardInterrupt: they were told to stop.
    """
    smallest = trial.recipe.train.batch // processes
    if not trial.together and smallest < 2:
        raise TrainingError(
            f"a batch of {trial.recipe.train.batch} leaves {smallest} to each of {processes} independent processes, "
            "and batch norm needs 2: raise it with --set train.batch=..., or lower --processes"
        )
    with tempfile.TemporaryDirectory(prefix="eagrctl-") as folder:
        if not launch(_time_one, (trial, Path(folder), drawing), Places(processes)):
            raise KeyboardInterrupt
        return [read_json(_result(Path(folder), rank), Timing, TrainingError) for rank in range(processes)]


def _time_one(trial: Trial, folder: Path, drawing: Drawing) -> bool:
    """In a new process; False where it was told to stop."""
    rank = int(os.environ["RANK"])
    with interrupts(ignore, again=False) as interrupted:
        try:
            with drawing() if rank == 0 else undrawn() as listener:

                def unless_interrupted(event: Progress | Notice) -> None:
                    if interrupted.is_set():
                        raise _InterruptedError
                    listener(event)

                timing = _timed(trial, folder, unless_interrupted)
        except Exception:
            # Of processes that train together, one may have left before this one came to look.
            if interrupted.is_set():
                return False
            raise
    _result(folder, rank).write_text(json.dumps(asdict(timing)))
    return True


def _timed(trial: Trial, folder: Path, listener: Listener) -> Timing:
    timed = partial(
        time_steps,
        index=ShardIndex.load(trial.data),
        steps=trial.steps,
        workers=trial.workers,
        task=trial.task,
        listener=listener,
    )
    if trial.together:
        with joined(trial.gpus) as world:
            return timed(trial.recipe, world=world, meet=world.wait)
    rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if trial.gpus:
        torch.cuda.set_device(local)
    world = World(torch.device("cuda", local) if trial.gpus else torch.device("cpu"))
    batch = len(replace(world, rank=rank, size=size).share(range(trial.recipe.train.batch)))
    recipe = changed(trial.recipe, train={"batch": batch})
    return timed(recipe, world=world, meet=partial(_meet, folder, rank, size, listener))


def _result(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.json"


def _meet(folder: Path, rank: int, size: int, listener: Listener) -> None:
    """Wait for processes that share nothing but a folder."""
    (folder / f"{rank}.warm").touch()
    while (here := sum(1 for _ in folder.glob("*.warm"))) < size:
        listener(Progress("waiting for the others", here, size))
        time.sleep(0.002)
    listener(Progress("waiting for the others", size, size))


class _InterruptedError(Exception):
    """The measurement was cut short."""
