import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from eagrctl.data.aligner import Aligner
from eagrctl.data.index import Shard, ShardIndex, Split
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.data.prepare import prepare
from eagrctl.data.verify import class_shares, verify_dataset
from eagrctl.errors import ShardError
from eagrctl.events import Notice, Progress
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.readers.folder import open_folder
from eagrctl_tests.conftest import face


@pytest.fixture
def index(merged: Path, tmp_path: Path) -> ShardIndex:
    return prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49))


def test_a_sound_dataset_verifies(index: ShardIndex) -> None:
    verify_dataset(index)


def shift_edges(file: h5py.File) -> None:
    file["edges"][2] = np.roll(file["edges"][2], 1, axis=0)


def lift_labels(file: h5py.File) -> None:
    file["labels"][2] = 19


def flatten_matrix(file: h5py.File) -> None:
    file["matrix"][2] = np.zeros((2, 3))


def double_name(file: h5py.File) -> None:
    file["name"][2] = file["name"][1]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (shift_edges, "sample 2 of split train has edges that its labels do not give"),
        (lift_labels, r"sample 2 of split train has a label outside 0\.\.18"),
        (flatten_matrix, "sample 2 of split train has a matrix that cannot be inverted"),
        (double_name, "sample 1 is twice in split train"),
    ],
)
def test_a_sample_that_breaks_its_promise_is_named(
    index: ShardIndex, change: Callable[[h5py.File], None], complaint: str
) -> None:
    path = index.root / "train-00000.h5"
    with h5py.File(path, "r+") as file:
        change(file)
    # An index that vouches for the changed file: only the samples themselves can tell.
    forged = dataclasses.replace(index, splits={"train": Split((Shard.of(path, 12),))}, _open={})
    with pytest.raises(ShardError, match=complaint):
        verify_dataset(forged)


def test_a_changed_shard_is_named(index: ShardIndex) -> None:
    path = index.root / "val-00000.h5"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ShardError, match=r"val-00000\.h5 changed since it was indexed"):
        verify_dataset(index)


def test_shares_count_every_source_pixel(index: ShardIndex) -> None:
    shares = class_shares(index)
    labels = np.stack([index.read("train", number).source_labels for number in range(12)])
    assert set(shares) == {"train", "val"}
    for number in range(19):
        assert shares["train"][number] == pytest.approx((labels == number).mean())


def test_pixels_without_a_label_are_no_fault(index: ShardIndex, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(10):
        image, labels = face(number)
        labels[:5] = 255
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(labels).save(root / "labels" / f"{number}.png")
    names = ", ".join(f'"{name}"' for name in CELEBAMASK_HQ.names)
    (root / "classes.toml").write_text(f"classes = [{names}]")
    prepared = prepare(open_folder(root), tmp_path / "prepared", Aligner(49))
    verify_dataset(prepared)
    assert class_shares(prepared)["train"].sum() == pytest.approx(1)


def test_a_photo_in_two_splits_is_told_and_no_fault(merged: Path, tmp_path: Path) -> None:
    shutil.copy(merged / "images" / "3.jpg", merged / "images" / "13.jpg")
    prepared = prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49))
    heard: list[Progress | Notice] = []
    verify_dataset(prepared, heard.append)
    assert [event.text for event in heard if isinstance(event, Notice)] == [
        "1 photo in two splits: val 13 is train 3: scores are too good if a test face was trained on"
    ]
