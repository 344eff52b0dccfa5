"""How fast several processes train, beside as many that have nothing to do with one another."""

import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from eagrctl.data.index import ShardIndex
from eagrctl.documents import read_json
from eagrctl.errors import TrainingError
from eagrctl.events import Listener, Progress, ignore, undrawn
from eagrctl.recipe import changed
from eagrctl.training.interrupts import interrupts, until
from eagrctl.training.launch import Places, launch
from eagrctl.training.start import Work
from eagrctl.training.timing import Timing, time_steps
from eagrctl.training.world import World, joined, placed


@dataclass(frozen=True)
class Speed:
    """How fast one way of training is.

    Attributes:
        name: of the way.
        processes: at once.
        batch: images a step, of all processes.
        images_per_second: of all processes.
        waiting: share of the time in which a process waits for data.
        memory: the most bytes a process has had: of its GPU, or of the machine.
        threads: of each process.
    """

    name: str
    processes: int
    batch: int
    images_per_second: float
    waiting: float
    memory: int
    threads: int

    @classmethod
    def of(cls, name: str, batch: int, timings: Sequence[Timing]) -> Self:
        """Sum up what processes have measured at the same time; each counts with the rate of its own."""
        return cls(
            name,
            len(timings),
            batch,
            sum(timing.images / timing.seconds for timing in timings),
            sum(timing.waited for timing in timings) / sum(timing.seconds for timing in timings),
            max(timing.memory for timing in timings),
            timings[0].threads,
        )


def over_processes(work: Work, processes: int, steps: int) -> list[Speed]:
    """Independent processes at once, which is the floor, and as many that train together; one is its own floor.

    Args:
        work: what they train on what; its folder is not used.
        processes: how many, started as `eagrctl train` starts them; on a CPU, they share its cores evenly.
        steps: that are timed.

    Raises:
        TrainingError: a batch cannot be shared out, or a process failed.
        KeyboardInterrupt: they were told to stop.
    """
    batch = work.recipe.train.batch
    if processes > 1 and batch // processes < 2:
        raise TrainingError(
            f"a batch of {batch} leaves {batch // processes} to each of {processes} independent processes, "
            "and batch norm needs 2: raise it with --set train.batch=..., or lower --processes"
        )
    ways = {f"{processes} independent": False, f"{processes} together": True} if processes > 1 else {"1 process": True}
    speeds = []
    for name, together in ways.items():
        with tempfile.TemporaryDirectory(prefix="eagrctl-") as folder:
            told = (replace(work, folder=Path(folder)), steps, together, f"timing {name}")
            if not launch(_time_one, told, Places(processes)):
                raise KeyboardInterrupt
            paths = [_result(Path(folder), rank) for rank in range(processes)]
            speeds.append(Speed.of(name, batch, [read_json(path, Timing, TrainingError) for path in paths]))
    return speeds


def _time_one(work: Work, steps: int, together: bool, task: str) -> bool:
    """In a new process; False where it was told to stop."""
    rank = int(os.environ["RANK"])
    with interrupts(ignore, again=False) as interrupted:
        try:
            with work.drawing() if rank == 0 else undrawn() as listener:
                timing = _timed(work, steps, together, task, until(interrupted, listener))
        except Exception:
            # Of processes that train together, one may have left before this one came to look.
            if interrupted.is_set():
                return False
            raise
    _result(work.folder, rank).write_text(json.dumps(asdict(timing)))
    return True


def _timed(work: Work, steps: int, together: bool, task: str, listener: Listener) -> Timing:
    """One network in all processes, or another in each, on a batch as large as its share would be."""
    index = ShardIndex.load(work.data)
    timed = partial(time_steps, index=index, steps=steps, workers=work.workers, task=task, listener=listener)
    if together:
        with joined(work.gpus) as world:
            return timed(work.recipe, world=world, meet=world.wait)
    world = placed(work.gpus)
    recipe = changed(work.recipe, train={"batch": len(world.share(range(work.recipe.train.batch)))})
    return timed(recipe, world=World(world.device), meet=partial(_meet, work.folder, world, listener))


def _result(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.json"


def _meet(folder: Path, world: World, listener: Listener) -> None:
    """Wait for processes that share nothing but a folder."""
    (folder / f"{world.rank}.warm").touch()
    while (here := sum(1 for _ in folder.glob("*.warm"))) < world.size:
        listener(Progress("waiting for the others", here, world.size))
        time.sleep(0.002)
    listener(Progress("waiting for the others", world.size, world.size))
