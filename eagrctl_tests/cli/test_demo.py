import shutil
from pathlib import Path

import pytest

from eagrctl.cli import demo
from eagrctl.data.index import ShardIndex
from eagrctl.faces.photo import read_any_photo
from eagrctl.recipe import find_recipe, load_recipe
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import TINY


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of the same steps on fewer faces and with a smaller network."""
    for name, count in (("TRAIN", 8), ("VAL", 2), ("TEST", 3)):
        monkeypatch.setattr(demo, name, count)
    small = load_recipe(find_recipe("synthetic-small"), [*TINY, "train.epochs=1"])
    monkeypatch.setattr("eagrctl.recipe.load_recipe", lambda path: small)
    monkeypatch.setattr(demo, "cores", lambda: 1)


@pytest.mark.usefixtures("quick")
def test_the_demo_goes_the_whole_way(eagrctl: Invoke) -> None:
    result = eagrctl("demo", "there")
    assert result.exit_code == 0, result.stderr
    text = Path("there/table.md").read_text()
    assert "Overall" in text
    assert "\n| eagrctl demo " in text
    assert "not comparable" in text
    assert text.strip() in result.stdout
    assert ShardIndex.load(Path("there/data")).split("test").count == 3
    picture = read_any_photo(Path("there/faces.png"))
    assert picture.shape[1] > 400
    assert picture.std() > 10
    for name in ("table.md", "faces.png", "run/best.pt"):
        assert f"Wrote there/{name}" in result.stderr


@pytest.mark.usefixtures("quick")
def test_a_second_demo_in_the_same_place_is_refused(eagrctl: Invoke) -> None:
    assert eagrctl("demo", "--output", "there", "--quiet").exit_code == 0
    assert "holds something already" in one_line(eagrctl("demo", "there"))


def test_two_places_at_once_are_wrong_usage(eagrctl: Invoke) -> None:
    result = eagrctl("demo", "here", "--output", "there")
    assert result.exit_code == 2
    assert not list(Path().iterdir())


@pytest.mark.usefixtures("quick")
def test_a_demo_that_never_came_to_a_checkpoint_can_be_started_again(eagrctl: Invoke) -> None:
    assert eagrctl("demo", "there", "--quiet").exit_code == 0
    shutil.rmtree("there/run")
    assert eagrctl("demo", "there", "--quiet").exit_code == 0
