import json
from pathlib import Path

import pytest

from eagrctl.data.index import ShardIndex
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import TINY

SETTINGS = [part for override in TINY for part in ("--set", override)]


def test_every_figure_is_printed_and_written(eagrctl: Invoke, tiny_data: ShardIndex) -> None:
    arguments = ("--processes", 1, "--steps", 2, "--json", "speed.json")
    result = eagrctl("benchmark", "train", *SETTINGS, "--data", tiny_data.root, *arguments)
    assert result.exit_code == 0, result.stderr
    for part in ("1 process", "images/s", "waiting for data", "torch "):
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
def test_a_mistake_is_one_line(eagrctl: Invoke, tiny_data: ShardIndex, arguments: list[str], complaint: str) -> None:
    line = one_line(eagrctl("benchmark", "train", *SETTINGS, "--data", tiny_data.root, *arguments))
    assert complaint in line
