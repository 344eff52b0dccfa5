import json
import math
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.locks import locked
from eagrctl.recipe import Recipe
from eagrctl.training.history import read_history
from eagrctl.training.run import Epoch, Run


def line(epoch: int, mean_f1: float = 0.5) -> dict[str, Any]:
    terms = {"total": 3.0 / epoch, "parsing": 1.0, "edge": 1.0, "boundary": 3.0 / epoch - 2}
    val = {"mean_f1": mean_f1, "miou": mean_f1 - 0.1, "f1 skin": 0.9}
    return {"epoch": epoch, "step": 10 * epoch, "rate": 1e-3, "loss": terms, "val": val, "seconds": 60.0 * epoch}


def make(folder: Path, recipe: Recipe, epochs: int = 0, age: int = 0) -> Run:
    run = Run(folder)
    run.create(recipe, Path("data") / "faces")
    for epoch in range(1, epochs + 1):
        run.log(line(epoch))
    if epochs:
        run.last.write_text("weights")
    for path in run.folder.iterdir():
        os.utime(path, (1e9 - age, 1e9 - age))
    return run


def test_what_was_logged_is_read_back(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    run = make(tmp_path / "a", tiny_recipe(), 2)
    history = read_history(run)
    assert history.recipe == tiny_recipe()
    assert history.data == Path("data/faces").absolute()
    assert history.began is not None
    assert abs((datetime.now().astimezone() - history.began).total_seconds()) < 60
    assert history.state == "finished"
    first, second = history.epochs
    assert first == Epoch(1, 10, 1e-3, line(1)["loss"], line(1)["val"], 60.0)
    assert (second.epoch, second.step, second.seconds, second.mean_f1) == (2, 20, 120.0, 0.5)


LINES = "".join(json.dumps(line(epoch)) + "\n" for epoch in (1, 2, 3)).encode()


@given(st.integers(0, len(LINES)))
def test_a_file_that_ends_anywhere_gives_its_whole_lines(end: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        path.write_bytes(LINES[:end])
        breaks = [place for place, byte in enumerate(LINES) if byte == ord("\n")]
        whole = sum(place <= end for place in breaks)  # a line is whole without its break
        assert [epoch.epoch for epoch in Run(path.parent).epochs()] == list(range(1, whole + 1))


@pytest.mark.parametrize(
    "damage", [b"", b"null", b"[1]", b'{"epoch": "x", "step": 1}', b'{"epoch": 1e999, "step": 1}', b"\xff\xfe\x00"]
)
def test_a_line_that_is_no_epoch_is_passed_over(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    one, *rest = LINES.splitlines(keepends=True)
    path.write_bytes(one + damage + b"\n" + b"".join(rest))
    assert [epoch.epoch for epoch in Run(path.parent).epochs()] == [1, 2, 3]


def test_what_another_version_did_not_log_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1, "step": 5}\n')
    (epoch,) = Run(path.parent).epochs()
    assert math.isnan(epoch.rate)
    assert math.isnan(epoch.seconds)
    assert math.isnan(epoch.mean_f1)
    assert Run(tmp_path / "missing").epochs() == ()


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan]), max_size=6))
def test_the_best_epoch_is_the_one_whose_checkpoint_was_kept(scores: list[float]) -> None:
    with TemporaryDirectory() as folder:
        run = Run(Path(folder))
        for epoch, score in enumerate(scores, start=1):
            run.log(line(epoch, score))
        kept, best = None, -1.0
        for epoch, score in enumerate(scores, start=1):  # as training keeps it
            if score > best:
                kept, best = epoch, score
        found = read_history(run).best
        assert (found and found.epoch) == kept


def test_a_folder_that_has_lost_its_files_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    (tmp_path / "recipe.toml").write_text("other = 1\n")
    history = read_history(Run(tmp_path))
    assert (history.recipe, history.data, history.began, history.epochs) == (None, None, None, ())
    assert history.state == "interrupted"
    assert history.best is None


def test_a_run_in_training_is_running(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    run = make(tmp_path / "a", tiny_recipe(), 1)
    with locked(run.folder):
        assert read_history(run).state == "running"
    assert read_history(run).state == "interrupted"
