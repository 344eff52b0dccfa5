import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from eagrctl.data import index as index_module
from eagrctl.data.aligner import Aligner
from eagrctl.data.index import Shard, ShardIndex, Skipped, Split
from eagrctl.data.labels import CELEBAMASK_HQ, edge_mask
from eagrctl.data.shards import ShardWriter, decode_labels, encode_labels
from eagrctl.data.source import AlignedSample, Provenance, Sample
from eagrctl.errors import ShardError
from eagrctl.events import Notice, Progress
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


def test_sizes_are_compared_without_reading_and_a_younger_shard_is_told(
    index: ShardIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "sha256_of", lambda path: pytest.fail("a shard is read"))
    heard: list[Progress | Notice] = []
    index.check("train", heard.append)
    assert not heard
    path = index.root / "train-00001.h5"
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 3600))
    index.check("train", heard.append)
    assert [event.text for event in heard if isinstance(event, Notice)] == [
        f"train-00001.h5 is younger than index.json: whether it has changed, eagrctl dataset verify {index.root} tells"
    ]
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ShardError, match=r"train-00001\.h5 changed since it was indexed"):
        index.check("train")


def external(file: h5py.File, elsewhere: Path) -> None:
    shape = file["image"].shape
    elsewhere.write_bytes(bytes(int(np.prod(shape))))
    del file["image"]
    file.create_dataset("image", shape, np.uint8, external=[(str(elsewhere), 0, h5py.h5f.UNLIMITED)])


def external_link(file: h5py.File, elsewhere: Path) -> None:
    with h5py.File(elsewhere, "w") as other:
        file.copy("image", other)
    del file["image"]
    file["image"] = h5py.ExternalLink(str(elsewhere), "image")


def soft_link(file: h5py.File, elsewhere: Path) -> None:
    file.move("image", "other")
    file["image"] = h5py.SoftLink("other")


def virtual(file: h5py.File, elsewhere: Path) -> None:
    external_link(file, elsewhere)
    del file["image"]
    layout = h5py.VirtualLayout((3, 33, 33, 3), np.uint8)
    layout[:] = h5py.VirtualSource(str(elsewhere), "image", (3, 33, 33, 3))
    file.create_virtual_dataset("image", layout)


def retyped(name: str, **options: object) -> Callable[[h5py.File, Path], None]:
    def change(file: h5py.File, elsewhere: Path) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return change


def emptied(file: h5py.File, elsewhere: Path) -> None:
    for name in list(file):
        del file[name]


def replaced(name: str, value: object) -> Callable[[h5py.File, Path], None]:
    def change(file: h5py.File, elsewhere: Path) -> None:
        file[name][0] = value

    return change


def png(pixels: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return np.frombuffer(buffer.getvalue(), np.uint8)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (external, "it holds no image of its own"),
        (external_link, "it holds no image of its own"),
        (soft_link, "it holds no image of its own"),
        (virtual, "it holds no image of its own"),
        (emptied, "it holds no image of its own"),
        (retyped("image", shape=(3, 33, 33, 3), dtype=np.float32), r"image is float32 \(3, 33, 33, 3\)"),
        (retyped("image", shape=(3, 33), dtype=np.uint8), r"image is uint8 \(3, 33\)"),
        (retyped("labels", shape=(9, 33, 33), dtype=np.uint8), r"labels is uint8 \(9, 33, 33\)"),
        (retyped("name", shape=(3,), dtype=np.int64), r"name is int64"),
        (
            retyped("name", shape=(3,), dtype=h5py.string_dtype(), chunks=(1 << 26,), maxshape=(None,)),
            "name has chunks",
        ),
        (retyped("source_labels", shape=(3,), dtype=h5py.vlen_dtype(np.float64)), "source_labels is object"),
        (replaced("name", "../../x"), r"must be the name of a file in its own folder, not '../../x'"),
        (replaced("name", "/etc/passwd"), "must be the name of a file in its own folder"),
        (replaced("source_labels", np.frombuffer(b"%!PS-Adobe-3.0", np.uint8)), "its source labels are damaged"),
        (replaced("source_labels", png(np.zeros((4, 4, 3), np.uint8))), "its source labels are RGB, 4 x 4"),
        (replaced("source_labels", png(np.full((4, 4), 77, np.uint8))), r"has a label outside 0\.\.18; prepare it"),
        (replaced("labels", np.full((33, 33), 77, np.uint8)), r"has a label outside 0\.\.18; prepare it"),
        (replaced("matrix", np.full((2, 3), np.nan)), "has a matrix that cannot be inverted; prepare it again"),
    ],
)
def test_a_shard_that_is_none_is_one_line_and_reads_nothing_elsewhere(
    index: ShardIndex, tmp_path: Path, change: Callable[[h5py.File, Path], None], complaint: str
) -> None:
    with h5py.File(index.root / "train-00000.h5", "r+") as file:
        change(file, tmp_path / "elsewhere")
    with pytest.raises(ShardError, match=complaint):
        index.read("train", 0)


@pytest.mark.parametrize("file", ["../x.h5", "x.h5", "/x-00000.h5", "sub/x-00000.h5", "index.json"])
def test_an_index_lists_only_shards_of_its_folder(index: ShardIndex, file: str) -> None:
    path = index.root / "index.json"
    table = json.loads(path.read_text())
    table["splits"]["train"]["shards"][0]["file"] = file
    path.write_text(json.dumps(table))
    with pytest.raises(ShardError, match=r"'splits\.train\.shards\[0\]\.file' must be"):
        ShardIndex.load(index.root)
