import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import HELEN
from eagrctl.errors import SourceError
from eagrctl.readers import helen
from eagrctl.readers.helen import held_out, open_helen

HEIGHT, WIDTH = 24, 16


def photo(path: Path) -> None:
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 120, np.uint8)).save(path)


def write_maps(folder: Path, name: str) -> None:
    """Eleven probability maps: background everywhere, and five places where others vie with it."""
    maps = np.zeros((11, HEIGHT, WIDTH), np.uint8)
    maps[0] = 255
    maps[:, 8, 3] = 0
    maps[4, 8, 3], maps[2, 8, 3] = 130, 125  # left eye over left brow
    maps[:, 8, 12] = 0
    maps[5, 8, 12] = 1  # hardly a right eye, but nothing else at all
    maps[0, 2, 2], maps[10, 2, 2] = 120, 135  # hair over background
    maps[0, 3, 3], maps[10, 3, 3] = 128, 128  # a tie: the lower id
    maps[:, 20, 8] = 9
    maps[9, 20, 8], maps[8, 20, 8] = 200, 199  # lower lip over inner mouth
    (folder / name).mkdir(parents=True)
    for label in range(11):
        Image.fromarray(maps[label]).save(folder / name / f"{name}_lbl{label:02d}.png")


def points_194() -> np.ndarray:
    """194 points in Helen's order, (194, 2): only the places that the reader may look at lie inside the face."""
    points = np.full((194, 2), 999.0)
    points[58:86] = 7, 18  # outer lips,
    points[60] = 11.5, 17  # whose corners are neither the first nor the last
    points[75] = 3.25, 19
    points[86:114] = 8, 18
    points[114:134] = np.column_stack([np.linspace(10, 14, 20), np.full(20, 9)])  # the eye on the right
    points[134:154] = np.column_stack([np.linspace(2, 4, 20), np.full(20, 8.5)])
    return points


@pytest.fixture
def smith(tmp_path: Path) -> Path:
    """Three training faces, one to tune and one to test: points by name, by number, and none."""
    root = tmp_path / "SmithCVPR2013_dataset_resized"
    for folder in ("images", "labels", "points"):
        (root / folder).mkdir(parents=True)
    for name in ("100_1", "100_2", "7_1", "8_1", "9_1"):
        photo(root / "images" / f"{name}.jpg")
        write_maps(root / "labels", name)
    (root / "exemplars.txt").write_text("1 , 100_2\n 2 ,7_1  \n\n3, 100_1 \n")
    (root / "tuning.txt").write_text("4 , 8_1\r\n")
    (root / "testing.txt").write_text("5 , 9_1")
    lines = [f"{x} , {y}" for x, y in points_194()]
    (root / "points" / "100_1.txt").write_text("\n".join(lines) + "\n")
    (root / "points" / "1.txt").write_text("\n".join(["100_2", *lines]) + "\n")
    pts = ["version: 1", "n_points: 194", "{", *(line.replace(" , ", " ") for line in lines), "}"]
    (root / "points" / "8_1.pts").write_text("\n".join(pts))
    return root


def line_of_68(shift: float, name: str) -> str:
    """A line of landmarks.txt: 68 points far away but for eyes, tip of the nose and corners of the mouth."""
    points = np.full((68, 2), 500.0)
    points[36:42] = [[2, 8], [3, 7], [4, 7], [5, 8], [4, 9], [3, 9]]
    points[42:48] = [[10, 8], [11, 7], [12, 7], [13, 8], [12, 9], [11, 9]]
    points[30], points[48], points[54] = (8, 13), (4, 18.5), (12, 19)
    return " ".join(f"{number + shift:.2f}" for number in points.ravel()) + f" {name}\n"


def five(shift: float) -> list[list[float]]:
    return (np.array([[3.5, 8], [11.5, 8], [8, 13], [4, 18.5], [12, 19]]) + shift).tolist()


TRAIN = [f"{number}_1" for number in range(10, 30)]


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """Twenty training faces and two to test; the landmarks of 11_1 and 2_1 are missing."""
    root = tmp_path / "helenstar_release"
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[8, 3], labels[8, 12] = 4, 5
    for folder, names in (("train", TRAIN), ("test", ["1_1", "2_1"]), ("test_resize", ["1_1", "2_1"])):
        (root / folder).mkdir(parents=True)
        for name in names:
            photo(root / folder / f"{name}_image.jpg")
            photo(root / folder / f"{name}_viz.jpg")
            Image.fromarray(labels).save(root / folder / f"{name}_label.png")
    known = [name for name in [*TRAIN, "1_1"] if name != "11_1"]
    (root / "landmarks.txt").write_text("".join(line_of_68(place, name) for place, name in enumerate(known)))
    (root / "label_names.txt").write_text("background\n")
    return root


def test_lists_of_numbers_and_ids_with_stray_spaces_are_the_splits(smith: Path) -> None:
    source = open_helen(smith, partial=True)
    assert source.splits == {"train": ["100_2", "7_1", "100_1"], "val": ["8_1"], "test": ["9_1"]}
    assert (source.provenance.dataset, source.provenance.variant) == ("helen", "SmithCVPR2013")
    assert source.provenance.split_rule == "exemplars.txt is train, tuning.txt is val, testing.txt is test"
    assert source.labels is HELEN


def test_the_most_probable_class_is_the_label(smith: Path) -> None:
    sample = open_helen(smith, partial=True).read("test", "9_1")
    assert (sample.image.shape, sample.image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert (sample.labels.shape, sample.labels.dtype) == ((HEIGHT, WIDTH), np.uint8)
    names = {place: HELEN.names[sample.labels[place]] for place in ((8, 3), (8, 12), (2, 2), (3, 3), (20, 8))}
    assert list(names.values()) == ["left eye", "right eye", "hair", "background", "lower lip"]
    assert np.count_nonzero(sample.labels) == 4


@pytest.mark.parametrize(("split", "name"), [("train", "100_1"), ("train", "100_2"), ("val", "8_1")])
def test_eyes_and_mouth_come_from_the_194_points_and_the_nose_is_unknown(smith: Path, split: str, name: str) -> None:
    landmarks = open_helen(smith, partial=True).read(split, name).landmarks
    assert landmarks is not None
    assert (landmarks.shape, landmarks.dtype) == ((5, 2), np.float64)
    expected = [[3, 8.5], [12, 9], [np.nan, np.nan], [3.25, 19], [11.5, 17]]
    np.testing.assert_allclose(landmarks, expected, atol=1e-12)


def test_without_a_file_of_points_there_are_no_landmarks(smith: Path) -> None:
    source = open_helen(smith, partial=True)
    assert source.read("train", "7_1").landmarks is None
    for path in (smith / "points").iterdir():
        path.unlink()
    (smith / "points").rmdir()
    assert open_helen(smith, partial=True).read("train", "100_1").landmarks is None


def test_too_few_points_are_an_error(smith: Path) -> None:
    path = smith / "points" / "100_1.txt"
    path.write_text(path.read_text().replace("999.0 , 999.0", "999.0 , nan", 1))
    with pytest.raises(SourceError, match=r"points/100_1\.txt has 193 points, not 194 lines `x , y`; fetch it again"):
        open_helen(smith, partial=True).read("train", "100_1")


def test_a_missing_probability_map_is_named(smith: Path) -> None:
    (smith / "labels" / "9_1" / "9_1_lbl06.png").unlink()
    with pytest.raises(SourceError, match=r"labels/9_1/9_1_lbl06\.png is missing: .*fetch it again"):
        open_helen(smith, partial=True).read("test", "9_1")


def test_probability_maps_of_different_sizes_are_named(smith: Path) -> None:
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(smith / "labels" / "9_1" / "9_1_lbl10.png")
    with pytest.raises(SourceError, match=r"9_1_lbl10\.png is 6 x 5, the other maps of face 9_1 16 x 24; fetch it"):
        open_helen(smith, partial=True).read("test", "9_1")


def test_a_photo_of_another_size_is_named(smith: Path, star: Path) -> None:
    for path in (smith / "images" / "9_1.jpg", star / "test" / "1_1_image.jpg"):
        Image.fromarray(np.zeros((48, 32, 3), np.uint8)).save(path)
    for root, name in ((smith, "9_1"), (star, "1_1")):
        with pytest.raises(SourceError, match=f"face {name}: the photo is 32 x 48, its label map 16 x 24; both must"):
            open_helen(root, partial=True).read("test", name)


def test_the_counts_of_smiths_lists_are_demanded_unless_partial(smith: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match=r"3 faces in split train, the paper 2,000: .*--partial"):
        open_helen(smith)
    assert helen.SMITH_COUNTS == {"train": 2_000, "val": 230, "test": 100}
    monkeypatch.setattr(helen, "SMITH_COUNTS", {"train": 3, "val": 1, "test": 1})
    open_helen(smith)


def test_a_missing_list_is_named(smith: Path) -> None:
    (smith / "tuning.txt").unlink()
    with pytest.raises(SourceError, match=r"tuning\.txt is missing; the split follows from it: .*pages\.cs\.wisc\.edu"):
        open_helen(smith, partial=True)


@pytest.mark.parametrize("line", ["100_1", "x , 100_1", "4 , "])
def test_a_line_that_is_no_number_and_id_is_named(smith: Path, line: str) -> None:
    (smith / "tuning.txt").write_text(f"4 , 8_1\n{line}\n")
    with pytest.raises(SourceError, match=r"tuning\.txt has a line '.*', which is not `number , ID`; fetch it again"):
        open_helen(smith, partial=True)


def test_a_face_in_two_lists_is_refused(smith: Path) -> None:
    (smith / "testing.txt").write_text("5 , 7_1\n")
    with pytest.raises(SourceError, match=r"face 7_1 is in exemplars\.txt and again in testing\.txt"):
        open_helen(smith, partial=True)


def test_helen_star_has_the_digests_that_sort_first_held_out(star: Path) -> None:
    source = open_helen(star, partial=True)
    order = sorted(TRAIN, key=lambda name: hashlib.sha256(name.encode("ascii")).hexdigest())
    assert source.splits["val"] == sorted(order[:2])  # 20 * 230 / 1999 = 2.3
    assert source.splits["train"] == sorted(order[2:])
    assert source.splits["test"] == ["1_1", "2_1"]
    assert (source.provenance.dataset, source.provenance.variant) == ("helen", "HELEN*")
    assert source.provenance.split_rule == (
        "test/ is test; of the 20 faces of train/, in the order of the SHA-256 hex digests of their IDs, "
        "the first 2 are val and the rest are train"
    )


def test_the_rule_of_the_held_out_faces_never_changes() -> None:
    # Of `printf %s ID | sha256sum`, 11_1 gives 119d..., 13_1 3bd8..., 12_1 bd4b..., 10_1 f933...
    assert held_out(["10_1", "11_1", "12_1", "13_1"]) == ["11_1"]
    assert held_out(["10_1", "12_1", "13_1"]) == ["13_1"]
    assert len(held_out([str(number) for number in range(1_999)])) == 230
    assert len(held_out([str(number) for number in range(1_000)])) == 115
    assert held_out([]) == []


def test_the_counts_of_helen_star_are_demanded_unless_partial(star: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match=r"20 faces in split train, HELEN\* 1,999: .*--partial"):
        open_helen(star)
    assert helen.STAR_COUNTS == {"train": 1_999, "test": 100}
    monkeypatch.setattr(helen, "STAR_COUNTS", {"train": 20, "test": 2})
    monkeypatch.setattr(helen, "HELD_OUT", 3)
    assert {split: len(names) for split, names in open_helen(star).splits.items()} == {"train": 17, "val": 3, "test": 2}


def test_label_maps_of_helen_star_come_as_they_are(star: Path) -> None:
    source = open_helen(star, partial=True)
    for split in ("train", "val", "test"):
        sample = source.read(split, source.splits[split][0])
        assert sample.image.shape == (HEIGHT, WIDTH, 3)
        assert sample.labels[8, 3] == HELEN.id("left eye")  # the viewer's left
        assert sample.labels[8, 12] == HELEN.id("right eye")
        assert np.count_nonzero(sample.labels) == 2


def test_the_five_points_come_from_the_68(star: Path) -> None:
    source = open_helen(star, partial=True)
    for split, name, shift in (("train", "10_1", 0), ("train", "12_1", 1), ("test", "1_1", 19)):
        landmarks = source.read(split, name).landmarks
        assert landmarks is not None
        assert landmarks.dtype == np.float64
        np.testing.assert_allclose(landmarks, five(shift), atol=1e-12)


def test_a_face_that_landmarks_txt_leaves_out_has_no_landmarks(star: Path) -> None:
    source = open_helen(star, partial=True)
    assert source.read("test", "2_1").landmarks is None
    (star / "landmarks.txt").unlink()
    assert open_helen(star, partial=True).read("test", "1_1").landmarks is None


def test_landmarks_may_lie_inside_train_and_test(star: Path) -> None:
    (star / "landmarks.txt").unlink()
    (star / "train" / "landmarks.txt").write_text(line_of_68(2, "12_1").replace(" ", ", "))
    (star / "test" / "landmarks.txt").write_text(line_of_68(3, "1_1_image.jpg"))
    source = open_helen(star, partial=True)
    for split, name, shift in (("train", "12_1", 2), ("test", "1_1", 3)):
        landmarks = source.read(split, name).landmarks
        assert landmarks is not None
        np.testing.assert_allclose(landmarks, five(shift), atol=1e-12)


@pytest.mark.parametrize("words", ["1 2 3", " ".join(["1"] * 135 + ["x"]), " ".join(["1"] * 137)])
def test_a_malformed_line_of_landmarks_is_named(star: Path, words: str) -> None:
    (star / "landmarks.txt").write_text(line_of_68(0, "10_1") + f"{words} 12_1\n")
    with pytest.raises(
        SourceError, match=r"landmarks\.txt has a line that ends in '12_1' and is not 136 numbers, then"
    ):
        open_helen(star, partial=True)


def test_another_layout_says_what_was_expected_and_where_to_get_it(tmp_path: Path) -> None:
    expected = r"pages\.cs\.wisc\.edu.*images/, labels/, exemplars\.txt.*JPlin/Relabeled-HELEN-Dataset.*ID_label\.png"
    with pytest.raises(SourceError, match=f"no folder at .*{expected}"):
        open_helen(tmp_path / "missing")
    with pytest.raises(SourceError, match=f"has no layout that is read: .*{expected}"):
        open_helen(tmp_path)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for file in ("exemplars", "tuning", "testing"):
        (tmp_path / f"{file}.txt").touch()
    with pytest.raises(SourceError, match=f"holds no face: .*{expected}"):
        open_helen(tmp_path, partial=True)


def test_a_source_goes_to_workers_and_back(smith: Path, star: Path) -> None:
    for root in (smith, star):
        source = open_helen(root, partial=True)
        copy = pickle.loads(pickle.dumps(source))
        assert copy == source
        ours, theirs = (each.read("test", source.splits["test"][0]) for each in (source, copy))
        assert np.array_equal(ours.labels, theirs.labels)
        assert (ours.landmarks is None) == (theirs.landmarks is None)
        assert ours.landmarks is None or np.array_equal(ours.landmarks, theirs.landmarks, equal_nan=True)


def test_names_with_a_dot_are_never_faces(star: Path) -> None:
    expected = open_helen(star, partial=True).splits
    for number in range(10):
        (star / "train" / f"._{number}_image.jpg").touch()
        (star / "train" / f"._{number}_label.png").touch()
    source = open_helen(star, partial=True)
    assert source.splits == expected
    assert source.remarks == ()


def test_a_list_that_leaves_its_folder_is_refused(smith: Path) -> None:
    (smith / "tuning.txt").write_text("1 , ../../8_1\n")
    with pytest.raises(SourceError, match=r"tuning\.txt lists '\.\./\.\./8_1', which is not the name of a face"):
        open_helen(smith, partial=True)


def test_label_maps_with_the_lists_of_the_released_code_are_read(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in ("1_1", "2_1", "3_1"):
        photo(tmp_path / "images" / f"{name}.jpg")
        Image.fromarray(np.full((HEIGHT, WIDTH), 10, np.uint8)).save(tmp_path / "labels" / f"{name}.png")
    (tmp_path / "train_list.txt").write_text("images/1_1.jpg labels/1_1.png\nimages/2_1.jpg labels/2_1.png\n")
    (tmp_path / "test_list.txt").write_text("\ufeff3_1\r\n", encoding="utf-8")
    source = open_helen(tmp_path)
    assert source.splits == {"train": ["1_1", "2_1"], "test": ["3_1"]}
    assert (source.read("test", "3_1").labels == 10).all()


def test_what_smiths_lists_and_folders_lack_is_counted_and_named(smith: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (smith / "images" / "9_1.jpg").rename(smith / "images" / "9_1.bmp")
    photo(smith / "images" / "77_1.jpg")
    told = "\n".join(open_helen(smith, partial=True).remarks)
    assert "1 listed face without a photo in images/: 9_1" in told
    assert "1 photo that no list names: 77_1" in told
    assert "9_1.bmp" in told
    monkeypatch.setattr(helen, "SMITH_COUNTS", {"train": 3, "val": 1, "test": 1})
    with pytest.raises(SourceError, match=r"1 listed face without a photo in images/: 9_1: .*--partial"):
        open_helen(smith)
