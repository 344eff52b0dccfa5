import inspect
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.data.prepare import prepare
from eagrctl.errors import TrainingError
from eagrctl.events import Listener, Notice, Progress
from eagrctl.files import TEMPORARY
from eagrctl.locks import locked
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.training import loop
from eagrctl.training.run import Run
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import TINY
from eagrctl_tests.scoring.samples import unpadded

SETTINGS = [part for override in (*TINY, "train.epochs=1") for part in ("--set", override)]
SMALL = ("--recipe", "celebamask-hq-small", *SETTINGS, "--gpus", 0)
FOLDER = Path("runs") / "ablation-celebamask-hq-small"
TABLE_1 = ["baseline", "edge", "graph-reasoning", "edge-graph-reasoning", "edge-graph-ba-loss", "eagrnet"]

Before = Callable[[Run, dict[str, Any]], None]


@pytest.fixture
def data(eagrctl: Invoke, tiny_data: ShardIndex) -> Path:
    """The tiny dataset at the place where eagrctl looks for it."""
    return Path(shutil.copytree(tiny_data.root, Path("data") / "celebamask-hq"))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The trainings since the last look: the run's name, and whether it was resumed."""
    return watch(monkeypatch, lambda *_: None)


def watch(monkeypatch: pytest.MonkeyPatch, before: Before) -> list[tuple[str, bool]]:
    """Note each training, after `before` has had its way with it."""
    seen: list[tuple[str, bool]] = []
    real = loop.train

    def train(*given: Any, **named: Any) -> bool:
        call = inspect.signature(real).bind(*given, **named)
        run: Run = call.arguments["run"]
        seen.append((run.folder.name, call.arguments["resume"]))
        before(run, call.arguments)
        return real(*call.args, **call.kwargs)

    monkeypatch.setattr(loop, "train", train)
    return seen


def ctrl_c_at(step: int, listener: Listener) -> Listener:
    def listen(event: Progress | Notice) -> None:
        listener(event)
        if isinstance(event, Progress) and event.task == "training" and event.done == step:
            os.kill(os.getpid(), signal.SIGINT)

    return listen


def test_table_1_is_trained_scored_tabled_and_drawn_once_and_what_it_shares_is_not_trained_again(
    eagrctl: Invoke, data: Path, trained: list[tuple[str, bool]]
) -> None:
    result = eagrctl("ablate", "components", *SMALL, "--faces", 2)
    assert result.exit_code == 0, result.stderr
    assert trained == [(f"components-{name}", False) for name in TABLE_1]
    files = [FOLDER / name for name in ("table.md", "table.csv", "table.json", "figure-3.png")]
    for file in files:
        assert f"Wrote {file}" in result.stderr
    lines = unpadded(files[0].read_text()).splitlines()
    rows = [line for line in lines if line[:1] in set("123456")]
    assert [row[:20] for row in rows[:2]] == ["1 | ✓ |  |  |  |  | ", "2 | ✓ | ✓ |  |  |  |"]
    assert [row.count("✓") for row in rows] == [1, 2, 3, 4, 4, 5]
    assert all(" - |" not in row for row in rows)
    assert "paper (Helen)" in result.stdout
    for row, (name, *_) in zip(json.loads(files[2].read_text())["tables"]["components"]["rows"], trained, strict=True):
        own = json.loads((FOLDER / name / "scores.json").read_text())
        assert own["images"] == 3
        assert row["ours"]["miou"] == 100 * own["scores"]["miou"]
        assert row["ours"]["pixel_accuracy"] == 100 * own["scores"]["pixel_accuracy"]
    with Image.open(files[3]) as picture:
        assert 8 * 240 < picture.width < 9 * 240  # photo, six variants, ground truth
        assert np.asarray(picture).std() > 10
    # The same command trains nothing; another table trains what it alone has.
    trained.clear()
    texts = [file.read_bytes() for file in files]
    written = {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/*")}
    result = eagrctl("ablate", "components", *SMALL, "--faces", 2)
    assert result.exit_code == 0, result.stderr
    assert trained == []
    assert [file.read_bytes() for file in files] == texts
    assert {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/*")} == written
    result = eagrctl("ablate", "pooling", *SMALL, "--faces", 0)
    assert result.exit_code == 0, result.stderr
    assert trained == [("pooling-4x4", False), ("pooling-8x8", False)]
    assert "## Table 1" in files[0].read_text()
    assert not (FOLDER / "pooling.png").exists()


def test_ctrl_c_saves_the_variant_and_the_same_command_goes_on(
    eagrctl: Invoke, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(run: Run, wanted: dict[str, Any]) -> None:
        if run.folder.name == "components-eagrnet":
            wanted["listener"] = ctrl_c_at(2, wanted["listener"])

    with monkeypatch.context() as patch:
        trained = watch(patch, interrupt)
        result = eagrctl("ablate", "pooling", *SMALL)
    assert result.exit_code == 130
    assert "The same command goes on from here." in result.stderr
    assert trained == [("pooling-4x4", False), ("components-eagrnet", False)]
    assert load_checkpoint(FOLDER / "components-eagrnet" / "last.pt").step == 2
    assert "Not finished yet: 6 x 6, 8 x 8." in (FOLDER / "table.md").read_text()
    trained = watch(monkeypatch, lambda *_: None)
    result = eagrctl("ablate", "pooling", *SMALL, "--quiet")
    assert result.exit_code == 0, result.stderr
    assert trained == [("components-eagrnet", True), ("pooling-8x8", False)]
    assert "Not finished" not in result.stdout
    # As if nothing had happened.
    assert eagrctl("train", *SMALL, "--output", "whole").exit_code == 0
    one, other = (load_checkpoint(folder / "last.pt").network for folder in (Path("whole"), FOLDER / trained[0][0]))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("error", "said"), [(TrainingError("it went up in smoke"), "it went"), (ZeroDivisionError("a bug"), "ZeroDivision")]
)
def test_a_variant_that_fails_is_reported_and_does_not_stop_the_others(
    eagrctl: Invoke, data: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(run: Run, wanted: dict[str, Any]) -> None:
        if wanted["recipe"].model.pooling == 6:
            raise error

    with monkeypatch.context() as patch:
        trained = watch(patch, fail)
        result = eagrctl("ablate", "pooling", *SMALL)
    assert result.exit_code == 1
    assert [name for name, _ in trained] == ["pooling-4x4", "components-eagrnet", "pooling-8x8"]
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert line.startswith(f"Error: components-eagrnet: {said}")
    assert ("Traceback" in result.stderr) == isinstance(error, ZeroDivisionError)  # a bug keeps it
    table = {
        row["model"]: row["ours"]["miou"]
        for row in json.loads((FOLDER / "table.json").read_text())["tables"]["pooling"]["rows"]
    }
    assert table["6 x 6"] is None
    assert None not in (table["4 x 4"], table["8 x 8"])
    with Image.open(FOLDER / "pooling.png") as picture:
        assert 4 * 240 < picture.width < 5 * 240  # photo, two variants, ground truth


def test_a_second_ablation_in_one_folder_says_so_and_touches_nothing(
    eagrctl: Invoke, data: Path, trained: list[tuple[str, bool]]
) -> None:
    FOLDER.mkdir(parents=True)
    with locked(FOLDER):
        before = {path: path.read_bytes() for path in FOLDER.rglob("*")}
        assert "is being filled by another eagrctl" in one_line(eagrctl("ablate", "pooling", *SMALL))
        assert {path: path.read_bytes() for path in FOLDER.rglob("*")} == before
    assert trained == []


def test_a_finished_variant_is_cleared_of_what_a_kill_left(eagrctl: Invoke, data: Path) -> None:
    command = ("ablate", "pooling", *SMALL, "--faces", 0)
    assert eagrctl(*command).exit_code == 0
    run = Run(FOLDER / "pooling-4x4")
    line = run.metrics.read_text()
    half = run.folder / TEMPORARY.replace("*", "0123")
    half.write_bytes(b"half")
    # Killed between its checkpoint and its line: what stands in scores.json is then not looked at.
    run.metrics.unlink()
    assert eagrctl(*command).exit_code == 0
    assert run.metrics.read_text() == line
    assert not half.exists()


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    eagrctl: Invoke, data: Path, trained: list[tuple[str, bool]]
) -> None:
    before = sorted(Path().rglob("*"))
    result = eagrctl("ablate", "all", *SMALL, "--dry-run", "--timed-steps", 1)
    assert result.exit_code == 0, result.stderr
    assert "13 trainings on data/celebamask-hq, scored on its split test" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if "pooling-8x8" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")][:4] == [
        *("pooling-8x8", "pooling 8 x 8", "model.pooling=8", "3")
    ]
    assert "Estimated:" in result.stdout
    assert "A step of components-baseline on 4 images took" in result.stdout
    result = eagrctl("ablate", "deployment", *SMALL, "--dry-run", "--timed-steps", 0, "--seed", 7)
    assert "train.seed" not in result.stdout  # no variant changes it
    assert "No time is estimated" in result.stdout
    assert "GFLOPs" not in result.stdout
    assert sorted(Path().rglob("*")) == before
    assert trained == []


def test_where_there_is_no_test_split_val_is_scored(eagrctl: Invoke, merged: Path, tmp_path: Path) -> None:
    index = prepare(open_celebamask_hq(merged), tmp_path / "two splits", Aligner(65))
    command = ("ablate", "pooling", *SMALL, "--data", index.root, "--dry-run", "--timed-steps", 0)
    assert "scored on its split val" in eagrctl(*command).stdout
    assert "has no split 'test'" in one_line(eagrctl(*command, "--split", "test"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--recipe", "hellen"], "no recipe is called 'hellen'"),
        (["--set", "loss.ba_loss=0.0"], "'Edge, Graph, Reasoning' and 'EAGRNet' of Table 1: components are the same"),
        (["--set", "train.batch=1000"], "fewer than one batch of 1000"),
        (["--micro-batch", "1"], "batch norm needs 2"),
        (["--gpus", "64"], "visible to torch"),
        (["--split", "dev"], "has no split 'dev'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    eagrctl: Invoke, data: Path, arguments: list[str], complaint: str
) -> None:
    assert complaint in one_line(eagrctl("ablate", "components", *SMALL, *arguments))
    assert not Path("runs").exists()


def test_a_folder_of_another_recipe_is_refused_before_anything_is_trained(
    eagrctl: Invoke, data: Path, trained: list[tuple[str, bool]]
) -> None:
    assert eagrctl("train", *SMALL, "--seed", 9, "--output", FOLDER / "components-eagrnet").exit_code == 0
    trained.clear()
    line = one_line(eagrctl("ablate", "pooling", *SMALL))
    assert "components-eagrnet was trained by another recipe" in line
    assert trained == []


def test_processes_that_somebody_else_started_are_refused(
    eagrctl: Invoke, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    assert "give it --gpus N, without torchrun" in one_line(eagrctl("ablate", "pooling", *SMALL))
