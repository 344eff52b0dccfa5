from pathlib import Path

import pytest

from eagrctl.training.detector import parts
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import write_merged
from eagrctl_tests.training.detector.conftest import TINY
from eagrctl_tests.training.scenes.stock import write_real_photos

SMALL = [argument for override in TINY for argument in ("--set", override)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "COMPOSITES", 2)
    monkeypatch.setattr(parts, "LOOK", 128)


def test_from_photos_to_a_detector_and_its_table(eagrctl: Invoke, quick: None) -> None:
    faces = write_merged(Path("celebamask"), {"train": ["0", "1", "2"], "val": ["3"]}, 96)
    prepared = eagrctl("detector", "prepare", faces, write_real_photos(Path("real")), "--workers", 1)
    assert prepared.exit_code == 0, prepared.stderr
    assert "backgrounds" in prepared.stdout
    assert "Wrote data/detector/index.json" in prepared.stderr + prepared.stdout
    assert "is prepared already" in one_line(eagrctl("detector", "prepare", faces, "real"))
    trained = eagrctl("detector", "train", "--gpus", 0, *SMALL)
    assert trained.exit_code == 0, trained.stderr
    assert "Wrote runs/detector/best.safetensors" in trained.stderr + trained.stdout
    measured = eagrctl("detector", "evaluate", "runs/detector/best.safetensors", "--composites", 1)
    assert measured.exit_code == 0, measured.stderr
    assert "real, 64 pixels high and more" in measured.stdout
    assert "false boxes in 100 photos" in measured.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "no prepared material at data/detector (no index.json): run eagrctl detector prepare first"),
        (["train", "--recipe", "nonsense"], "no recipe is called 'nonsense'"),
        (["train", "--set", "train.bach=4"], "unknown key 'train.bach' (did you mean 'batch'?)"),
        (["evaluate", "gone.safetensors"], "there is no detector gone.safetensors"),
        (["evaluate", "own"], "no prepared material"),
        (["prepare", "nowhere", "real"], "nowhere"),
        (["export", "gone.safetensors"], "no checkpoint at gone.safetensors"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(eagrctl: Invoke, arguments: list[str], said: str) -> None:
    assert said in one_line(eagrctl("detector", *arguments))
    assert list(Path().iterdir()) == []
