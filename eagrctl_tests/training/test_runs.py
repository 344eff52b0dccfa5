import os
from collections.abc import Callable
from pathlib import Path

import pytest

from eagrctl.errors import CheckpointError, TrainingError
from eagrctl.recipe import Recipe
from eagrctl.training.runs import find_checkpoint, find_run, runs_in, unfinished_run
from eagrctl_tests.training.test_history import make as make_run
from eagrctl_tests.training.test_run import make


def test_runs_are_listed_by_their_last_writing_those_without_a_checkpoint_too(
    tmp_path: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    make_run(tmp_path / "old", tiny_recipe(), 1, age=30)
    make_run(tmp_path / "begun", tiny_recipe(), 0, age=10)
    resumed = make_run(tmp_path / "resumed", tiny_recipe(), 1, age=50)
    os.utime(resumed.last, (1e9 - 5, 1e9 - 5))
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("")
    assert [run.folder.name for run in runs_in(tmp_path)] == ["resumed", "begun", "old"]
    assert runs_in(tmp_path / "missing") == []


def test_a_run_is_found_by_path_by_name_or_as_the_newest(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    old, new = (make_run(tmp_path / name, tiny_recipe(), 1, age) for name, age in (("old", 20), ("new", 10)))
    assert find_run(None, tmp_path) == new
    assert find_run(old.folder, Path("elsewhere")) == old
    assert find_run(Path("old"), tmp_path) == old
    with pytest.raises(TrainingError, match="none is not a run"):
        find_run(Path("none"), tmp_path)
    with pytest.raises(TrainingError, match="train one with eagrctl train"):
        find_run(None, tmp_path / "missing")


def test_the_newest_unfinished_run_is_resumed(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    make(tmp_path / "older", tiny_recipe(), 1, 30)
    make(tmp_path / "unfinished", tiny_recipe(), 1, 20)
    finished = make(tmp_path / "finished", tiny_recipe(), 2, 10)
    assert unfinished_run(None, tmp_path).folder.name == "unfinished"
    assert unfinished_run(tmp_path / "older", tmp_path).folder.name == "older"
    with pytest.raises(TrainingError, match="is finished"):
        unfinished_run(finished.folder, tmp_path)
    with pytest.raises(TrainingError, match="holds no run to resume"):
        unfinished_run(tmp_path, tmp_path)
    with pytest.raises(TrainingError, match="no unfinished run"):
        unfinished_run(None, tmp_path / "missing")


def test_the_best_checkpoint_of_the_newest_run_is_used(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    make(tmp_path / "old", tiny_recipe(), 1, 30)
    new = make(tmp_path / "new", tiny_recipe(), 1, 10)
    assert find_checkpoint(None, tmp_path) == new.best
    assert find_checkpoint(tmp_path / "old", tmp_path) == tmp_path / "old" / "best.pt"
    assert find_checkpoint(new.last, tmp_path) == new.last
    new.best.unlink()
    assert find_checkpoint(None, tmp_path) == new.last


def test_no_checkpoint_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="eagrctl train"):
        find_checkpoint(None, tmp_path)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        find_checkpoint(tmp_path, tmp_path)
