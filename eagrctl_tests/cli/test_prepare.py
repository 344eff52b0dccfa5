from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.shards import ShardIndex
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import RAW


def test_celebamask_hq_goes_to_its_default_place(eagrctl: Invoke, merged: Path) -> None:
    result = eagrctl("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1)
    assert result.exit_code == 0, result.stderr
    assert ShardIndex.load(Path("data/celebamask-hq")).split("train").count == 12
    assert "12" in result.stdout
    assert "non-commercial research only" in result.stderr
    assert "Wrote data/celebamask-hq/index.json" in result.stderr


def test_the_download_is_looked_for_in_raw(eagrctl: Invoke, merged: Path) -> None:
    line = one_line(eagrctl("prepare", "celebamask-hq"))
    assert "no folder at raw/celebamask-hq" in line
    assert "github.com/switchablenorms/CelebAMask-HQ" in line
    Path("raw").mkdir()
    merged.rename("raw/celebamask-hq")
    assert eagrctl("prepare", "celebamask-hq", "--size", 49, "--workers", 1).exit_code == 0


def test_a_bad_sample_is_one_line_and_partial_lists_it(eagrctl: Invoke, merged: Path) -> None:
    Image.fromarray(np.full((64, 64), 200, np.uint8)).save(merged / "labels" / "2.png")
    line = one_line(eagrctl("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1))
    assert "labels/2.png holds label 200" in line
    assert not Path("data").exists() or not list(Path("data").iterdir())
    result = eagrctl("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1, "--partial", "--output", "mine")
    assert result.exit_code == 0
    assert "skipped train 2" in result.stderr
    assert "listed in mine/index.json" in result.stderr


def test_prepared_data_needs_force(eagrctl: Invoke, merged: Path) -> None:
    arguments = ("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1, "--quiet")
    assert eagrctl(*arguments).exit_code == 0
    assert "--force" in one_line(eagrctl(*arguments))
    assert eagrctl(*arguments, "--force").exit_code == 0


def test_synthetic_faces_are_painted_at_the_size_asked_for(eagrctl: Invoke) -> None:
    counts = ("--train", 3, "--val", 2, "--test", 2, "--size", 65, "--workers", 1)
    assert eagrctl("prepare", "synthetic", *counts).exit_code == 0
    index = ShardIndex.load(Path("data/synthetic"))
    assert {name: split.count for name, split in index.splits.items()} == {"train": 3, "val": 2, "test": 2}
    assert index.read("test", 1).source_labels.shape == (65, 65)
    assert eagrctl("prepare", "synthetic", *counts, "--seed", 1, "--output", "other").exit_code == 0
    other = ShardIndex.load(Path("other"))
    assert not np.array_equal(other.read("train", 0).image, index.read("train", 0).image)


@pytest.mark.shared
def test_the_real_raw_layout_is_prepared(eagrctl: Invoke) -> None:
    assert "--partial" in one_line(eagrctl("prepare", "celebamask-hq", RAW))
    result = eagrctl("prepare", "celebamask-hq", RAW, "--partial", "--workers", 1)
    assert result.exit_code == 0, result.stderr
    index = ShardIndex.load(Path("data/celebamask-hq"))
    assert {name: split.count for name, split in index.splits.items()} == {"train": 46, "val": 7, "test": 7}
    assert index.size == 473
