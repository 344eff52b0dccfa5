import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from eagrctl.errors import TrainingError
from eagrctl.recipe import Recipe, load_recipe
from eagrctl.training.run import Run


def make(folder: Path, recipe: Recipe, epochs_done: int, age: int) -> Run:
    run = Run(folder)
    run.create(recipe, Path("data"))
    for epoch in range(1, epochs_done + 1):
        run.log({"epoch": epoch, "step": 10 * epoch})
    for path in (run.last, run.best):
        path.write_text("weights")
        os.utime(path, (1e9 - age, 1e9 - age))
    return run


def test_a_new_run_holds_its_recipe_and_its_data(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    run = Run(tmp_path / "runs" / "a")
    run.create(tiny_recipe(), Path("data") / "faces")
    assert load_recipe(run.recipe) == tiny_recipe()
    assert run.data() == (Path("data") / "faces").absolute()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    make(tmp_path / "a", tiny_recipe(), 1, 0)
    with pytest.raises(TrainingError, match=r"holds something already.*--resume"):
        Run(tmp_path / "a").create(tiny_recipe(), Path("data"))
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="holds something already"):
        Run(tmp_path / "file").require_free()


def test_metrics_of_steps_to_be_taken_again_are_dropped(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    run = make(tmp_path / "a", tiny_recipe(), 3, 0)
    run.go_on_from(20)
    assert [json.loads(line)["step"] for line in run.metrics.read_text().splitlines()] == [10, 20]


def test_a_last_line_that_was_cut_short_is_dropped(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    run = make(tmp_path / "a", tiny_recipe(), 2, 0)
    with run.metrics.open("a") as file:
        file.write('{"epoch": 3, "st')
    run.go_on_from(30)
    run.log({"epoch": 3, "step": 30})
    assert [json.loads(line)["step"] for line in run.metrics.read_text().splitlines()] == [10, 20, 30]
