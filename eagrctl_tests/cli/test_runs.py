import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.locks import locked
from eagrctl.recipe import Recipe
from eagrctl.training.history import read_history
from eagrctl.training.run import Run
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.training.test_history import line

Make = Callable[..., Run]


@pytest.fixture
def make(tiny_recipe: Callable[..., Recipe]) -> Make:
    """A run in runs/ with some epochs logged, of two; the one made last wrote last."""
    count = 0

    def create(name: str, *scores: float) -> Run:
        nonlocal count
        count += 1
        run = Run(Path("runs") / name)
        run.create(tiny_recipe(), Path("data/celebamask-hq"))
        for epoch, score in enumerate(scores, start=1):
            run.log(line(epoch, score))
        if scores:
            run.last.write_text("weights")
        for path in run.folder.iterdir():
            os.utime(path, (1e9 + count, 1e9 + count))
        return run

    return create


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("│").split("│")]


def test_runs_are_listed_with_what_they_train_and_how_far_they_are(eagrctl: Invoke, make: Make) -> None:
    make("whole", 0.5, 0.4)
    make("cut", 0.25)
    begun = make("begun")
    with locked(begun.folder):
        result = eagrctl("runs")
    assert result.exit_code == 0, result.stderr
    rows = [cells(row) for row in result.stdout.splitlines() if row.startswith("│")]
    recipe = "resnet18, width 0.125, 49 px"
    assert [row[:-1] for row in rows] == [
        ["begun", "celebamask-hq", recipe, "0/2", "-", "-", "running"],
        ["cut", "celebamask-hq", recipe, "1/2", "10", "25.0 (1)", "interrupted"],
        ["whole", "celebamask-hq", recipe, "2/2", "20", "50.0 (1)", "finished"],
    ]
    assert all(f"{read_history(begun).began:%Y-%m-%d}" in row[-1] for row in rows)


def test_the_list_survives_damage(eagrctl: Invoke, make: Make) -> None:
    run = make("damaged", 0.5)
    with run.metrics.open("a") as file:
        file.write('{"epoch": 2, "st')
    run.recipe.write_text("dataset = 1\n")
    (run.folder / "run.json").write_text("{")
    result = eagrctl("runs")
    (row,) = [cells(row) for row in result.stdout.splitlines() if row.startswith("│")]
    assert row == ["damaged", "-", "unreadable recipe", "1/?", "10", "50.0 (1)", "interrupted", "-"]


def test_another_folder_can_be_listed(eagrctl: Invoke, make: Make) -> None:
    make("one", 0.5)
    Path("runs").rename("old")
    assert "│ one " in eagrctl("runs", "--folder", "old").stdout
    assert eagrctl("runs", "--folder", "old", "show", "one").exit_code == 0


def test_no_run_is_one_line_that_says_what_to_do(eagrctl: Invoke) -> None:
    result = eagrctl("runs")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        "No run in runs/: train one with eagrctl train, or name another folder with --folder"
    ]


def test_show_tables_the_newest_run_and_draws_it_into_its_folder(eagrctl: Invoke, make: Make) -> None:
    make("old", 0.1)
    run = make("new", 0.25, 0.75)
    result = eagrctl("runs", "show")
    assert result.exit_code == 0, result.stderr
    out = result.stdout
    assert out.startswith(
        "runs/new: finished, epoch 2/2, resnet18, width 0.125, 49 px on celebamask-hq; best mean F1 75.0 "
    )
    rows = [cells(row) for row in out.splitlines() if row.startswith("│ ") and row.endswith("│")]
    assert rows == [
        ["1", "10", "1.0e-03", "3.000", "1.000", "25.0", "15.0", "1.0"],
        ["2 (best)", "20", "1.0e-03", "1.500", "1.000", "75.0", "65.0", "2.0"],
    ]
    assert "Wrote runs/new/curves.png" in result.stderr
    assert len(np.unique(np.asarray(Image.open(run.folder / "curves.png").convert("RGB")).reshape(-1, 3), axis=0)) > 4


def test_show_takes_a_name_or_a_path_and_a_place_for_the_picture(eagrctl: Invoke, make: Make) -> None:
    run = make("one", 0.5)
    for given in ("one", "runs/one"):
        result = eagrctl("runs", "show", given, "--picture", "mine.png")
        assert result.exit_code == 0, result.stderr
        assert "Wrote mine.png" in result.stderr
    assert not (run.folder / "curves.png").exists()


def test_a_picture_names_the_dataset_and_no_folder(eagrctl: Invoke, make: Make, tmp_path: Path) -> None:
    make("one", 0.5)
    assert eagrctl("runs", "show", "--picture", "mine.svg").exit_code == 0
    drawn = Path("mine.svg").read_text()
    assert "49 px on celebamask-hq; best mean F1 50.0 after epoch 1" in drawn
    assert str(tmp_path.parent) not in drawn


def test_what_cannot_be_shown_is_one_line(eagrctl: Invoke, make: Make) -> None:
    assert "train one with eagrctl train" in one_line(eagrctl("runs", "show"))
    make("begun")
    assert "has no curves yet" in one_line(eagrctl("runs", "show"))
    assert "other is not a run" in one_line(eagrctl("runs", "show", "other"))
    assert "ends in .png, .svg or .pdf" in one_line(eagrctl("runs", "show", "--picture", "curves.jpg"))
    (make("one", 0.5).folder / "curves.png").mkdir()
    assert "name another place with --picture" in one_line(eagrctl("runs", "show"))


def test_the_best_epoch_is_shown_however_long_ago_it_was(eagrctl: Invoke, make: Make) -> None:
    make("long", 0.1, 0.75, *[0.5] * 9)
    out = eagrctl("runs", "show").stdout
    rows = [cells(row) for row in out.splitlines() if row.startswith("│ ")]
    assert [row[0] for row in rows] == ["2 (best)", *map(str, range(4, 12))]
    assert rows[0][5] == "75.0"
