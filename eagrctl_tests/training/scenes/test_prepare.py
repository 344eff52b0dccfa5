from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.errors import ShardError, SourceError
from eagrctl.events import Notice, Progress
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.readers.real_photos import RealPhotos
from eagrctl.training.scenes.materials import MaterialIndex, PhotoAbout
from eagrctl.training.scenes.prepare import LONGEST, prepare_materials
from eagrctl_tests.training.scenes.stock import write_real_photos


@pytest.fixture
def photos(tmp_path: Path) -> RealPhotos:
    return RealPhotos.load(write_real_photos(tmp_path / "real"))


def test_all_is_cut_out_stored_and_counted(tmp_path: Path, merged: Path, photos: RealPhotos) -> None:
    events: list[Progress | Notice] = []
    source = open_celebamask_hq(merged, partial=True)
    index = prepare_materials(source, photos, tmp_path / "out", listener=events.append)
    read = MaterialIndex.load(tmp_path / "out")
    assert read.shards == index.shards
    heads = {split: len(source.splits.get(split, ())) for split in ("train", "val", "test")}
    for head in photos.heads:
        heads[head.split] += 1
    left_out = sum(heads.values()) - sum(read.count("heads", split) for split in heads)
    assert left_out < 8
    for kind, listed in (("photos", photos.faces), ("backgrounds", photos.backgrounds)):
        for split in heads:
            names = [each.file for each in listed if each.split == split]
            assert [each.name for each in read.read(kind, split)] == names  # type: ignore[arg-type]
    about = read.read("photos", "train")[0].about
    assert isinstance(about, PhotoAbout)
    assert about.boxes[0] == pytest.approx((81, 80, 168, 172))
    assert events[-1 if isinstance(events[-1], Progress) else -2] == Progress("preparing", 15 + 5 + 48, 15 + 5 + 48)
    assert "hash of the file's name" in read.split_rule


def test_workers_write_the_same(tmp_path: Path, merged: Path, photos: RealPhotos) -> None:
    source = open_celebamask_hq(merged, partial=True)
    one = prepare_materials(source, photos, tmp_path / "one")
    two = prepare_materials(source, photos, tmp_path / "two", workers=2)
    assert [shard.count for shard in one.shards] == [shard.count for shard in two.shards]
    assert one.read("heads", "train") == two.read("heads", "train")


def test_a_large_photo_is_shrunk_with_its_boxes(tmp_path: Path, merged: Path, photos: RealPhotos) -> None:
    large = photos.faces[0]
    Image.new("RGB", (4 * LONGEST, 2 * LONGEST)).save(photos.root / large.file)
    index = prepare_materials(open_celebamask_hq(merged, partial=True), photos, tmp_path / "out")
    (stored,) = [each for each in index.read("photos", large.split) if each.name == large.file]
    assert stored.picture().size == (LONGEST, LONGEST // 2)
    assert isinstance(stored.about, PhotoAbout)
    assert np.allclose(np.array(stored.about.boxes) + 0.5, (np.array(large.boxes) + 0.5) / 4, atol=0.01)


def test_nothing_of_others_is_replaced(tmp_path: Path, merged: Path, photos: RealPhotos) -> None:
    source, output = open_celebamask_hq(merged, partial=True), tmp_path / "out"
    prepare_materials(source, photos, output)
    with pytest.raises(ShardError, match="is prepared already: --force prepares it again"):
        prepare_materials(source, photos, output)
    prepare_materials(source, photos, output, force=True)
    (output / "mine.txt").touch()
    with pytest.raises(ShardError, match="holds something else"):
        prepare_materials(source, photos, output, force=True)
    assert (output / "train-heads-00000.h5").is_file()
    (output / "mine.txt").rename(output / "train-00000.h5")
    with pytest.raises(ShardError, match="holds something else"):
        prepare_materials(source, photos, output, force=True)
    (output / "train-00000.h5").unlink()
    (output / "index.json").write_text("{}")
    with pytest.raises(ShardError, match="holds something else"):
        prepare_materials(source, photos, output, force=True)
    (output / "index.json").unlink()  # as a run leaves it that is killed
    assert prepare_materials(source, photos, output).shards
    (tmp_path / "file").touch()
    with pytest.raises(ShardError, match="is a file"):
        prepare_materials(source, photos, tmp_path / "file")


def test_a_photo_that_cannot_be_read_is_named_and_no_index_is_left(
    tmp_path: Path, merged: Path, photos: RealPhotos
) -> None:
    (photos.root / photos.faces[3].file).write_bytes(b"no photo")
    with pytest.raises(SourceError, match=r"0003\.jpg"):
        prepare_materials(open_celebamask_hq(merged, partial=True), photos, tmp_path / "out")
    assert not (tmp_path / "out" / "index.json").exists()
    Image.new("L", (3, 3)).save(photos.root / photos.heads[0].labels)
    with pytest.raises(SourceError, match="is not as large as its photo"):
        prepare_materials(open_celebamask_hq(merged, partial=True), photos, tmp_path / "again")
