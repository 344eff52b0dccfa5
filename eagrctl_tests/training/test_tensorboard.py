import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.recipe import Recipe
from eagrctl.training.loop import train
from eagrctl.training.run import Run
from eagrctl.training.tensorboard import TensorBoardLog, require_tensorboard
from eagrctl.training.world import World
from eagrctl_tests.training.test_history import line

FACES = Image.new("RGB", (30, 20), "red")


@pytest.fixture
def _installed() -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is an extra")


def read(folder: Path) -> tuple[dict[str, list[tuple[int, float]]], dict[str, list[tuple[int, int, int]]]]:
    """What TensorBoard shows of a folder: (step, value) of scalars; step, width and height of pictures."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(folder))
    shown.Reload()
    tags = shown.Tags()
    scalars = {name: [(event.step, event.value) for event in shown.Scalars(name)] for name in tags["scalars"]}
    images = {name: [(each.step, each.width, each.height) for each in shown.Images(name)] for name in tags["images"]}
    return scalars, images


@pytest.mark.usefixtures("_installed")
def test_tensorboard_shows_loss_scores_rate_and_pictures(tmp_path: Path) -> None:
    log = TensorBoardLog(tmp_path / "tensorboard")
    for epoch in (1, 2):
        log.epoch(10 * epoch, line(epoch, epoch / 4), FACES)
    log.close()
    scalars, images = read(tmp_path / "tensorboard")
    assert set(scalars) == {
        *(f"loss/{name}" for name in ("total", "parsing", "edge", "boundary")),
        *(f"val/{name}" for name in ("mean_f1", "miou", "f1 skin")),
        "rate",
    }
    assert scalars["loss/total"] == [(10, 3.0), (20, 1.5)]
    assert scalars["val/mean_f1"] == [(10, 0.25), (20, 0.5)]
    assert scalars["rate"] == [(10, pytest.approx(1e-3)), (20, pytest.approx(1e-3))]
    assert images == {"val": [(10, 30, 20), (20, 30, 20)]}


@pytest.mark.usefixtures("_installed")
def test_training_shows_every_epoch(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert train(tiny_recipe(), tiny_data, run, World(torch.device("cpu")), tensorboard=True)
    scalars, images = read(run.folder / "tensorboard")
    assert scalars["val/mean_f1"] == [(epoch.step, pytest.approx(epoch.mean_f1)) for epoch in run.epochs()]
    assert [step for step, _, _ in images["val"]] == [3, 6]


@pytest.mark.usefixtures("_installed")
def test_a_resumed_run_appends_and_takes_back_what_it_takes_again(tmp_path: Path) -> None:
    first = TensorBoardLog(tmp_path)
    for epoch in (1, 2, 3):
        first.epoch(10 * epoch, line(epoch), FACES)
    first.close()
    again = TensorBoardLog(tmp_path, step=10)
    again.epoch(20, line(2, 0.75), FACES)
    again.close()
    assert read(tmp_path)[0]["val/mean_f1"] == [(10, 0.5), (20, 0.75)]


@pytest.mark.usefixtures("_installed")
def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(TrainingError, match="without --tensorboard"):
        TensorBoardLog(tmp_path / "taken" / "tensorboard")


def test_without_tensorboard_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for attempt in (require_tensorboard, lambda: TensorBoardLog(tmp_path / "tensorboard")):
        with pytest.raises(TrainingError, match=r"pip install 'eagrctl\[tensorboard\]'"):
            attempt()
    assert list(tmp_path.iterdir()) == []
