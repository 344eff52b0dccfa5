import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import astronaut

from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.recipe import Recipe
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import TINY
from eagrctl_tests.export.exports import save_network, tiny
from eagrctl_tests.faces.test_landmarks import LEFT_EYE, NOSE_BASE, RIGHT_EYE, train

SETTINGS = [part for override in TINY for part in ("--set", override)]


def test_every_figure_is_printed_and_written(eagrctl: Invoke, tiny_data: ShardIndex) -> None:
    arguments = ("--processes", 1, "--steps", 2, "--json", "speed.json")
    result = eagrctl("benchmark", "train", *SETTINGS, "--data", tiny_data.root, *arguments)
    assert result.exit_code == 0, result.stderr
    for part in ("1 process", "images/s", "waiting", "torch "):
        assert part in result.stdout
    (speed,) = json.loads(Path("speed.json").read_text())["speeds"]
    assert f"{speed['images_per_second']:.2f}" in result.stdout
    assert "Wrote speed.json" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--json", "speed.txt"], "ends in .json"),
        (["--set", "train.batch=3"], "batch norm needs 2"),
        (["--recipe", "smal"], "no recipe is called 'smal'"),
    ],
)
def test_a_mistake_in_training_is_one_line(
    eagrctl: Invoke, tiny_data: ShardIndex, arguments: list[str], complaint: str
) -> None:
    line = one_line(eagrctl("benchmark", "train", *SETTINGS, "--data", tiny_data.root, *arguments))
    assert complaint in line


@pytest.fixture
def trained(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> Path:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    save_checkpoint(Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict()), tmp_path / "a.pt")
    return tmp_path / "a.pt"


def test_it_prints_both_ways_and_writes_all_figures(eagrctl: Invoke, trained: Path, tiny_data: ShardIndex) -> None:
    result = eagrctl("benchmark", "evaluate", trained, "--data", tiny_data.root, "--json", "speed.json")
    assert result.exit_code == 0, result.stderr
    for part in ("map back", "confusion", "network", "the plain way", "times the images a second"):
        assert part in result.stdout
    written = json.loads(Path("speed.json").read_text())
    assert written["images"] == 4
    assert written["times_plain"] == pytest.approx(sum(written["plain"].values()) / sum(written["ours"].values()))
    assert "Wrote speed.json" in result.stderr


def test_a_wrong_ending_of_an_evaluations_figures_is_one_line(
    eagrctl: Invoke, trained: Path, tiny_data: ShardIndex
) -> None:
    line = one_line(eagrctl("benchmark", "evaluate", trained, "--data", tiny_data.root, "--json", "speed.txt"))
    assert "ends in .json" in line


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
    for part in ("find faces", "map back", "torch ", "faces a second", "times plain", "largest error"):
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
    assert "random weights" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--json", "speed.txt"], "ends in .json"),
        (["--full", "celebamask"], "no recipe is called 'celebamask'"),
        (["--photos", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_in_parsing_is_one_line(
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


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--data", "nowhere"], "no prepared dataset at nowhere"), (["nowhere.pt"], "no checkpoint at nowhere.pt")],
)
def test_films_of_what_is_not_there(
    eagrctl: Invoke, tiny_data: ShardIndex, arguments: list[str], complaint: str
) -> None:
    data = [] if "--data" in arguments else ["--data", tiny_data.root]
    assert complaint in one_line(eagrctl("benchmark", "films", *data, *arguments))
