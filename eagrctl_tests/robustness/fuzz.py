"""One damaged input: drawn by its number, given to a command, and what should not have happened."""

import hashlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eagrctl_tests.robustness.commands import COMMANDS, Command
from eagrctl_tests.robustness.materials import copy_of
from eagrctl_tests.robustness.mutations import damage
from eagrctl_tests.robustness.server import MEMORY, SECONDS, Ran, Server

SPENT = 0.97  # of the time or memory allowed, from which on it counts as all


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        what: the input, in words.
        ran: what the command did.
        faults: what it should not have done.
    """

    what: str
    ran: Ran
    faults: tuple[str, ...]


def run_input(server: Server, materials: Path, sandbox: Path, seed: int, number: int, plant: str = "") -> Outcome:
    """Draw an input, run its command in a sandbox, which is taken away again, and look for faults.

    `plant` is a fault to be planted in the command, to see that it is seen.
    """
    chance = random.Random(f"{seed}:{number}")
    command = chance.choices(COMMANDS, [each.often for each in COMMANDS])[0]
    with _sandbox(materials, sandbox, command) as work:
        done = []
        for _ in range(chance.choice((1, 1, 1, 2))):
            candidates = command.damaged and sorted(
                path
                for path in work.glob(chance.choice(command.damaged))
                if path.is_file() and not path.is_symlink() and path.name != "own.txt"
            )
            if candidates:
                path = chance.choice(candidates)
                done.append(f"{damage(chance, path)} {path.relative_to(work)}")
        before = _contents(sandbox / "victim")
        if plant:
            (work / "out").mkdir()
        ran = server.run(command.line, work, plant)
        what = f"{seed}:{number} eagrctl {' '.join(command.line)} after {' and '.join(done)}"
        faults = list(_faults(ran, command, work))
        if _contents(sandbox / "victim") != before:
            faults.append("a victim's file changed")
        return Outcome(what, ran, tuple(faults))


def _faults(ran: Ran, command: Command, work: Path) -> Iterator[str]:
    said = ran.stdout + ran.stderr
    if ran.seconds > SPENT * SECONDS:
        yield f"{ran.seconds:.0f} seconds"
    elif ran.code < 0:
        yield f"a crash (signal {-ran.code})"
    elif ran.code not in (0, 1, 2):
        yield f"exit code {ran.code}"
    if "Traceback (most recent call last)" in said:
        yield f"a traceback: {said.strip().splitlines()[-1][:150]}"
    elif ran.code > 0 and not ran.stderr.strip():
        yield "an exit code without a word"
    if "\x1b" in said or "\x9b" in said or "\u202e" in said:
        yield "raw control characters"
    if ran.peak > MEMORY:
        yield f"{ran.peak / 1e9:.1f} GB"
    for event, path in ran.acts:
        if not event.startswith("os.") and event != "open":
            yield f"{event} {path}"
        elif not _may_write(path, command, work):
            yield f"{event} of {path}"
    for path in work.rglob(".eagrctl-*"):
        yield f"{path.relative_to(work)} is left"
    if (work / "runs" / "run" / "own.txt").exists() is not ("runs" in command.needs or "runs/run" in command.needs):
        yield "a stranger's file is gone"


def _may_write(path: str, command: Command, work: Path) -> bool:
    if path == os.devnull or any(f"{path}/".startswith(f"{work.parent / folder}/") for folder in ("home", "tmp")):
        return True
    for allowed in command.writes:
        target = work / allowed
        beside = path.startswith(f"{target.parent}/.eagrctl-")
        if (
            beside
            or path in (str(target), str(target.parent))
            or path.startswith((f"{target}/", f"{target.with_suffix('')}."))
        ):
            return True
    return False


def _contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@contextmanager
def _sandbox(materials: Path, sandbox: Path, command: Command) -> Iterator[Path]:
    try:
        yield copy_of(materials, sandbox, command.needs)
    finally:
        shutil.rmtree(sandbox)


def by_fault(outcomes: list[Outcome]) -> Counter[str]:
    """How often each kind of fault was met, by its first words."""
    return Counter(fault.partition(":")[0] for outcome in outcomes for fault in outcome.faults)
