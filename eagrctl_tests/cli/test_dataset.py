from pathlib import Path

import numpy as np
import pytest

from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.data.prepare import prepare
from eagrctl.faces.photo import read_any_photo
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl_tests.cli.conftest import Invoke, one_line


@pytest.fixture
def data(eagrctl: Invoke, merged: Path) -> Path:
    prepare(open_celebamask_hq(merged), Path("data/celebamask-hq"), Aligner(49))
    return Path("data/celebamask-hq")


def test_info_shows_counts_classes_and_shares(eagrctl: Invoke, data: Path) -> None:
    result = eagrctl("dataset", "info")
    assert result.exit_code == 0, result.stderr
    for text in ("train", "12", "neck_l (necklace)", "paint order: as merged in the source", "alignment: none"):
        assert text in result.stdout, text
    assert "no face has a pixel of glasses, left brow" in result.stdout


def test_verify_tells_whole_from_changed(eagrctl: Invoke, data: Path) -> None:
    assert "15 samples are whole" in eagrctl("dataset", "verify", data).stdout
    shard = data / "val-00000.h5"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "val-00000.h5 changed since it was indexed" in one_line(eagrctl("dataset", "verify"))


def test_browse_draws_a_contact_sheet(eagrctl: Invoke, data: Path) -> None:
    result = eagrctl("dataset", "browse", data, "--split", "val", "--count", 3, "--output", "sheet.png")
    assert result.exit_code == 0, result.stderr
    assert "Wrote sheet.png" in result.stderr
    picture = read_any_photo(Path("sheet.png"))
    assert picture.shape[1] > 900
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000
    assert "ends in .png" in one_line(eagrctl("dataset", "browse", "--output", "sheet.jpg"))


def test_slices_are_prepared_and_merged(eagrctl: Invoke, merged: Path) -> None:
    for part in ("1/2", "2/2"):
        result = eagrctl("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1, "--slice", part)
        assert result.exit_code == 0, result.stderr
    parts = ["data/celebamask-hq-1-of-2", "data/celebamask-hq-2-of-2"]
    assert "is part 1 of 2" in one_line(eagrctl("train", "--data", parts[0]))
    result = eagrctl("dataset", "merge", *parts, "--output", "data/celebamask-hq")
    assert result.exit_code == 0, result.stderr
    assert ShardIndex.load(Path("data/celebamask-hq")).split("train").count == 12


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/2/3"])
def test_a_slice_that_makes_no_sense_is_wrong_usage(eagrctl: Invoke, merged: Path, text: str) -> None:
    assert eagrctl("prepare", "celebamask-hq", merged, "--slice", text).exit_code == 2


def test_no_dataset_says_what_to_run(eagrctl: Invoke) -> None:
    assert "run eagrctl prepare first" in one_line(eagrctl("dataset", "info"))
