"""Several processes on one machine or many, started by torch's elastic launch, and what becomes of one that dies."""

import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from eagrctl.errors import EagrctlError, FollowedError, TrainingError
from eagrctl.training.interrupts import handlers_restored
from eagrctl.workers import cores

STOPPED = 130  # exit code of a process that was told to stop, and did
PATIENCE = 3.0  # seconds that a process waits to be ended after it has lost another one


@dataclass(frozen=True)
class Places:
    """How many processes there are to be, and where.

    Attributes:
        processes: on this machine.
        nodes: machines; each is started with the same command.
        rendezvous: HOST:PORT at which they find each other; None where there is one machine.
        restarts: how often all processes start again, from the last checkpoint, after one has died.
    """

    processes: int
    nodes: int = 1
    rendezvous: str | None = None
    restarts: int = 0


def launch(
    work: Callable[..., bool], arguments: tuple[Any, ...], places: Places, tell: Callable[[str], None] | None = None
) -> bool:
    """Run `work(*arguments)` in every process.

    Args:
        work: a function of a module, because new processes import it; returns the same in all of them.
        arguments: what can be pickled.
        places: the processes.
        tell: hears of a process that died, where all start again.

    Returns:
        What `work` returns; False where the processes were told to stop, and did.

    Raises:
        TrainingError: a process failed: what it said, or that it was killed, with its rank.
        RuntimeError: a process met a bug: its traceback.
    """
    # torch reports failures in many lines of its own; ours is one.
    for name in [*logging.Logger.manager.loggerDict]:  # torch sets the level of each, not of those above them
        if name.startswith(("torch.distributed.elastic", "torch.multiprocessing")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    deaths, log = _Deaths(places.restarts, tell), logging.getLogger(_Deaths.logger)
    log.setLevel(logging.ERROR)
    log.propagate = False
    log.handlers = [deaths]
    # After a restart, processes found addresses of those before in the shared store, and could not connect.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    # Each process would else take all cores, and those of the others with them.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // places.processes)))
    config = LaunchConfig(
        min_nodes=places.nodes,
        max_nodes=places.nodes,
        nproc_per_node=places.processes,
        run_id="eagrctl",
        rdzv_backend="c10d",
        rdzv_endpoint=places.rendezvous or "localhost:0",
        max_restarts=places.restarts,
        monitor_interval=0.5,
        start_method="spawn",
    )
    # torch sets handlers of its own and leaves them behind, where nobody would expect them.
    handlers = handlers_restored("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    with tempfile.TemporaryDirectory(prefix="eagrctl-") as folder, handlers:
        said = Path(folder)
        try:
            results = elastic_launch(config, _guarded)(work, said, *arguments)
        except ChildFailedError as error:
            if error.get_first_failure()[1].exitcode == STOPPED:
                return False
            cause = _cause(error, said)
            if cause is None:
                raise RuntimeError(f"rank {error.get_first_failure()[0]}: {error}") from error
            raise TrainingError(cause) from None
        except SignalException:
            return False
    return bool(next(iter(results.values())))


class _Deaths(logging.Handler):
    """Tells of processes that died, after which all start again; torch says which only in its log."""

    logger = "torch.distributed.elastic.multiprocessing.api"

    def __init__(self, restarts: int, tell: Callable[[str], None] | None) -> None:
        super().__init__()
        self.restarts, self.tell = restarts, tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one, as long as there are restarts left for it."""
        if not str(record.msg).startswith("failed (exitcode") or not isinstance(record.args, tuple):
            return
        code, rank, *_ = record.args
        if self.tell and self.restarts > 0 and isinstance(code, int):
            self.restarts -= 1
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            self.tell(f"Rank {rank} {how}: all start again, from the last checkpoint if there is one")


def _guarded(work: Callable[..., bool], said: Path, *arguments: Any) -> bool:
    """In a new process: do the work, and leave word of what went wrong."""
    try:
        finished = work(*arguments)
    except FollowedError:
        os._exit(1)
    except EagrctlError as error:
        rank = os.environ.get("RANK", "0")
        (said / f"{rank}.txt").write_text(str(error), encoding="utf-8")
        # Not the exception itself, whose traceback would be printed.
        os._exit(1)
    except RuntimeError as error:
        if _lost_another(error):
            # The one that died is the one to be named: it has to be found first.
            time.sleep(PATIENCE)
        raise
    if not finished:
        # Whoever started this process was told to stop as well, and no longer reads what is returned: a process that
        # returns something waits for that.
        os._exit(STOPPED)
    return finished


def _lost_another(error: RuntimeError) -> bool:
    """Whether a process failed because another one had gone; gloo tells it in words only."""
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "connection" in str(error).lower()


def _cause(error: ChildFailedError, said: Path) -> str | None:
    """One line on why the processes ended; None where it was a bug."""
    words = {int(path.stem): path.read_text(encoding="utf-8") for path in said.glob("*.txt")}
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        hint = ", probably for want of memory" if name == "SIGKILL" else ""
        return (
            f"rank {rank} was killed by {name}{hint}: --resume goes on from the last checkpoint, if there is one, and "
            "--max-restarts does so by itself"
        )
    if not words:
        return None
    # When one process stops, the others lose their connection to it; those have nothing to say.
    spoke = rank if rank in words else min(words)
    return f"rank {spoke}: {words[spoke]}"
