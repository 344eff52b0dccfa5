import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eagrctl.checkpoint import load_checkpoint, save_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.faces.photo import read_any_photo
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
    assert "necklace" in result.stdout
    text = Path("table.md").read_text()
    assert "split test" in text
    assert "3 images" in text
    assert "tiny/best.pt (step 3, SHA-256 " in text
    assert read_any_photo(Path("faces.png")).std() > 10
    assert "Wrote table.md" in result.stderr
    assert "Wrote faces.png" in result.stderr


def test_all_formats_at_once_say_the_same(eagrctl: Invoke, run: Run) -> None:
    names = [f"report.{ending}" for ending in ("md", "csv", "json", "tex", "html")]
    result = eagrctl("evaluate", *(part for name in names for part in ("--report", name)))
    assert result.exit_code == 0, result.stderr
    assert [line for line in result.stderr.splitlines() if line.startswith("Wrote")] == [
        f"Wrote {name}" for name in names
    ]
    everything = json.loads(Path("report.json").read_text())
    mean = f"{100 * everything['means']['mean_f1']:.1f}"
    ours = list(csv.DictReader(Path("report.csv").read_text().splitlines()))[-1]
    assert (ours["Methods"], ours["Mean"]) == ("eagrctl", mean)
    for name in ("report.md", "report.tex", "report.html"):
        text = Path(name).read_text()
        assert mean in text
        assert "tiny/best.pt (step 3, SHA-256 " in text
        # No face of the fixture has a hat: whether one is predicted or not, a note says so in every format.
        assert "left out of the mean" in text
    assert list(everything["boundary_f1"]) == ["1", "3", "5"]
    assert {each["key"] for each in everything["training"]["differences"]} >= {"model.backbone", "train.rate"}


def test_the_page_shows_faces_curves_and_the_recipe(eagrctl: Invoke, run: Run) -> None:
    assert eagrctl("evaluate", "--split", "val", "--report", "report.html").exit_code == 0
    page = Path("report.html").read_text()
    assert page.count('<figure class="face">') == 3  # of the four faces: best, median, worst
    assert "Loss, mean over the epoch" in page
    assert "<code>model.backbone</code>" in page
    assert "Boundary F1" in page


def test_a_checkpoint_outside_a_run_has_no_curves(eagrctl: Invoke, run: Run, tiny_data: ShardIndex) -> None:
    save_checkpoint(load_checkpoint(run.best), Path("elsewhere.pt"))
    assert eagrctl("evaluate", "elsewhere.pt", "--data", tiny_data.root, "--report", "report.html").exit_code == 0
    page = Path("report.html").read_text()
    assert "Loss, mean over the epoch" not in page
    assert "<code>model.backbone</code>" in page


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
        (["--report", "table.docx"], "ends in .md, .csv, .json, .tex or .html"),
        (["--report", "fine.md", "--report", "table.txt"], "cannot write table.txt"),
        (["--report", "missing/table.md"], "its folder does not exist"),
        (["--picture", "missing/faces.png"], "its folder does not exist"),
        (["--picture", "faces.jpg"], "ends in .png"),
        (["nowhere.pt"], "no checkpoint at nowhere.pt"),
        (["notes.pt"], "notes.pt is not a file of weights"),
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


def test_saved_predictions_score_to_the_identical_table(eagrctl: Invoke, run: Run, tiny_data: ShardIndex) -> None:
    saved = eagrctl("evaluate", "--save-predictions", "predictions", "--report", "ours.json")
    assert saved.exit_code == 0, saved.stderr
    assert "Wrote predictions" in saved.stderr
    scored = eagrctl("score", "predictions", tiny_data.root, "--split", "test", "--report", "theirs.json")
    assert scored.exit_code == 0, scored.stderr
    ours, theirs = (json.loads(Path(f"{name}.json").read_text()) for name in ("ours", "theirs"))
    assert ours["confusion"] == theirs["confusion"]
    tables = [
        [line for line in result.stdout.splitlines() if line.startswith("│") or "mean F1" in line]
        for result in (saved, scored)
    ]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 20
    assert "holds something already" in one_line(eagrctl("evaluate", "--save-predictions", "predictions"))


def test_several_processes_and_views_are_told_in_the_report(eagrctl: Invoke, run: Run) -> None:
    for name, processes in (("one.md", 1), ("two.md", 2)):
        arguments = ("--split", "val", "--batch", 2, "--tta", "mirror,scales", "--cpu-processes", processes)
        result = eagrctl("evaluate", *arguments, "--report", name)
        assert result.exit_code == 0, result.stderr
    assert Path("one.md").read_text() == Path("two.md").read_text()
    assert "test-time augmentation mirror, scales 0.75 and 1.25" in Path("one.md").read_text()
    assert "called 'miror'" in one_line(eagrctl("evaluate", "--tta", "miror"))


def test_data_that_was_moved_is_asked_for(eagrctl: Invoke, run: Run, tmp_path: Path) -> None:
    run.about.write_text(json.dumps({"data": str(tmp_path / "moved")}))
    said = one_line(eagrctl("evaluate"))
    assert f"{tmp_path / 'moved'}, on which runs/tiny/best.pt was trained, is not there: give --data DIR" in said
