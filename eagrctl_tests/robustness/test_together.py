"""On demand: commands that are killed and given again, and two of a kind at once, end as if nothing had happened.

python -m pytest -n 0 eagrctl_tests/robustness/test_together.py --kills 20 --pairs 10
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from eagrctl_tests.robustness.materials import make_materials
from eagrctl_tests.robustness.server import Server

TIMES = {"seconds", "began", "modified", "path", "data", "eagrctl", "waiting", "host", "weights", "predictor"}
COMMANDS = {
    "prepare": ("prepare", "synthetic", "--train", "1100", "--val", "30", "--test", "30", "--size", "65", "-o", "out"),
    "train": ("train", "-r", "recipe.toml", "--data", "data", "-o", "out", "--set", "train.epochs=30", "--gpus", "0"),
    "parse": ("parse", "many", "-o", "out", "--probabilities", "--per-face", "--gpus", "0"),
    "ablate": (
        *("ablate", "pooling", "-r", "recipe.toml", "--data", "data", "-o", "out", "--gpus", "0"),
        *("--set", "train.epochs=4", "--faces", "0"),
    ),
    "evaluate": ("evaluate", "runs/run", "--report", "out/report.json", "--report", "out/report.md", "--gpus", "0"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the commands need."""
    with Server() as server:
        place = make_materials(server, tmp_path_factory.mktemp("materials"))
    (place / "many").mkdir()
    photo = Image.fromarray(astronaut())
    for number in range(24):
        photo.rotate(number - 12).resize((400, 400)).save(place / "many" / f"{number}.jpg")
    return place


def start(place: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "eagrctl", *COMMANDS[name]]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def empty(place: Path, name: str) -> Path:
    shutil.rmtree(place / "out", ignore_errors=True)
    if name == "evaluate":
        (place / "out").mkdir()
    return place / "out"


def contents(folder: Path) -> dict[str, Any]:
    """All files of a folder by name, as far as two runs can agree in them."""
    return {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".svg", ".html") and "tensorboard" not in path.parts
    }


def _read(path: Path) -> Any:
    if path.suffix in (".json", ".jsonl"):
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        return [_without_times(json.loads(line)) for line in lines]
    if path.suffix == ".npz":
        with np.load(path) as found:
            return dict(found)
    if path.suffix == ".pt":
        return torch.load(path, weights_only=True)["network"]
    if path.suffix in (".png", ".jpg"):
        return np.asarray(Image.open(path))
    return path.read_bytes() if path.suffix in (".h5", ".toml") else None


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(each) for key, each in value.items() if key not in TIMES}
    return [_without_times(each) for each in value] if isinstance(value, list) else value


def assert_same(one: Any, other: Any, where: str = "") -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            assert_same(mine, theirs, f"{where}/{number}")
    elif isinstance(one, float | torch.Tensor) or (isinstance(one, np.ndarray) and one.dtype.kind in "fiu"):
        # Of float16, which probabilities are kept in, one step more: other batches, of the photos that a killed run has
        # left, differ by a ten millionth, which may fall on the other side of a step.
        step = 2**-10 if getattr(one, "dtype", None) == np.float16 else 0.0
        assert np.allclose(np.asarray(one), np.asarray(other), atol=1e-4, rtol=step, equal_nan=True), where
    else:
        assert one is other or np.array_equal(one, other), (where, one, other)


@pytest.fixture
def finished(place: Path) -> Callable[[str], tuple[dict[str, Any], float]]:
    """Runs a command alone: what it leaves, and how long it takes in seconds."""

    def run(name: str) -> tuple[dict[str, Any], float]:
        out, began = empty(place, name), time.monotonic()
        process = start(place, name)
        said, _ = process.communicate()
        assert process.returncode == 0, said
        return contents(out), time.monotonic() - began

    return run


@pytest.mark.parametrize("name", ["prepare", "train", "parse", "ablate"])
def test_killed_at_any_moment_the_same_command_ends_the_work(
    place: Path, finished: Callable[[str], tuple[dict[str, Any], float]], name: str, request: pytest.FixtureRequest
) -> None:
    kills = request.config.getoption("kills")
    if not kills:
        pytest.skip("on demand: --kills N")
    whole, seconds = finished(name)
    chance, killed, number = random.Random(name), 0, 0
    while killed < kills:  # one that has ended before does not count
        number += 1
        out = empty(place, name)
        process = start(place, name)
        time.sleep(chance.uniform(1.0, seconds))
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
        killed += process.returncode == -signal.SIGKILL
        process = start(place, name)
        said, _ = process.communicate()
        assert process.returncode == 0, f"kill {number}: {said}"
        assert_same(contents(out), whole, f"kill {number}")
        assert not list(out.rglob(".eagrctl-*")), f"kill {number}"
    print(f"{name}: killed {killed} times ({number} starts of {seconds:.1f} s), all ended equal")


@pytest.mark.parametrize("name", ["prepare", "train", "parse", "evaluate"])
def test_of_two_at_once_one_does_the_work_and_nothing_is_lost(
    place: Path, finished: Callable[[str], tuple[dict[str, Any], float]], name: str, request: pytest.FixtureRequest
) -> None:
    pairs = request.config.getoption("pairs")
    if not pairs:
        pytest.skip("on demand: --pairs N")
    whole, _ = finished(name)
    chance, both = random.Random(name), 0
    for number in range(pairs):
        out = empty(place, name)
        processes = [start(place, name)]
        time.sleep(chance.choice((0.0, 0.05, chance.random())))
        processes.append(start(place, name))
        said = [process.communicate()[0] for process in processes]
        codes = [process.returncode for process in processes]
        assert 0 in codes, said
        both += codes == [0, 0]
        for code, text in zip(codes, said, strict=True):
            refused = any(words in text for words in ("is being filled by another", "is prepared already", "holds"))
            assert code == 0 or (code == 1 and refused), text
            assert "Traceback" not in text
        assert_same(contents(out), whole, f"pair {number}")
        assert not list(out.rglob(".eagrctl-*")), f"pair {number}"
    print(f"{name}: {pairs} pairs, in {both} of them both did the work or found it done, and no work is lost")


PEAK = """
import resource
from eagrctl.cli import app
try:
    app.main()
finally:
    print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
LEAK = """
import gc, resource, sys
from pathlib import Path
import numpy as np
from eagrctl import FaceParser
from skimage.data import astronaut
parser, photo = FaceParser(), astronaut()
def held():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
photos = (np.roll(photo[40:300, 120:380], number, axis=1) for number in range(int(sys.argv[1])))
for number, parsed in enumerate(parser.parse_many(photos)):
    if number == 100:
        before = held()
print(held() / before)
"""


def test_many_photos_in_one_process_take_no_more_memory(request: pytest.FixtureRequest) -> None:
    if not (count := request.config.getoption("leak")):
        pytest.skip("on demand: --leak N")
    ran = subprocess.run([sys.executable, "-c", LEAK, str(count)], capture_output=True, text=True, check=True)
    print(f"{count} photos: {float(ran.stdout):.3f} times the memory after the hundredth")
    assert float(ran.stdout) < 1.05


def test_many_faces_evaluated_take_no_more_memory(place: Path, request: pytest.FixtureRequest) -> None:
    if not (count := request.config.getoption("leak")):
        pytest.skip("on demand: --leak N")
    peaks = []
    for faces in (300, 6 * count):
        made = [
            "prepare",
            "synthetic",
            "--train",
            "8",
            "--val",
            "8",
            "--test",
            str(faces),
            "--size",
            "65",
            "-o",
            f"s{faces}",
        ]
        trained = ["train", "-r", "synthetic", "--data", f"s{faces}", "-o", f"r{faces}", "--gpus", "0", "--set"]
        more = ["train.epochs=1", "--set", "train.batch=4", "--set", "input.size=65", "--set", "model.width=0.125"]
        more += ["--set", 'model.pretrained="none"', "--set", "train.rate=0.01"]
        for command in (made, trained + more, ["evaluate", f"r{faces}", "--gpus", "0", "--cpu-processes", "1"]):
            ran = subprocess.run(
                [sys.executable, "-c", PEAK, *command], cwd=place, capture_output=True, text=True, check=False
            )
            assert ran.returncode == 0, ran.stderr
        peaks.append(int(ran.stdout.rpartition("PEAK")[2]))
    print(f"{6 * count} faces evaluated: {peaks[1] / peaks[0]:.3f} times the memory of 300")
    assert peaks[1] / peaks[0] < 1.05
