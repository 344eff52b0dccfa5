import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from eagrctl.data.aligner import Aligner
from eagrctl.data.index import Shard, ShardIndex, Skipped, Split
from eagrctl.data.labels import CELEBAMASK_HQ, edge_mask
from eagrctl.data.shards import ShardWriter, decode_labels, encode_labels
from eagrctl.data.source import AlignedSample, Provenance, Sample
from eagrctl.errors import ShardError
from eagrctl_tests.conftest import face


def aligned(number: int) -> AlignedSample:
    image, labels = face(number, 40 + number)
    return Aligner(33).align(Sample(f"face {number}", image, labels))


@pytest.fixture
def index(tmp_path: Path) -> ShardIndex:
    """Five samples of different source sizes in shards of three and two."""
    shards = []
    for number, members in enumerate(((0, 1, 2), (3, 4))):
        path = tmp_path / f"train-{number:05d}.h5"
        with ShardWriter(path, 33) as writer:
            for member in members:
                writer.append(aligned(member))
        shards.append(Shard.of(path, writer.count))
    provenance = Provenance("celebamask-hq", "merged", "by hand", {"paint order": "official"})
    splits = {"train": Split(tuple(shards), (Skipped("face 9", "torn"),))}
    ShardIndex(tmp_path, provenance, CELEBAMASK_HQ, 33, "none", splits).save()
    return ShardIndex.load(tmp_path)


def test_samples_come_back_as_they_were_written(index: ShardIndex) -> None:
    for number in range(5):
        before, after = aligned(number), index.read("train", number)
        assert after.name == before.name
        for field in ("image", "labels", "edges", "matrix", "source_labels"):
            assert np.array_equal(getattr(after, field), getattr(before, field)), field


def test_an_index_comes_back_as_it_was_written(index: ShardIndex) -> None:
    assert (index.size, index.labels, index.alignment) == (33, CELEBAMASK_HQ, "none")
    assert index.provenance.settings == {"paint order": "official"}
    assert index.split("train").count == 5
    assert index.split("train").skipped == (Skipped("face 9", "torn"),)


def test_a_shard_has_the_documented_layout(index: ShardIndex) -> None:
    with h5py.File(index.root / "train-00000.h5") as file:
        assert {name: (file[name].shape, file[name].dtype) for name in ("image", "labels", "edges", "matrix")} == {
            "image": ((3, 33, 33, 3), np.uint8),
            "labels": ((3, 33, 33), np.uint8),
            "edges": ((3, 33, 33), np.uint8),
            "matrix": ((3, 2, 3), np.float64),
        }
        assert file["image"].chunks == (1, 33, 33, 3)
        assert file["source_size"][:].tolist() == [[40, 40], [41, 41], [42, 42]]
        assert np.array_equal(file["edges"][1], edge_mask(file["labels"][1]))


def test_the_same_samples_give_the_same_bytes(index: ShardIndex, tmp_path: Path) -> None:
    again = tmp_path / "again.h5"
    with ShardWriter(again, 33) as writer:
        for number in range(3):
            writer.append(aligned(number))
    assert Shard.of(again, 3).sha256 == index.split("train").shards[0].sha256


def test_positions_past_the_end_are_refused(index: ShardIndex) -> None:
    for position in (5, -1):
        with pytest.raises(IndexError):
            index.read("train", position)


def test_an_index_can_be_pickled_after_it_was_read(index: ShardIndex) -> None:
    first = index.read("train", 4)
    copy = pickle.loads(pickle.dumps(index))
    assert np.array_equal(copy.read("train", 4).image, first.image)


def test_an_unfinished_shard_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with ShardWriter(tmp_path / "train-00000.h5", 33) as writer:
            writer.append(aligned(0))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert not list(tmp_path.iterdir())


def test_whole_shards_verify(index: ShardIndex) -> None:
    index.verify("train")


@pytest.mark.parametrize("change", ["a byte", "appended", "cut", "removed"])
def test_a_shard_that_changed_since_it_was_indexed_is_named(index: ShardIndex, change: str) -> None:
    path = index.root / "train-00001.h5"
    data = bytearray(path.read_bytes())
    if change == "removed":
        path.unlink()
    elif change == "a byte":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes(data + b"x" if change == "appended" else data[:-1])
    with pytest.raises(ShardError, match=r"train-00001\.h5 (is missing|changed since it was indexed).*--force"):
        index.verify("train")


def test_a_shard_that_is_no_hdf5_is_named(index: ShardIndex) -> None:
    (index.root / "train-00000.h5").write_text("not a shard")
    with pytest.raises(ShardError, match=r"train-00000\.h5 cannot be read"):
        index.read("train", 0)


def test_a_missing_split_lists_those_there_are(index: ShardIndex) -> None:
    with pytest.raises(ShardError, match="no split 'test'; it has train"):
        index.split("test")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", " is not JSON"),
        ("[]", ": it must be a table of keys"),
        ("{}", " has no schema, this eagrctl reads 1"),
        ('{"schema": 99}', " has schema 99, this eagrctl reads 1"),
        ('{"schema": 1, "dataset": "x"}', ": missing key 'variant'"),
    ],
)
def test_an_index_that_cannot_be_used_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(ShardError, match=rf"index\.json{complaint}.*; prepare the dataset again with --force"):
        ShardIndex.load(tmp_path)


def test_a_folder_without_an_index_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="run eagrctl prepare first"):
        ShardIndex.load(tmp_path / "nothing")


def test_the_index_is_plain_json(index: ShardIndex) -> None:
    table = json.loads((index.root / "index.json").read_text())
    assert table["splits"]["train"]["count"] == 5
    assert {"schema", "eagrctl", "dataset", "variant", "split_rule", "alignment", "classes"} <= set(table)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(0, 255)))
def test_source_labels_are_stored_without_loss(labels: np.ndarray) -> None:
    assert np.array_equal(decode_labels(encode_labels(labels)), labels)
