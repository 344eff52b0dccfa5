from pathlib import Path

import pytest

from eagrctl.data.index import ShardIndex
from eagrctl.faces.landmarks import DlibLandmarks
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.faces.astronauts import prepare_astronauts

QUICK = ("--depth", 2, "--cascades", 3, "--trees", 40, "--starts", 2)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ShardIndex:
    return prepare_astronauts(tmp_path_factory.mktemp("astronauts"), count=3, hidden=1)


def test_a_predictor_is_trained_and_compared(eagrctl: Invoke, faces: ShardIndex) -> None:
    result = eagrctl("landmarks", "train", faces.root, *QUICK, "--seed", 3, "--threads", 2)
    assert result.exit_code == 0, result.stderr
    assert "3 of 4 faces to learn from; left out: 1 with a hidden eye" in result.stderr
    assert "five-points.dat" in result.stderr
    assert result.stdout == ""
    again = eagrctl("landmarks", "train", faces.root, *QUICK, "--output", "plain.dat", "--no-mirror", "--copies", 0)
    assert again.exit_code == 0, again.stderr
    assert Path("plain.dat").read_bytes() != Path("five-points.dat").read_bytes()

    arguments = ("--predictor", "five-points.dat", "--predictor", "plain.dat")
    result = eagrctl("landmarks", "evaluate", faces.root, *arguments)
    assert result.exit_code == 0, result.stderr
    assert "2 faces of" in result.stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert [row[0] for row in rows] == [DlibLandmarks(Path(name)).description for name in arguments[1::2]]
    for row in rows:
        found, mean, median = (float(cell) for cell in row[1:4])
        assert found == 100
        assert max(mean, median) < 10


def test_our_own_detector_is_measured_unless_another_is_named(
    eagrctl: Invoke, faces: ShardIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    eagrctl("landmarks", "train", faces.root, *QUICK, "--output", "mine.dat")
    monkeypatch.setenv("EAGRCTL_PREDICTOR", "mine.dat")
    result = eagrctl("landmarks", "evaluate", faces.root)
    assert result.exit_code == 0, result.stderr
    assert "eagrctl's detector" in result.stdout
    assert "mine.dat" not in result.stdout
    result = eagrctl("landmarks", "evaluate", faces.root, "--detector", "own", "--detector", "dlib")
    assert result.exit_code == 0, result.stderr
    assert "eagrctl's detector" in result.stdout
    assert "mine.dat" in result.stdout


def test_what_cannot_work_is_refused_in_one_line(eagrctl: Invoke, faces: ShardIndex, tmp_path: Path) -> None:
    assert "give a name that ends in .dat" in one_line(eagrctl("landmarks", "train", faces.root, "-o", "five.txt"))
    assert "its folder does not exist" in one_line(eagrctl("landmarks", "train", faces.root, "-o", "no/five.dat"))
    assert "no prepared dataset in data/" in one_line(eagrctl("landmarks", "train"))
    assert "no prepared dataset at nowhere" in one_line(eagrctl("landmarks", "train", "nowhere"))
    assert "has no split 'none'" in one_line(eagrctl("landmarks", "train", faces.root, "--split", "none"))
    unusable = prepare_astronauts(tmp_path / "unusable", count=0, faceless=2)
    assert "shows both eyes, nose and mouth" in one_line(eagrctl("landmarks", "train", unusable.root))
    missing = one_line(eagrctl("landmarks", "evaluate", faces.root, "--predictor", "gone.dat"))
    assert "--predictor names gone.dat, which is not a file" in missing
    assert not list(Path().iterdir())
