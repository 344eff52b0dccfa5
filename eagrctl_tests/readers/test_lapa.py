import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import HELEN
from eagrctl.errors import SourceError
from eagrctl.readers import lapa
from eagrctl.readers.lapa import open_lapa

FACES = {"train": ["b_0", "a_0", "c_0"], "val": ["a_1"], "test": ["d_0"]}


def points() -> list[str]:
    """106 lines `x y`, as the dataset writes them: point number i lies at (i, 1000 - i) and a bit."""
    return [f"{number}.25 {1000 - number}.500000" for number in range(106)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five faces of 20 x 30 in LaPa's layout; d_0 has no landmarks."""
    labels = np.zeros((30, 20), np.uint8)
    labels[10, 4], labels[10, 15] = 4, 5  # left eye, right eye: the viewer's
    labels[29, 19] = 10
    for split, names in FACES.items():
        for folder in ("images", "labels", "landmarks"):
            (tmp_path / "LaPa" / split / folder).mkdir(parents=True)
        for name in names:
            folder = tmp_path / "LaPa" / split
            Image.fromarray(np.full((30, 20, 3), 200, np.uint8)).save(folder / "images" / f"{name}.jpg")
            Image.fromarray(labels).save(folder / "labels" / f"{name}.png")
            if name != "d_0":
                (folder / "landmarks" / f"{name}.txt").write_text("106\n" + "\n".join(points()) + "\n")
    return tmp_path / "LaPa"


def test_the_folders_are_the_splits(root: Path) -> None:
    source = open_lapa(root, partial=True)
    assert source.splits == {"train": ["a_0", "b_0", "c_0"], "val": ["a_1"], "test": ["d_0"]}
    assert (source.provenance.dataset, source.provenance.variant) == ("lapa", "LaPa")
    assert source.labels is HELEN


def test_official_counts_are_demanded_unless_partial(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match=r"3 faces in split train, LaPa 18,176: .*--partial"):
        open_lapa(root)
    assert lapa.OFFICIAL_COUNTS == {"train": 18_176, "val": 2_000, "test": 2_000}
    monkeypatch.setattr(lapa, "OFFICIAL_COUNTS", {"train": 3, "val": 1, "test": 1})
    open_lapa(root)


def test_left_is_the_viewers_left(root: Path) -> None:
    sample = open_lapa(root, partial=True).read("val", "a_1")
    assert sample.name == "a_1"
    assert (sample.image.shape, sample.image.dtype) == ((30, 20, 3), np.uint8)
    assert sample.labels[10, 4] == HELEN.id("left eye")
    assert sample.labels[10, 15] == HELEN.id("right eye")
    assert sample.labels[29, 19] == HELEN.id("hair")
    assert np.count_nonzero(sample.labels) == 3


def test_five_of_the_106_points_are_the_landmarks(root: Path) -> None:
    landmarks = open_lapa(root, partial=True).read("train", "a_0").landmarks
    assert landmarks is not None
    assert landmarks.dtype == np.float64
    expected = [[104.25, 896.5], [105.25, 895.5], [54.25, 946.5], [84.25, 916.5], [90.25, 910.5]]
    assert landmarks.tolist() == expected


def test_without_a_landmark_file_there_are_no_landmarks(root: Path) -> None:
    assert open_lapa(root, partial=True).read("test", "d_0").landmarks is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "106\n",
        "105\n" + "\n".join(points()[1:]),
        "106\n" + "\n".join(points()[1:]),
        "106\n" + "\n".join([*points(), "1 2"]),
        "106 1\n" + "\n".join(points()),
        "106\n" + "\n".join(["1 2 3", *points()[1:]]),
        "106\n" + "\n".join(["1 nan", *points()[1:]]),
        "106\n" + "\n".join(["1 x", *points()[1:]]),
        "\n".join(points()),
    ],
)
def test_a_malformed_landmark_file_is_named(root: Path, text: str) -> None:
    (root / "train" / "landmarks" / "a_0.txt").write_text(text)
    with pytest.raises(SourceError, match=r"landmarks/a_0\.txt is not a landmark file: a line 106, .*; fetch it again"):
        open_lapa(root, partial=True).read("train", "a_0")


def test_a_landmark_file_of_binary_rubbish_is_named(root: Path) -> None:
    (root / "train" / "landmarks" / "a_0.txt").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(SourceError, match=r"a_0\.txt is not a landmark file"):
        open_lapa(root, partial=True).read("train", "a_0")


def test_a_label_map_of_another_size_is_named(root: Path) -> None:
    Image.fromarray(np.zeros((30, 10), np.uint8)).save(root / "train" / "labels" / "a_0.png")
    with pytest.raises(SourceError, match="face a_0: the photo is 20 x 30, its label map 10 x 30; both must"):
        open_lapa(root, partial=True).read("train", "a_0")


def test_a_missing_label_map_and_a_foreign_id_are_named(root: Path) -> None:
    source = open_lapa(root, partial=True)
    Image.fromarray(np.full((30, 20), 11, np.uint8)).save(root / "train" / "labels" / "a_0.png")
    with pytest.raises(SourceError, match=r"a_0\.png holds label 11, outside 0\.\.10"):
        source.read("train", "a_0")
    (root / "train" / "labels" / "a_0.png").unlink()
    with pytest.raises(SourceError, match=r"a_0\.png is missing: .*fetch it again"):
        source.read("train", "a_0")


def test_another_layout_says_what_was_expected_and_where_to_get_it(tmp_path: Path) -> None:
    expected = r"github\.com/jd-opensource/lapa-dataset .*train/, val/ and test/"
    with pytest.raises(SourceError, match=f"no folder at .*{expected}"):
        open_lapa(tmp_path / "missing")
    with pytest.raises(SourceError, match=f"has no layout that is read: .*{expected}"):
        open_lapa(tmp_path)
    for folder in ("images", "labels"):
        (tmp_path / "val" / folder).mkdir(parents=True)
    with pytest.raises(SourceError, match=f"holds no face: .*{expected}"):
        open_lapa(tmp_path, partial=True)


def test_a_source_goes_to_workers_and_back(root: Path) -> None:
    source = open_lapa(root, partial=True)
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source
    assert np.array_equal(copy.read("val", "a_1").labels, source.read("val", "a_1").labels)


def test_hidden_names_are_no_faces_and_lonely_ones_are_named(root: Path) -> None:
    (root / "train" / "images" / "._a_0.jpg").touch()
    (root / "train" / "labels" / "z_0.png").touch()
    (root / "train" / "images" / "z_0.bmp").touch()
    (root / "val" / "labels" / "a_1.png").unlink()
    source = open_lapa(root, partial=True)
    assert source.splits["train"] == ["a_0", "b_0", "c_0"]
    told = "\n".join(source.remarks)
    assert "1 label map has no photo" in told
    assert "z_0" in told
    assert "1 photo has no label map" in told
    with pytest.raises(SourceError, match=r"1 photo has no label map in .*val/labels: a_1: .*--partial"):
        open_lapa(root)


def test_landmarks_are_found_beside_split_folders(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for kind in ("images", "labels", "landmarks"):
        (other / kind).mkdir(parents=True)
        for split in FACES:
            (root / split / kind).rename(other / kind / split)
    assert open_lapa(other, partial=True).read("train", "a_0").landmarks is not None
