import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.data.source import Sample
from eagrctl.errors import ShardError
from eagrctl.training.scenes.cutouts import cut_out_face, cut_out_parts
from eagrctl.training.scenes.materials import (
    HeadAbout,
    MaterialIndex,
    MaterialShard,
    known_points,
    write_shard,
)
from eagrctl_tests.conftest import face
from eagrctl_tests.training.scenes.stock import stock


@pytest.fixture
def index(tmp_path: Path) -> MaterialIndex:
    made = stock()
    shards = [
        write_shard(tmp_path / "train-heads-00000.h5", "heads", "train", made.heads),
        write_shard(tmp_path / "train-photos-00000.h5", "photos", "train", made.photos),
        write_shard(tmp_path / "val-backgrounds-00000.h5", "backgrounds", "val", made.backgrounds),
    ]
    index = MaterialIndex(tmp_path, {"heads": "tests"}, "by hand", tuple(shards))
    index.save()
    return MaterialIndex.load(tmp_path)


def test_what_is_written_is_read_again(index: MaterialIndex) -> None:
    made = stock()
    assert index.read("heads", "train") == made.heads
    assert index.read("photos", "train") == made.photos
    assert index.read("backgrounds", "val") == made.backgrounds
    assert index.read("backgrounds", "train") == []
    assert (index.count("heads", "train"), index.count("heads", "val")) == (4, 0)


def test_pictures_are_read_shrunk_where_that_is_asked() -> None:
    (photo,) = stock().photos
    assert photo.picture().size == (512, 512)
    assert photo.picture(4).size == (128, 128)
    assert np.isnan(known_points(((1.0, 2.0), None, None, None, None))[1:]).all()


def test_no_index_a_missing_shard_and_a_changed_one_are_one_line(index: MaterialIndex, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"no prepared material at .* run eagrctl detector prepare first"):
        MaterialIndex.load(tmp_path / "nowhere")
    path = tmp_path / "train-photos-00000.h5"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ShardError, match="changed since it was indexed"):
        index.read("photos", "train")
    path.unlink()
    with pytest.raises(ShardError, match=r"cannot read .*train-photos"):
        index.read("photos", "train")


@pytest.mark.parametrize("damage", ["missing column", "external link", "text for a number", "no JPEG", "another file"])
def test_a_damaged_shard_is_one_line(index: MaterialIndex, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "train-photos-00000.h5"
    about = json.dumps({"boxes": [["a", 0, 1, 1]], "points": [None], "ignored": []})
    if damage == "another file":
        path.write_bytes(b"no HDF5")
    else:
        with h5py.File(path, "a") as file:
            if damage == "text for a number":
                file["about"][0] = about
            elif damage == "no JPEG":
                file["photo"][0] = np.frombuffer(b"no picture", np.uint8)
            else:
                del file["mask"]
                if damage == "external link":
                    file["mask"] = h5py.ExternalLink("other.h5", "mask")
    rewritten = MaterialShard("photos", "train", path.name, 1, path.stat().st_size, "")
    changed = MaterialIndex(tmp_path, {}, "", (rewritten,))
    if damage == "no JPEG":
        with pytest.raises(ShardError, match="astronaut is damaged"):
            changed.read("photos", "train")[0].picture()
        return
    with pytest.raises(ShardError) as caught:
        changed.read("photos", "train")
    assert "\n" not in str(caught.value)


def test_a_head_is_cut_out_with_its_points_and_its_ellipse() -> None:
    image, labels = face(3, 256)
    head = cut_out_face(Sample("3", image, labels), CELEBAMASK_HQ.names, side=100)
    assert head is not None
    assert isinstance(head.about, HeadAbout)
    picture, opacity = np.asarray(head.picture()), np.asarray(head.opacity())
    assert max(picture.shape[:2]) == 100
    assert opacity.shape == picture.shape[:2]
    points, middle, reach = known_points(head.about.points), np.array(head.about.middle), np.array(head.about.reach)
    assert np.isfinite(points).all()
    # Eyes, nose and mouth in their order, within the ellipse.
    assert points[0, 0] < points[2, 0] < points[1, 0]
    assert points[0, 1] < points[2, 1] < points[3, 1]
    assert (np.hypot(*((points - middle) / reach).T) < 1).all()
    assert abs(head.about.roll) < 0.05
    assert opacity[tuple(np.round(middle[::-1]).astype(int))] > 250
    assert opacity[0, 0] < 60
    blind = labels.copy()
    blind[blind == 4] = 1
    assert cut_out_face(Sample("3", image, blind), CELEBAMASK_HQ.names) is None


def test_the_face_of_parts_is_what_is_widest_at_the_top() -> None:
    labels = np.zeros((300, 300), np.uint8)
    labels[40:200, 100:200] = 1  # hair
    labels[80:150, 120:180] = 2  # the face
    labels[150:190, 135:165] = 2  # the neck
    labels[190:, 60:240] = 6
    labels[260:290, 20:60] = 2  # a hand
    image = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    head = cut_out_parts("head", image, labels, side=300)
    assert head is not None
    assert isinstance(head.about, HeadAbout)
    assert head.about.points is None
    assert head.about.middle[0] == pytest.approx(149.5 - 20, abs=2)
    assert head.about.reach == pytest.approx((29.5, 39), abs=2)
    assert cut_out_parts("none", image, np.where(labels == 2, 1, labels), 300) is None
    assert Image.open(io.BytesIO(head.mask)).mode == "L"
