import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from eagrctl.doctor import Finding, places
from eagrctl.faces import landmarks
from eagrctl.weights.fetch import PUBLISHED

PREDICTOR = "shape_predictor_5_face_landmarks.dat"


@pytest.fixture(autouse=True)
def _an_empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAGRCTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EAGRCTL_PREDICTOR", raising=False)
    monkeypatch.setattr(landmarks, "PACKAGE", "eagrctl_no_models")
    monkeypatch.setattr(landmarks, "DEBIAN", tmp_path / "debian")


def look(folder: Path, inside: Path | None = None) -> dict[str, Finding]:
    found = {finding.name: finding for finding in places(inside or folder, folder / "data", folder / "runs")}
    assert all(finding.good or finding.remedy for finding in found.values())
    return found


def test_an_empty_folder_is_fine_and_every_line_says_what_comes_next(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert {name: finding.good for name, finding in found.items()} == {
        "folder": True,
        "datasets": None,
        "runs": None,
        "dlib predictor": None,
        "cache": True,
        "ImageNet weights": None,
    }
    assert "eagrctl prepare" in found["datasets"].remedy
    assert "eagrctl train" in found["runs"].remedy
    assert found["dlib predictor"].remedy == landmarks.REMEDY
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_ends_all_hope(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finding = look(tmp_path, inside=tmp_path / "file")["folder"]
    assert (finding.good, finding.needed) == (False, True)
    assert "NotADirectoryError" in finding.detail


def test_datasets_and_runs_are_named(tmp_path: Path) -> None:
    for place in ("data/lapa/index.json", "data/helen/index.json", "runs/b/run.json", "runs/a/run.json"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text("{}")
    (tmp_path / "data" / "unfinished").mkdir()
    os.utime(tmp_path / "runs/b/run.json", (1e9, 1e9))
    found = look(tmp_path)
    assert found["datasets"].detail == f"helen, lapa in {tmp_path / 'data'}/"
    assert found["runs"].detail == f"2 in {tmp_path / 'runs'}/, of which a began last"


@dataclass(frozen=True)
class Read:
    """A predictor that was read."""

    path: Path
    description: str = "dlib, 5 points"


def test_the_predictor_that_would_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks, "DlibLandmarks", Read)
    (tmp_path / "debian").mkdir()
    file = tmp_path / "debian" / PREDICTOR
    file.write_text("")
    finding = look(tmp_path)["dlib predictor"]
    assert (finding.good, finding.detail) == (True, f"{file} (dlib, 5 points)")


@pytest.mark.parametrize("there", [False, True])
def test_a_predictor_that_was_named_and_is_unfit_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    file = tmp_path / "mine.dat"
    if there:
        file.write_text("no predictor")
    monkeypatch.setenv("EAGRCTL_PREDICTOR", str(file))
    finding = look(tmp_path)["dlib predictor"]
    assert (finding.good, finding.needed) == (False, False)
    assert str(file) in finding.detail
    assert "EAGRCTL_PREDICTOR" in finding.remedy


def test_without_dlib_the_predictor_cannot_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / PREDICTOR).write_text("")
    finding = look(tmp_path)["dlib predictor"]
    assert finding.good is None
    assert "mend dlib" in finding.remedy


def test_the_cache_is_measured(tmp_path: Path) -> None:
    (tmp_path / "cache" / "other").mkdir(parents=True)
    with (tmp_path / "cache" / "other" / "file").open("wb") as file:
        file.truncate(1_500_000_000)
    assert look(tmp_path)["cache"].detail == f"{tmp_path / 'cache'}, 1.5 GB"


def test_a_cache_that_cannot_be_written_has_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    finding = look(tmp_path)["cache"]
    assert finding.good is None
    assert "EAGRCTL_CACHE" in finding.remedy


def test_weights_in_the_cache_are_named_and_measured(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    good, cut = PUBLISHED["resnet101", "deep"], PUBLISHED["resnet18", "conv7x7"]
    for published, size in ((good, good.bytes[0]), (cut, cut.bytes[0] - 1)):
        with (folder / published.name).open("wb") as file:
            file.truncate(size)
    findings = [finding for finding in places(tmp_path, tmp_path, tmp_path) if finding.name == "ImageNet weights"]
    assert [(finding.good, cut.name in finding.detail) for finding in findings] == [(False, True), (True, False)]
    assert findings[1].detail == good.name
    assert "delete it" in findings[0].remedy
