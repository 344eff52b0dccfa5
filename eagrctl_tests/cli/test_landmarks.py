from pathlib import Path

import pytest

from eagrctl.data.index import ShardIndex
from eagrctl.faces.landmarks import DlibLandmarks
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.faces.astronauts import prepare_astronauts
from eagrctl_tests.faces.test_landmarks import LEFT_EYE, NOSE_BASE, RIGHT_EYE, train


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ShardIndex:
    return prepare_astronauts(tmp_path_factory.mktemp("astronauts"), count=3, hidden=1)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landmark predictor that knows the astronaut."""
    parts = [RIGHT_EYE[1], RIGHT_EYE[0], LEFT_EYE[0], LEFT_EYE[1], NOSE_BASE]
    return train(tmp_path_factory.mktemp("points") / "mine.dat", parts)


def test_detectors_are_compared_line_by_line(eagrctl: Invoke, faces: ShardIndex, points: Path) -> None:
    result = eagrctl("landmarks", "evaluate", faces.root, "--detector", "own", "--predictor", points)
    assert result.exit_code == 0, result.stderr
    assert "2 faces of" in result.stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert [row[0] for row in rows] == ["eagrctl's detector", DlibLandmarks(points).description]
    for row in rows:
        found, mean, median = (float(cell) for cell in row[1:4])
        assert found == 100
        assert max(mean, median) < 15


def test_our_own_detector_is_measured_unless_another_is_named(
    eagrctl: Invoke, faces: ShardIndex, points: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGRCTL_PREDICTOR", str(points))
    result = eagrctl("landmarks", "evaluate", faces.root)
    assert result.exit_code == 0, result.stderr
    assert "eagrctl's detector" in result.stdout
    assert "mine.dat" not in result.stdout
    result = eagrctl("landmarks", "evaluate", faces.root, "--detector", "dlib")
    assert result.exit_code == 0, result.stderr
    assert "eagrctl's detector" not in result.stdout
    assert "mine.dat" in result.stdout


def test_what_cannot_work_is_refused_in_one_line(eagrctl: Invoke, faces: ShardIndex, tmp_path: Path) -> None:
    assert "no prepared dataset in data/" in one_line(eagrctl("landmarks", "evaluate"))
    assert "no prepared dataset at nowhere" in one_line(eagrctl("landmarks", "evaluate", "nowhere"))
    assert "has no split 'none'" in one_line(eagrctl("landmarks", "evaluate", faces.root, "--split", "none"))
    unusable = prepare_astronauts(tmp_path / "unusable", count=0, faceless=2)
    assert "is found with both eyes labelled" in one_line(
        eagrctl("landmarks", "evaluate", unusable.root, "--split", "train")
    )
    missing = one_line(eagrctl("landmarks", "evaluate", faces.root, "--predictor", "gone.dat"))
    assert "--predictor names gone.dat, which is not a file" in missing
    assert not list(Path().iterdir())
