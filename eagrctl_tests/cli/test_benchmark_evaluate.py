import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.recipe import Recipe
from eagrctl_tests.cli.conftest import Invoke, one_line


@pytest.fixture
def checkpoint(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> Path:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    save_checkpoint(Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict()), tmp_path / "a.pt")
    return tmp_path / "a.pt"


def test_it_prints_both_ways_and_writes_all_figures(eagrctl: Invoke, checkpoint: Path, tiny_data: ShardIndex) -> None:
    result = eagrctl("benchmark", "evaluate", checkpoint, "--data", tiny_data.root, "--json", "speed.json")
    assert result.exit_code == 0, result.stderr
    for part in ("map back", "confusion", "network", "the plain way", "times the images a second"):
        assert part in result.stdout
    written = json.loads(Path("speed.json").read_text())
    assert written["images"] == 4
    assert written["times_plain"] == pytest.approx(sum(written["plain"].values()) / sum(written["ours"].values()))
    assert "Wrote speed.json" in result.stderr


def test_a_wrong_ending_is_one_line(eagrctl: Invoke, checkpoint: Path, tiny_data: ShardIndex) -> None:
    line = one_line(eagrctl("benchmark", "evaluate", checkpoint, "--data", tiny_data.root, "--json", "speed.txt"))
    assert "ends in .json" in line
