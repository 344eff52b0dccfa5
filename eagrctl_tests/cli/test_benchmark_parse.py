import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import astronaut

from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.export.exports import save_network, tiny
from eagrctl_tests.faces.test_landmarks import LEFT_EYE, NOSE_BASE, RIGHT_EYE, train


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("network") / "tiny.pt", tiny(), "")


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = [RIGHT_EYE[1], RIGHT_EYE[0], LEFT_EYE[0], LEFT_EYE[1], NOSE_BASE]
    return train(tmp_path_factory.mktemp("points") / "tiny_5.dat", parts)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(astronaut()).save(folder / f"{number}.jpg")
    return folder


def test_networks_and_photos_are_measured_and_all_figures_written(
    eagrctl: Invoke, checkpoint: Path, points: Path, photos: Path
) -> None:
    arguments = ("--predictor", points, "--full", checkpoint, "--repeat", 2, "--json", "speed.json")
    result = eagrctl("benchmark", "parse", checkpoint, "--photos", photos, *arguments)
    assert result.exit_code == 0, result.stderr
    written = json.loads(Path("speed.json").read_text())
    ((title, network),) = written["networks"].items()  # both are one file
    assert title == f"{checkpoint}, 49 x 49"
    assert [(each["way"], each["batch"]) for each in network if each["way"] != "ONNX Runtime"] == [
        (way, batch) for batch in (1, 8) for way in ("plain float32", "eagrctl")
    ]
    assert all(each["error"] < 1e-4 for each in network)
    whole = written["photos"]
    assert whole["photos"] == 2
    assert whole["faces"] >= 2
    assert all(seconds > 0 for seconds in whole["seconds"].values())
    assert whole["faces_per_second"] == pytest.approx(whole["faces"] / whole["together"])
    for part in ("find faces", "map back", "torch ", "faces a second", "asked for", "full network, times plain"):
        assert part in result.stdout
    assert "Wrote speed.json" in result.stderr


def test_without_onnx_runtime_it_says_how_to_get_it(
    eagrctl: Invoke, checkpoint: Path, points: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    arguments = ("--predictor", points, "--full", "none", "--repeat", 1)
    result = eagrctl("benchmark", "parse", checkpoint, "--photos", photos, *arguments)
    assert result.exit_code == 0, result.stderr
    assert "pip install 'eagrctl[onnx]'" in result.stdout
    assert "full network" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--json", "speed.txt"], "ends in .json"),
        (["--full", "celebamask"], "no recipe is called 'celebamask'"),
        (["--photos", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line(
    eagrctl: Invoke, checkpoint: Path, points: Path, arguments: list[str], complaint: str
) -> None:
    line = one_line(eagrctl("benchmark", "parse", checkpoint, "--predictor", points, "--full", "none", *arguments))
    assert complaint in line


def test_photos_without_a_face_are_one_line(eagrctl: Invoke, checkpoint: Path, points: Path, tmp_path: Path) -> None:
    folder = tmp_path / "grey"
    folder.mkdir()
    Image.new("RGB", (100, 100), "grey").save(folder / "grey.png")
    arguments = ("--photos", folder, "--full", "none", "--quiet")
    line = one_line(eagrctl("benchmark", "parse", checkpoint, "--predictor", points, *arguments))
    assert "no face was found in 1 photo:" in line
