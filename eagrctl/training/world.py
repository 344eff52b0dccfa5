"""The processes that train one network together, each on a share of every batch."""

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from eagrctl.errors import EagrctlError, FollowedError

Item = TypeVar("Item")
TIMEOUT = timedelta(minutes=10)  # without an answer from the others
PATIENCE = 3.0  # seconds in which the process that speaks for all is heard, before another one's end takes it along


@dataclass(frozen=True)
class World:
    """This process's place among those that train together; by default it is alone.

    Attributes:
        device: where this process computes.
        rank: its number.
        size: how many there are.
        local: its number on this machine.
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part of what all of them share out; the parts differ by one item at most."""
        return items[len(items) * self.rank // self.size : len(items) * (self.rank + 1) // self.size]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all processes; a new tensor, on any device."""
        total = tensor.to(self.device, copy=True)
        if self.size > 1:
            dist.all_reduce(total)
        return total

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def told(self, value: Item) -> Item:
        """What the first process has, in all of them. Plain values only."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def agreed(self, decide: Callable[[], Item]) -> Item | None:
        """What the first process decides, while the others wait; None in those. Where it refuses, all leave.

        Raises:
            EagrctlError: what `decide` raised, in the first process.
            FollowedError: in the others.
        """
        decided, refused = None, None
        if self.first:
            try:
                decided = decide()
            except EagrctlError as error:
                refused = error
        said = self.told(None if refused is None else str(refused))
        if refused is not None:
            raise refused
        if said is not None:
            time.sleep(PATIENCE)
            raise FollowedError(said)
        return decided


def world_in_environment() -> bool:
    """Whether torchrun, Slurm or `eagrctl.training.launch` has started this process as one of several.

    Slurm's own variables are put into those that torch reads.
    """
    environment = os.environ
    if {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"} <= set(environment):
        return True
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    if not (tasks.isdigit() and int(tasks) > 1 and "SLURM_PROCID" in environment):
        return False
    environment["RANK"], environment["WORLD_SIZE"] = environment["SLURM_PROCID"], tasks
    environment["LOCAL_RANK"] = environment.get("SLURM_LOCALID", "0")
    environment.setdefault("MASTER_ADDR", environment.get("SLURM_LAUNCH_NODE_IPADDR", "localhost"))
    # The same for all tasks of a job, and another for the next job.
    environment.setdefault("MASTER_PORT", str(20_000 + int(environment.get("SLURM_JOB_ID", "0")) % 20_000))
    return True


def placed(gpus: bool) -> World:
    """The world that the environment names, not yet joined.

    Args:
        gpus: compute on GPUs, one for each process of a machine; else on the CPU.
    """
    rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if gpus:
        torch.cuda.set_device(local)
    return World(torch.device("cuda", local) if gpus else torch.device("cpu"), rank, size, local)


@contextmanager
def joined(gpus: bool) -> Iterator[World]:
    """Join the world that the environment names, for as long as the block runs."""
    world = placed(gpus)
    with nullcontext() if gpus else _undisturbed():
        dist.init_process_group("nccl" if gpus else "gloo", timeout=TIMEOUT, device_id=world.device if gpus else None)
        try:
            yield world
            # Together: gloo's threads end badly where the other side of their connections still speaks to them.
            dist.barrier()
            gc.collect()  # what torch's wrapper of a network holds of the group
        finally:
            dist.destroy_process_group()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Have threads that are started in the block wait for a core until another one lets go of it.

    Else one of gloo's threads that wakes up takes the core from another that holds their lock, and spins on the lock
    until the system's next tick, some milliseconds: five times as long as the message takes. Linux calls it batch.
    """
    if not hasattr(os, "SCHED_BATCH"):
        yield
        return
    before = os.sched_getscheduler(0)
    # Some containers forbid it; training then goes on, slower.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, before, os.sched_param(0))
