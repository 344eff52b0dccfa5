"""Several processes, on CPUs through gloo, started as users start them."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.files import sha256_of
from eagrctl_tests.conftest import TINY

REPOSITORY = Path(__file__).resolve().parents[2]
MANY = 2000  # epochs: more than any test waits for

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, tiny_data: ShardIndex) -> Iterator[Start]:
    """`start("--cpu-processes", 2)` is `eagrctl train` on the tiny dataset, in a session of its own."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: object, program: tuple[str, ...] = (), data: Path = tiny_data.root) -> subprocess.Popen[str]:
        settings = [part for override in TINY for part in ("--set", override)]
        command = [sys.executable, *program, "-m", "eagrctl", "train", "--recipe", "celebamask-hq-small"]
        command += [*settings, "--data", str(data), *map(str, arguments)]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


def finish(process: subprocess.Popen[str]) -> str:
    """What it said, once it is done."""
    _, said = process.communicate(timeout=240)
    return said


def losses(folder: Path) -> list[list[float]]:
    return [list(json.loads(line)["loss"].values()) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, finish(process)
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def steps_logged(folder: Path) -> int:
    file = folder / "metrics.jsonl"
    return file.read_text().count("\n") if file.is_file() else 0


def trainers(process: subprocess.Popen[str]) -> list[int]:
    """The processes it has started to train, by number."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = status.with_name("cmdline").read_text()
        except OSError:  # it is gone
            continue
        if parent == process.pid and "spawn_main" in command:
            found.append(int(status.parent.name))
    return found


def test_two_processes_take_the_steps_of_one(start: Start, tmp_path: Path) -> None:
    extras = ("--set", "augment.mirror=true", "--set", "augment.colour=0.3", "--set", "train.batch=11")
    for name, count in (("one", 1), ("two", 2)):
        process = start("--cpu-processes", count, "--output", name, *extras)
        said = finish(process)
        assert process.returncode == 0, said
        assert f"Wrote {name}/best.pt" in said
        assert "arning" not in said
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two) == 2
    # An epoch is one step, on a batch that two cannot share evenly. A step amplifies the rounding of the one before.
    np.testing.assert_allclose(two[0], one[0], rtol=2e-6)
    np.testing.assert_allclose(two[1], one[1], rtol=2e-4)
    # After the first step. Gradients are steep at the start, so that rounding shows in the fourth digit.
    first, second = (load_checkpoint(tmp_path / name / "previous.pt").network for name in ("one", "two"))
    for key, value in first.items():
        assert torch.allclose(value.double(), second[key].double(), rtol=1e-3, atol=5e-4), key


def test_torchrun_starts_the_processes_itself(start: Start, tmp_path: Path) -> None:
    program = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    # `torchrun -m MODULE`: its own module comes first.
    process = start("--gpus", 0, "--output", "run", program=program)
    said = finish(process)
    assert process.returncode == 0, said
    assert "in 2 processes" in said
    assert said.count("Wrote run/best.pt") == 1
    assert len(losses(tmp_path / "run")) == 2


def test_under_torchrun_the_first_process_alone_refuses(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "diary.txt").write_text("dear diary")
    program = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *program, "-m", "eagrctl", "train", "--gpus", "0", "--resume", "--output", "run"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("Error:")]
    assert line.startswith("Error: run holds no run to resume")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["diary.txt"]


def test_a_killed_process_ends_the_run_with_its_rank(start: Start, tmp_path: Path) -> None:
    process = start("--cpu-processes", 2, "--output", "run", "--set", f"train.epochs={MANY}")
    until(lambda: (tmp_path / "run" / "last.pt").is_file(), process)
    os.kill(trainers(process)[-1], signal.SIGKILL)
    said = finish(process)
    assert process.returncode == 1
    lines = [line for line in said.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1
    assert re.search(r"rank [01] was killed by SIGKILL", lines[0])
    assert "Traceback" not in said
    assert load_checkpoint(tmp_path / "run" / "last.pt").step > 0


def test_with_restarts_it_goes_on_from_its_last_checkpoint(start: Start, tmp_path: Path) -> None:
    arguments = ("--cpu-processes", 2, "--set", "train.epochs=12")
    process = start(*arguments, "--output", "run", "--max-restarts", 1)
    until(lambda: steps_logged(tmp_path / "run") >= 2, process)
    os.kill(trainers(process)[0], signal.SIGKILL)
    said = finish(process)
    assert process.returncode == 0, said
    assert said.count("Rank 0 was killed by SIGKILL: all start again, from the last checkpoint if there is one") == 1
    assert re.search(r"Going on from step \d+ of 36", said)
    whole = start(*arguments, "--output", "whole")
    assert "Wrote" in finish(whole)
    assert len(losses(tmp_path / "run")) == 12
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(tmp_path / "whole"), rtol=1e-6)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_all_processes_save_and_leave(number: signal.Signals, start: Start, tmp_path: Path) -> None:
    process = start("--cpu-processes", 2, "--output", "run", "--set", f"train.epochs={MANY}")
    until(lambda: (tmp_path / "run" / "last.pt").is_file(), process)
    children = trainers(process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal sends it: to each of them
    else:
        process.send_signal(number)
    said = finish(process)
    assert process.returncode == 130, said
    assert "Continue with: eagrctl train --resume --output run" in said
    assert "Traceback" not in said
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert load_checkpoint(tmp_path / "run" / "last.pt").step > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_does_not_end_those_that_read(
    number: signal.Signals, start: Start, tmp_path: Path
) -> None:
    process = start("--gpus", 0, "--workers", 1, "--output", "run", "--set", f"train.epochs={MANY}")
    until(lambda: (tmp_path / "run" / "last.pt").is_file(), process)
    os.killpg(process.pid, number)
    said = finish(process)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert load_checkpoint(tmp_path / "run" / "last.pt").step > 0


def test_what_one_process_meets_is_one_line_with_its_rank(start: Start, tmp_path: Path, tiny_data: ShardIndex) -> None:
    data = Path(shutil.copytree(tiny_data.root, tmp_path / "data"))
    shard = next(data.glob("train-*.h5"))
    shard.write_bytes(shard.read_bytes() + b"more")
    process = start("--cpu-processes", 2, "--output", "run", data=data)
    said = finish(process)
    assert process.returncode == 1
    (line,) = [line for line in said.splitlines() if line.startswith("Error:")]
    assert "rank 0: " in line
    assert "changed since it was indexed" in line
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_a_shard_of_other_numbers_is_one_line(start: Start, tmp_path: Path, tiny_data: ShardIndex) -> None:
    data = Path(shutil.copytree(tiny_data.root, tmp_path / "data"))
    shard = next(data.glob("train-*.h5"))
    with h5py.File(shard, "r+") as file:
        pixels = file["image"][:].astype(np.float32)
        pixels[3, 20, 30] = np.nan
        del file["image"]
        file["image"] = pixels
    index = json.loads((data / "index.json").read_text())
    index["splits"]["train"]["shards"][0] |= {"bytes": shard.stat().st_size, "sha256": sha256_of(shard)}
    (data / "index.json").write_text(json.dumps(index))
    process = start("--output", "run", "--gpus", 0, data=data)
    said = finish(process)
    assert process.returncode == 1
    (line,) = [line for line in said.splitlines() if line.startswith("Error:")]
    assert "cannot be read (image is float32 (12, 65, 65, 3))" in line


def test_killed_at_random_steps_and_resumed_it_ends_bit_for_bit_the_same(start: Start, tmp_path: Path) -> None:
    arguments = ("--gpus", 0, "--set", "train.epochs=8")
    whole = start(*arguments, "--output", "whole")
    assert "Wrote" in finish(whole)
    draw = random.Random(4)
    broken = tmp_path / "broken"
    for _ in range(3):
        # The very same command each time: it finds what is there and goes on.
        process = start(*arguments, "--output", "broken")
        seen = steps_logged(broken)
        # The first time, perhaps before it has a checkpoint.
        until(lambda seen=seen: steps_logged(broken) > seen or (not seen and broken.is_dir()), process)  # type: ignore[misc]
        time.sleep(draw.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    last = start(*arguments, "--output", "broken")
    said = finish(last)
    assert last.returncode == 0, said
    assert losses(broken) == losses(tmp_path / "whole")
    one, other = (load_checkpoint(folder / "last.pt").network for folder in (broken, tmp_path / "whole"))
    assert all(torch.equal(one[key], other[key]) for key in one)
