import json
import signal
from pathlib import Path

import pytest
import torch

from eagrctl.errors import CheckpointError, RecipeError, TrainingError
from eagrctl.events import Notice, Progress
from eagrctl.faces.detection.file import load_detector
from eagrctl.tensorfile import read_tensors
from eagrctl.training.detector.loop import train_detector
from eagrctl.training.scenes.materials import MaterialIndex
from eagrctl_tests.training.detector.conftest import Load

CPU = torch.device("cpu")


def same(one: Path, other: Path) -> None:
    """Whether two runs ended with the same weights, to the last bit."""
    first, second = (read_tensors(folder / "last.pt").contents for folder in (one, other))
    assert first["step"] == second["step"]
    for part in ("network", "average"):
        assert all(torch.equal(tensor, second[part][name]) for name, tensor in first[part].items())


@pytest.mark.parametrize("part", ["faces", "points"])
def test_a_run_leaves_its_best_its_last_and_a_line_an_epoch(
    tmp_path: Path, material: MaterialIndex, recipe: Load, part: str
) -> None:
    start = tmp_path / "start"
    assert train_detector(recipe("train.epochs=1"), material.root, start, CPU)
    chosen, events = recipe(f'train.part="{part}"', f"train.start='{start / 'best.safetensors'}'"), []
    assert train_detector(chosen, material.root, tmp_path / "run", CPU, listener=events.append)
    detector = load_detector(tmp_path / "run" / "best.safetensors")
    assert (detector.points is not None) == (part == "points")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 2), (2, 4)]
    assert lines[0]["loss"]["total"] > 0
    assert set(lines[0]["val"]) == (
        {"ap", "ap_photos", "ap_composites"} if part == "faces" else {"good", "eyes_near", "median_error"}
    )
    assert events[-1] == Notice(events[-1].text) if isinstance(events[-1], Notice) else True
    assert Progress("training", 0, 4) in events
    # Finished, the same command has nothing to do.
    assert train_detector(chosen, material.root, tmp_path / "run", CPU)


@pytest.mark.parametrize("views", [1, 3])
def test_interrupted_and_gone_on_with_it_ends_the_same(
    tmp_path: Path, material: MaterialIndex, recipe: Load, views: int
) -> None:
    chosen = recipe(f"train.views={views}")
    assert train_detector(chosen, material.root, tmp_path / "whole", CPU)

    def interrupt(event: Progress | Notice) -> None:
        if isinstance(event, Progress) and event.done in (1, 3):
            signal.raise_signal(signal.SIGINT)

    assert not train_detector(chosen, material.root, tmp_path / "cut", CPU, listener=interrupt)
    events: list[Progress | Notice] = []
    assert train_detector(chosen, material.root, tmp_path / "cut", CPU, listener=events.append)
    assert Notice(f"Going on from step 1 of {4 * views}") in events
    same(tmp_path / "whole", tmp_path / "cut")


def test_processes_that_make_scenes_make_the_same(tmp_path: Path, material: MaterialIndex, recipe: Load) -> None:
    chosen = recipe("train.epochs=1")
    assert train_detector(chosen, material.root, tmp_path / "alone", CPU)
    assert train_detector(chosen, material.root, tmp_path / "helped", CPU, workers=1)
    same(tmp_path / "alone", tmp_path / "helped")


def test_what_cannot_be_trained_is_one_line(tmp_path: Path, material: MaterialIndex, recipe: Load) -> None:
    with pytest.raises(RecipeError, match="samples must be at least one batch of 4, not 3"):
        recipe("train.samples=3")
    with pytest.raises(TrainingError, match="points are refined in the faces of a detector"):
        train_detector(recipe('train.part="points"'), material.root, tmp_path / "run", CPU)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(TrainingError, match="holds something else"):
        train_detector(recipe(), material.root, tmp_path / "other", CPU)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "recipe.toml").write_text("mine = true\n")
    with pytest.raises(TrainingError, match="holds something else"):
        train_detector(recipe(), material.root, tmp_path / "own", CPU)
    assert (tmp_path / "own" / "recipe.toml").read_text() == "mine = true\n"
    run = tmp_path / "run"
    assert train_detector(recipe("train.epochs=1"), material.root, run, CPU)
    with pytest.raises(TrainingError, match="holds a run of another recipe"):
        train_detector(recipe("train.epochs=3"), material.root, run, CPU)
    wide = recipe("network.neck=12", f"train.start='{run / 'best.safetensors'}'")
    with pytest.raises(TrainingError, match=r"has widths .* and neck 8: give the recipe's \[network\] the same"):
        train_detector(wide, material.root, tmp_path / "wide", CPU)
    (run / "last.pt").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="not a file of weights"):
        train_detector(recipe("train.epochs=1"), material.root, run, CPU)
    empty = MaterialIndex(tmp_path / "empty", {}, "", ())
    empty.root.mkdir()
    empty.save()
    with pytest.raises(TrainingError, match="has no heads of the split train"):
        train_detector(recipe(), empty.root, tmp_path / "none", CPU)
