import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import distinct_colours
from eagrctl.errors import SourceError
from eagrctl.readers.folder import open_folder, read_classes

TOML = """
classes = ["background", "skin", "left eye", "right eye", "nose"]
mirrored = [["left eye", "right eye"]]

[regions]
eyes = ["left eye", "right eye"]
inner = ["left eye", "right eye", "nose"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten faces of 12 x 8, and their classes."""
    root = tmp_path / "mine"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(1, 11):
        Image.fromarray(np.full((8, 12, 3), 20 * number, np.uint8)).save(root / "images" / f"{number}.png")
        labels = np.zeros((8, 12), np.uint8)
        labels[2, 3], labels[2, 8] = 2, 3
        Image.fromarray(labels).save(root / "labels" / f"{number}.png")
    (root / "classes.toml").write_text(TOML)
    return root


def test_without_lists_every_tenth_face_is_val_and_every_tenth_test(root: Path) -> None:
    source = open_folder(root)
    assert source.splits == {"train": [*"12345678"], "val": ["9"], "test": ["10"]}
    assert (source.provenance.dataset, source.provenance.variant) == ("folder", "mine")
    assert "every tenth" in source.provenance.split_rule


def test_lists_are_followed(root: Path) -> None:
    (root / "train.txt").write_text("3.png\n1\n")
    (root / "test.txt").write_text("2\n")
    source = open_folder(root)
    assert source.splits == {"train": ["3", "1"], "test": ["2"]}
    assert source.provenance.split_rule == "the lists in the source folder"


def test_pixels_and_ids_come_as_they_are(root: Path) -> None:
    sample = open_folder(root).read("train", "2")
    assert sample.name == "2"
    assert np.array_equal(sample.image, np.full((8, 12, 3), 40))
    assert (sample.labels[2, 3], sample.labels[2, 8]) == (2, 3)
    assert np.count_nonzero(sample.labels) == 2
    assert sample.landmarks is None


def test_classes_pairs_and_regions_are_read_by_name(root: Path) -> None:
    labels = open_folder(root).labels
    assert labels.names == ("background", "skin", "left eye", "right eye", "nose")
    assert labels.mirrored == ((2, 3),)
    assert labels.regions == {"eyes": (2, 3), "inner": (2, 3, 4)}
    assert len(labels.colours) == 5
    assert labels.colours[0] == (0, 0, 0)


def test_pairs_and_regions_may_be_left_out(root: Path) -> None:
    (root / "classes.toml").write_text('classes = ["background", "face"]')
    with pytest.raises(SourceError, match=r"1\.png holds label 3, outside 0\.\.1"):
        open_folder(root).read("train", "1")
    labels = read_classes(root / "classes.toml")
    assert (labels.names, labels.mirrored, labels.regions) == (("background", "face"), (), {})


def test_the_classes_may_stand_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / "classes.toml").rename(tmp_path / "other.toml")
    assert len(open_folder(root, tmp_path / "other.toml").labels) == 5
    with pytest.raises(
        SourceError, match=r"mine/classes\.toml is missing; name the classes in id order, as in classes"
    ):
        open_folder(root)


@pytest.mark.parametrize("count", [2, 5, 19, 60, 255])
def test_colours_are_distinct_and_always_the_same(count: int) -> None:
    colours = distinct_colours(count)
    assert len(set(colours)) == count
    assert colours == distinct_colours(255)[:count]
    assert all(0 <= channel <= 255 for colour in colours for channel in colour)


def test_the_colours_of_a_face_lie_well_apart() -> None:
    colours = np.array(distinct_colours(19), float)
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2) + 999 * np.eye(19)
    assert apart.min() > 30


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("classes = [", r"is not TOML \("),
        (
            'clases = ["background", "skin"]',
            r"unknown key 'clases' \(did you mean 'classes'\?\); there are classes, mir",
        ),
        ('colours = ["background"]', r"unknown key 'colours'.*there are classes, mirrored, regions"),
        ("", r"missing key 'classes'; write it as in classes = \["),
        ('classes = "skin"', r"'classes' must be a list, not 'skin'; write it as in classes = \["),
        ('classes = ["background", 1]', r"'classes\[1\]' must be a string, not 1"),
        ('classes = ["background", ""]', r"'classes\[1\]' is too short: ''"),
        ('classes = ["background"]', "'classes' must have from 2 to 255 names, not 1"),
        ('classes = ["skin", "hair"]', "'classes' must begin with 'background', which is id 0, not 'skin'"),
        ('classes = ["background", "skin", "skin"]', "'classes' names 'skin' twice"),
        ('mirrored = "left eye"', r"'mirrored' must be a list, not 'left eye'.* and mirrored = \[\["),
        ('mirrored = ["left eye", "right eye"]', r"'mirrored\[0\]' must be a list, not 'left eye'"),
        ('mirrored = [["left eye"]]', r"'mirrored\[0\]' must be a list of 2 values, not \['left eye'\]"),
        (
            'mirrored = [["left eye", "rigth eye"]]',
            r"names 'rigth eye', which is not a class \(did you mean 'right eye'\?",
        ),
        ('mirrored = [["left eye", "left eye"]]', r"'mirrored\[0\]' names 'left eye' twice"),
        ('mirrored = [["left eye", "right eye"], ["nose", "left eye"]]', "pairs 'left eye', which stands in two pairs"),
        ('mirrored = [["background", "right eye"]]', "pairs 'background', which has no sides"),
        ('regions = ["nose"]', r"'regions' must be a table of keys, not \['nose'\]"),
        ('[regions]\neyes = "left eye"', "'regions.eyes' must be a list, not 'left eye'"),
        (
            '[regions]\neyes = ["left ey"]',
            r"'regions.eyes' names 'left ey', which is not a class \(did you mean 'left eye'",
        ),
        ("[regions]\neyes = []", "'regions.eyes' is too short"),
        ('[regions]\neyes = ["nose", "nose"]', "'regions.eyes' names 'nose' twice"),
        ('[regions]\nnose = ["nose"]', "region 'nose' has the name of a class; call it something else"),
        (
            '[regions]\nmirrored = [["nose", "skin"]]',
            r"'regions\.mirrored\[0\]' .*what stands below \[regions\] belongs to it",
        ),
    ],
)
def test_what_is_wrong_with_the_classes_is_said(tmp_path: Path, toml: str, message: str) -> None:
    path = tmp_path / "classes.toml"
    if toml.startswith(("mirrored", "regions", "[regions]")):
        toml = 'classes = ["background", "skin", "left eye", "right eye", "nose"]\n' + toml
    path.write_text(toml)
    with pytest.raises(SourceError, match=rf"classes\.toml.*{message}") as error:
        read_classes(path)
    assert "\n" not in str(error.value)


def test_as_many_classes_as_ids_are_allowed_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "classes.toml"
    names = ["background", *(f"class {number}" for number in range(1, 256))]
    path.write_text(f"classes = {names[:255]}")
    assert len(read_classes(path)) == 255
    path.write_text(f"classes = {names}")
    with pytest.raises(SourceError, match="from 2 to 255 names, not 256"):
        read_classes(path)


def test_classes_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*Is a directory"):
        read_classes(tmp_path)


def test_a_face_that_is_not_whole_is_refused_unless_partial(root: Path) -> None:
    (root / "labels" / "4.png").unlink()
    with pytest.raises(SourceError, match=r"1 photo has no label map in .*labels: 4: .*--partial"):
        open_folder(root)
    source = open_folder(root, partial=True)
    with pytest.raises(SourceError, match=r"labels/4\.png is missing"):
        source.read("train", "4")


def test_a_listed_face_without_photo_is_refused_unless_partial(root: Path) -> None:
    (root / "train.txt").write_text("1\n77\n")
    with pytest.raises(SourceError, match=r"1 name in train\.txt has no photo in .*images: 77: .*--partial"):
        open_folder(root)
    source = open_folder(root, partial=True)
    with pytest.raises(SourceError, match=r"face 77 has no photo in .*images: add it"):
        source.read("train", "77")


def test_a_label_map_of_another_size_is_named(root: Path) -> None:
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(root / "labels" / "1.png")
    with pytest.raises(SourceError, match="face 1: the photo is 12 x 8, its label map 6 x 4; both must have one size"):
        open_folder(root).read("train", "1")


def test_another_layout_says_what_was_expected(tmp_path: Path) -> None:
    expected = r"images/NAME\.jpg, labels/NAME\.png .*classes\.toml"
    with pytest.raises(SourceError, match=f"no folder at .*{expected}"):
        open_folder(tmp_path / "missing")
    with pytest.raises(SourceError, match=f"has no layout that is read: it is empty; .*{expected}"):
        open_folder(tmp_path)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    (tmp_path / "classes.toml").write_text(TOML)
    with pytest.raises(SourceError, match=f"holds no face: .*{expected}"):
        open_folder(tmp_path)


def test_a_source_goes_to_workers_and_back(root: Path) -> None:
    source = open_folder(root)
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source
    assert np.array_equal(copy.read("test", "10").labels, source.read("test", "10").labels)


@pytest.mark.parametrize("maps", ["labels", "annotations"])
def test_split_folders_are_the_splits(root: Path, maps: str) -> None:
    (root / "labels").rename(root / maps) if maps != "labels" else None
    for folder in ("images", maps):
        for split, names in (("train", "1234"), ("val", "5"), ("test", "67")):
            (root / folder / split).mkdir()
            for name in names:
                (root / folder / f"{name}.png").rename(root / folder / split / f"{name}.png")
    source = open_folder(root)
    assert source.splits == {"train": [*"1234"], "val": ["5"], "test": [*"67"]}
    assert source.read("test", "6").image[0, 0, 0] == 120


def test_face_synthetics_needs_no_file_of_classes(tmp_path: Path) -> None:
    for number in range(10):
        Image.fromarray(np.full((8, 12, 3), 10 * number, np.uint8)).save(tmp_path / f"{number:06d}.png")
        labels = np.full((8, 12), 18, np.uint8)
        labels[0] = 255
        Image.fromarray(labels).save(tmp_path / f"{number:06d}_seg.png")
        (tmp_path / f"{number:06d}_ldmks.txt").touch()
    (tmp_path / "._000000.png").touch()
    source = open_folder(tmp_path)
    assert (len(source.splits["train"]), source.splits["test"]) == (8, ["000009"])
    assert (len(source.labels), source.labels.names[18], source.remarks) == (19, "facewear", ())
    assert set(np.unique(source.read("test", "000009").labels)) == {18, 255}
    (tmp_path / "classes.toml").write_text('classes = ["background", "skin"]')
    assert len(open_folder(tmp_path).labels) == 2


def test_what_is_not_read_is_counted_and_named(root: Path) -> None:
    (root / "images" / "4.png").rename(root / "images" / "4.bmp")
    (root / "labels" / "5.png").rename(root / "labels" / "5.bmp")
    (root / "labels" / "._5.png").touch()
    (root / "images" / "._11.jpg").touch()
    (root / "valid.txt").write_text("1")
    source = open_folder(root, partial=True)
    told = "\n".join(source.remarks)
    assert "1 photo has no label map" in told
    assert "5 (5.bmp is there: save label maps as PNG)" in told
    assert "1 label map has no photo" in told
    assert "4.bmp (1 .bmp)" in told
    assert "not read: valid.txt" in told
    assert "._" not in told
    assert not any(name.startswith(".") for names in source.splits.values() for name in names)


def test_photos_that_no_list_names_are_counted(root: Path) -> None:
    (root / "train_list.txt").write_text("images/1.png labels/1.png\nimages\\2.png labels\\2.png\n")
    source = open_folder(root)
    assert source.splits == {"train": ["1", "2"]}
    assert any(line.startswith("8 photos have no list that names it: 3, 4, 5, ...") for line in source.remarks)


def test_a_list_that_leaves_the_folder_is_refused(root: Path) -> None:
    (root / "train.txt").write_text("../../1.png\n")
    with pytest.raises(SourceError, match=r"train\.txt lists '\.\./\.\./1\.png', which is not the name of a face"):
        open_folder(root, partial=True)


def test_two_photos_of_one_face_are_refused(root: Path) -> None:
    (root / "images" / "1.jpg").touch()
    with pytest.raises(SourceError, match=r"1\.png and 1\.jpg beside it are one face's photo; keep one"):
        open_folder(root)
