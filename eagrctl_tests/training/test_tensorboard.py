import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.errors import TrainingError
from eagrctl.training.tensorboard import require_tensorboard, tensorboard_log
from eagrctl_tests.training.test_history import line


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
    log = tensorboard_log(tmp_path / "tensorboard", enabled=True)
    for epoch in (1, 2):
        log.epoch(10 * epoch, line(epoch, epoch / 4))
    log.pictures(20, Image.new("RGB", (30, 20), "red"))
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
    assert images == {"val": [(20, 30, 20)]}


@pytest.mark.usefixtures("_installed")
def test_a_resumed_run_appends_and_takes_back_what_it_takes_again(tmp_path: Path) -> None:
    first = tensorboard_log(tmp_path, enabled=True)
    for epoch in (1, 2, 3):
        first.epoch(10 * epoch, line(epoch))
    first.close()
    again = tensorboard_log(tmp_path, enabled=True, step=10)
    again.epoch(20, line(2, 0.75))
    again.close()
    assert read(tmp_path)[0]["val/mean_f1"] == [(10, 0.5), (20, 0.75)]


@pytest.mark.usefixtures("_installed")
def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(TrainingError, match="without --tensorboard"):
        tensorboard_log(tmp_path / "taken" / "tensorboard", enabled=True)


def test_a_log_that_is_not_wanted_writes_nothing_and_needs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    log = tensorboard_log(tmp_path / "tensorboard", enabled=False)
    log.epoch(10, line(1))
    log.pictures(10, Image.fromarray(np.zeros((4, 4, 3), np.uint8)))
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_without_tensorboard_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for attempt in (require_tensorboard, lambda: tensorboard_log(tmp_path / "tensorboard", enabled=True)):
        with pytest.raises(TrainingError, match=r"pip install 'eagrctl\[tensorboard\]'"):
            attempt()
    assert list(tmp_path.iterdir()) == []
