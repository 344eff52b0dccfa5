import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.index import ShardIndex, Split
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.errors import ShardError, SourceError
from eagrctl.scoring.truths import label_maps, open_truths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "labels"
    root.mkdir()
    for name, label in (("10", 3), ("9", 4)):
        Image.fromarray(np.array([[0, label, 255]], np.uint8)).save(root / f"{name}.png")
    return root


def test_a_folder_gives_its_label_maps_by_name(folder: Path) -> None:
    (folder / "._9.png").write_bytes(b"macOS")
    (folder / "9.jpg").write_bytes(b"a photo")
    truths = open_truths(folder, "lapa")
    assert truths.index is None
    assert (truths.dataset, truths.labels, truths.names) == ("lapa", HELEN, ("9", "10"))
    assert [truths.read(place).tolist() for place in (0, 1)] == [[[0, 4, 255]], [[0, 3, 255]]]


def test_a_prepared_dataset_gives_labels_in_the_source_frame(tiny_data: ShardIndex) -> None:
    truths = open_truths(tiny_data.root, split="val")
    assert truths.index is not None
    assert (truths.dataset, truths.labels) == ("celebamask-hq", CELEBAMASK_HQ)
    assert truths.names == ("12", "13", "14", "15")
    for truth in (truths, pickle.loads(pickle.dumps(truths))):
        for place in range(4):
            assert np.array_equal(truth.read(place), tiny_data.read("val", place).source_labels)


def test_test_is_scored_or_else_val(tiny_data: ShardIndex, tmp_path: Path) -> None:
    assert open_truths(tiny_data.root).split == "test"
    for shard in tiny_data.root.glob("*.h5"):
        (tmp_path / shard.name).hardlink_to(shard)
    for left, expected in ((("train", "val"), "val"), (("train",), "train")):
        replace(tiny_data, root=tmp_path, splits={name: tiny_data.splits[name] for name in left}).save()
        assert open_truths(tmp_path).split == expected


def test_an_empty_split_is_an_error(tiny_data: ShardIndex, tmp_path: Path) -> None:
    replace(tiny_data, root=tmp_path, splits={"test": Split(())}).save()
    with pytest.raises(ShardError, match=r"split test of .* is empty: choose another with --split"):
        open_truths(tmp_path)
    with pytest.raises(ShardError, match=r"has no split 'val'; it has test"):
        open_truths(tmp_path, split="val")


def test_what_cannot_be_scored_against_is_an_error(folder: Path, tiny_data: ShardIndex, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no folder at .*gone: give a folder of label maps NAME\.png, or a prepared"):
        open_truths(tmp_path / "gone", "lapa")
    with pytest.raises(SourceError, match=r"add --dataset, one of helen, lapa, celebamask-hq, synthetic"):
        open_truths(folder)
    with pytest.raises(SourceError, match=r"no dataset is called 'lappa' \(did you mean 'lapa'\?\)"):
        open_truths(folder, "lappa")
    with pytest.raises(SourceError, match="no split 'val': leave --split out"):
        open_truths(folder, "lapa", "val")
    with pytest.raises(ShardError, match="was prepared from celebamask-hq, not from lapa: leave --dataset out"):
        open_truths(tiny_data.root, "lapa")


def test_a_folder_without_label_maps_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no label map NAME\.png .*: give .*labels, which does"):
        label_maps(folder.parent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"empty holds no label map NAME\.png .*: give a folder that does"):
        label_maps(tmp_path / "empty")
    with pytest.raises(SourceError, match="no folder at"):
        label_maps(tmp_path / "gone")


def test_a_truth_in_other_ids_is_named(folder: Path) -> None:
    Image.fromarray(np.array([[11]], np.uint8)).save(folder / "9.png")
    with pytest.raises(SourceError, match=r"9\.png holds label 11, outside 0\.\.10"):
        open_truths(folder, "helen").read(0)
