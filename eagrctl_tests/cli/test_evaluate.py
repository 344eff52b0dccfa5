import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eagrctl.checkpoint import load_checkpoint, save_checkpoint
from eagrctl.data.images import read_photo
from eagrctl.data.index import ShardIndex
from eagrctl.recipe import Recipe
from eagrctl.training.loop import train
from eagrctl.training.run import Run
from eagrctl.training.world import World
from eagrctl_tests.cli.conftest import Invoke, one_line


@pytest.fixture
def run(eagrctl: Invoke, tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> Run:
    """A finished run where eagrctl looks for runs."""
    made = Run(Path("runs") / "tiny")
    train(tiny_recipe("train.epochs=1"), tiny_data, made, World(torch.device("cpu")))
    return made


def test_the_newest_run_is_scored_on_the_data_it_was_trained_on(eagrctl: Invoke, run: Run) -> None:
    result = eagrctl("evaluate", "--report", "table.md", "--picture", "faces.png")
    assert result.exit_code == 0, result.stderr
    assert "mean F1" in result.stdout
    assert "neck_l" in result.stdout
    text = Path("table.md").read_text()
    assert "split test" in text
    assert "3 images" in text
    assert "runs/tiny/best.pt (step 3)" in text
    assert read_photo(Path("faces.png")).std() > 10
    assert "Wrote table.md" in result.stderr
    assert "Wrote faces.png" in result.stderr


@pytest.mark.parametrize("given", ["runs/tiny", "runs/tiny/last.pt"])
def test_a_run_or_a_checkpoint_can_be_named(eagrctl: Invoke, run: Run, given: str) -> None:
    result = eagrctl("evaluate", given, "--split", "val", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""


def test_two_evaluations_give_the_same_report(eagrctl: Invoke, run: Run) -> None:
    for name, batch in (("one.md", 1), ("other.md", 3)):
        assert eagrctl("evaluate", "--report", name, "--batch", batch).exit_code == 0
    assert Path("one.md").read_text() == Path("other.md").read_text()


def test_a_checkpoint_elsewhere_asks_for_its_data(eagrctl: Invoke, run: Run, tiny_data: ShardIndex) -> None:
    moved = Path("elsewhere.pt")
    save_checkpoint(load_checkpoint(run.best), moved)
    assert "give --data" in one_line(eagrctl("evaluate", moved))
    assert eagrctl("evaluate", moved, "--data", tiny_data.root).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--split", "dev"], "has no split 'dev'; it has train, val, test"),
        (["--report", "table.docx"], "ends in .md"),
        (["--report", "missing/table.md"], "its folder does not exist"),
        (["--picture", "missing/faces.png"], "its folder does not exist"),
        (["--picture", "faces.jpg"], "ends in .png"),
        (["nowhere.pt"], "no checkpoint at nowhere.pt"),
        (["notes.pt"], "notes.pt is no file of weights"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    eagrctl: Invoke, run: Run, arguments: list[str], complaint: str
) -> None:
    Path("notes.pt").write_text("dear diary")
    before = sorted(Path().iterdir())
    assert complaint in one_line(eagrctl("evaluate", *arguments))
    assert sorted(Path().iterdir()) == before


def test_a_checkpoint_of_other_classes_is_refused(eagrctl: Invoke, run: Run, tiny_data: ShardIndex) -> None:
    loaded = load_checkpoint(run.best)
    save_checkpoint(dataclasses.replace(loaded, classes=tuple(reversed(loaded.classes))), Path("other.pt"))
    line = one_line(eagrctl("evaluate", "other.pt", "--data", tiny_data.root))
    assert "other.pt parses 19 classes" in line


def test_no_run_says_what_to_do(eagrctl: Invoke) -> None:
    assert "train one with eagrctl train" in one_line(eagrctl("evaluate"))
