import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.errors import SourceError
from eagrctl.readers import celebamask_hq
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl_tests.conftest import RAW, SUBSET, face, write_merged

HEADER = "idx    orig_idx    orig_file\n"
# One face for each side of the two borders of the paper's split.
MAPPING = {0: 162770, 1: 162771, 2: 182637, 3: 182638, 2000: 1}


def part_mask(box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = box
    mask = np.zeros((32, 32, 3), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Five faces in the official layout: photos at 64, masks at 32, one folder of masks per 2,000 faces."""
    root = tmp_path / "CelebAMask-HQ"
    (root / "CelebA-HQ-img").mkdir(parents=True)
    lines = []
    for number, original in MAPPING.items():
        Image.fromarray(face(number, 64)[0]).save(root / "CelebA-HQ-img" / f"{number}.jpg")
        folder = root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
        folder.mkdir(parents=True, exist_ok=True)
        parts = {
            "skin": (4, 4, 28, 28),
            "l_eye": (18, 10, 24, 14),
            "r_eye": (8, 10, 14, 14),
            "eye_g": (6, 8, 26, 12),
            "neck_l": (8, 26, 24, 30),
            "neck": (10, 24, 22, 32),
        }
        for part, box in parts.items():
            Image.fromarray(part_mask(box)).save(folder / f"{number:05d}_{part}.png")
        lines.append(f"{number}    {original - 1}    {original:06d}.jpg\n")
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(HEADER + "".join(lines))
    return root


def test_the_raw_layout_is_split_by_celebas_numbers(raw: Path) -> None:
    source = open_celebamask_hq(raw, partial=True)
    assert source.splits == {"train": ["0", "2000"], "val": ["1", "2"], "test": ["3"]}
    assert source.provenance.variant == "raw"


def test_a_mapping_without_a_header_is_read_alike(raw: Path) -> None:
    mapping = raw / celebamask_hq.MAPPING
    mapping.write_text(mapping.read_text().removeprefix(HEADER))
    assert open_celebamask_hq(raw, partial=True).splits["test"] == ["3"]


def test_the_other_spelling_of_the_mask_folder_is_read_alike(raw: Path) -> None:
    (raw / "CelebAMask-HQ-mask-anno").rename(raw / "CelebAMaskHQ-mask-anno")
    assert open_celebamask_hq(raw, partial=True).read("train", "0").labels.any()


@pytest.mark.parametrize(("split", "name"), [("train", "0"), ("train", "2000")])
def test_parts_are_painted_in_id_order_later_over_earlier(raw: Path, split: str, name: str) -> None:
    sample = open_celebamask_hq(raw, partial=True).read(split, name)
    ids = {part: CELEBAMASK_HQ.id(part) for part in CELEBAMASK_HQ.names}
    assert sample.image.shape == (64, 64, 3)
    assert sample.labels.shape == (32, 32)
    assert sample.labels[0, 0] == 0
    assert sample.labels[5, 5] == ids["skin"]
    assert sample.labels[8, 20] == ids["eye_g"]  # glasses over skin,
    assert sample.labels[11, 20] == ids["l_eye"]  # but eyes over glasses; the subject's left on the right
    assert sample.labels[11, 10] == ids["r_eye"]
    assert sample.labels[27, 9] == ids["neck_l"]
    assert sample.labels[27, 15] == ids["neck"]  # and the neck over the necklace


def test_accessories_last_are_painted_over_all_other_parts(raw: Path) -> None:
    source = open_celebamask_hq(raw, partial=True, paint_order="accessories-last")
    labels = source.read("train", "0").labels
    ids = {part: CELEBAMASK_HQ.id(part) for part in CELEBAMASK_HQ.names}
    assert labels[5, 5] == ids["skin"]
    assert labels[8, 20] == labels[11, 20] == labels[11, 10] == ids["eye_g"]  # glasses over skin and eyes
    assert labels[13, 20] == ids["l_eye"]  # which show below them; the subject's left on the right
    assert labels[13, 10] == ids["r_eye"]
    assert labels[27, 9] == labels[27, 15] == ids["neck_l"]  # and the necklace over the neck
    assert labels[31, 15] == ids["neck"]


def test_accessories_cover_one_another_in_id_order(raw: Path) -> None:
    folder = raw / "CelebAMask-HQ-mask-anno" / "0"
    for place, part in enumerate(("eye_g", "hat", "ear_r", "neck_l", "cloth")):
        Image.fromarray(part_mask((0, 4 * place, 32, 4 * place + 8))).save(folder / f"00000_{part}.png")
    labels = open_celebamask_hq(raw, partial=True, paint_order="accessories-last").read("train", "0").labels
    down = [CELEBAMASK_HQ.names[label] for label in labels[1:24:4, 1]]
    assert down == ["eye_g", "hat", "ear_r", "neck_l", "neck_l", "cloth"]


def test_the_paint_order_is_recorded(raw: Path) -> None:
    assert open_celebamask_hq(raw, partial=True).provenance.settings == {"paint order": "official"}
    source = open_celebamask_hq(raw, partial=True, paint_order="accessories-last")
    assert source.provenance.settings == {"paint order": "accessories-last"}


def test_merged_labels_cannot_be_painted_in_another_order(merged: Path) -> None:
    message = r"cannot be painted accessories-last: its label maps are merged already, .*give the raw masks"
    with pytest.raises(SourceError, match=message):
        open_celebamask_hq(merged, paint_order="accessories-last")
    assert open_celebamask_hq(merged).provenance.settings == {"paint order": "as merged in the source"}


def test_a_source_goes_to_workers_and_back(raw: Path, merged: Path) -> None:
    for source in (
        open_celebamask_hq(raw, partial=True, paint_order="accessories-last"),
        open_celebamask_hq(merged),
    ):
        copy = pickle.loads(pickle.dumps(source))
        assert copy == source
        assert np.array_equal(copy.read("train", "0").labels, source.read("train", "0").labels)


def test_wrong_split_counts_are_an_error_unless_partial(raw: Path) -> None:
    with pytest.raises(SourceError, match=r"2 faces in split train, the paper 24,183: .*--partial"):
        open_celebamask_hq(raw)


def test_a_face_without_a_mask_is_named(raw: Path) -> None:
    for path in (raw / "CelebAMask-HQ-mask-anno" / "1").glob("*"):
        path.unlink()
    source = open_celebamask_hq(raw, partial=True)
    with pytest.raises(SourceError, match="holds no mask of face 2000"):
        source.read("train", "2000")


def test_masks_of_different_sizes_are_named(raw: Path) -> None:
    path = raw / "CelebAMask-HQ-mask-anno" / "0" / "00000_neck.png"
    Image.fromarray(part_mask((0, 0, 4, 4))[:16]).save(path)
    with pytest.raises(SourceError, match=r"00000_neck\.png is 32 x 16, the other parts of face 0 32 x 32"):
        open_celebamask_hq(raw, partial=True).read("train", "0")


def test_a_face_that_the_mapping_leaves_out_is_named(raw: Path) -> None:
    (raw / celebamask_hq.MAPPING).write_text(HEADER + "0 162769 162770.jpg\n")
    with pytest.raises(SourceError, match=r"mapping\.txt has no line for face 1"):
        open_celebamask_hq(raw, partial=True)


def test_a_missing_mapping_is_named(raw: Path) -> None:
    (raw / celebamask_hq.MAPPING).unlink()
    with pytest.raises(SourceError, match=r"mapping\.txt is missing"):
        open_celebamask_hq(raw, partial=True)


def test_the_merged_layout_follows_its_lists(merged: Path) -> None:
    source = open_celebamask_hq(merged)
    assert {split: len(names) for split, names in source.splits.items()} == {"train": 12, "val": 3}
    sample = source.read("val", "13")
    assert np.array_equal(sample.labels, face(13)[1])
    assert sample.image.shape == (64, 64, 3)


def test_without_lists_every_tenth_face_is_val_and_every_tenth_test(tmp_path: Path) -> None:
    root = write_merged(tmp_path / "merged", {"train": [str(number) for number in range(20)]})
    (root / "train.txt").unlink()
    splits = open_celebamask_hq(root).splits
    assert (splits["val"], splits["test"], len(splits["train"])) == (["8", "18"], ["9", "19"], 16)


def test_without_lists_a_mapping_gives_the_papers_split(merged: Path) -> None:
    for path in merged.glob("*.txt"):
        path.unlink()
    lines = "".join(f"{number} 0 {182638 if number else 1:06d}.jpg\n" for number in range(15))
    (merged / celebamask_hq.MAPPING).write_text(HEADER + lines)
    with pytest.raises(SourceError, match="1 faces in split train, the paper 24,183"):
        open_celebamask_hq(merged)
    assert len(open_celebamask_hq(merged, partial=True).splits["test"]) == 14


def test_photos_may_be_twice_as_large_as_labels_and_nothing_else(merged: Path) -> None:
    _, labels = face(0, 64)
    source = open_celebamask_hq(merged)
    Image.fromarray(labels[::2, ::2]).save(merged / "labels" / "0.png")
    assert source.read("train", "0").labels.shape == (32, 32)
    Image.fromarray(labels[:48]).save(merged / "labels" / "0.png")
    with pytest.raises(SourceError, match="face 0: the photo is 64 x 64, its label map 64 x 48"):
        source.read("train", "0")


def test_a_listed_face_without_photo_is_named(merged: Path) -> None:
    (merged / "images" / "3.jpg").unlink()
    with pytest.raises(SourceError, match=r"1 name in train\.txt has no photo in .*images: 3: .* or add --partial"):
        open_celebamask_hq(merged)


def test_a_face_in_two_lists_is_refused(merged: Path) -> None:
    (merged / "test.txt").write_text("4\n")
    with pytest.raises(SourceError, match=r"face 4 is in train\.txt and again in test\.txt"):
        open_celebamask_hq(merged)


def test_another_layout_says_what_was_expected_and_where_to_get_it(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(SourceError, match=r"CelebA-HQ-img/.*or images/ and labels/"):
            open_celebamask_hq(root)


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(SourceError, match="holds no face"):
        open_celebamask_hq(tmp_path)


@pytest.mark.shared
def test_the_real_raw_layout_has_eyes_on_their_sides() -> None:
    source = open_celebamask_hq(RAW, partial=True)
    assert sum(len(names) for names in source.splits.values()) == 60
    sides = []
    for name in source.splits["train"][:20]:
        labels = source.read("train", name).labels
        left, right = (np.nonzero(labels == CELEBAMASK_HQ.id(eye))[1] for eye in ("l_eye", "r_eye"))
        if len(left) and len(right):
            sides.append(left.mean() > right.mean())
    assert len(sides) >= 15
    assert all(sides)


@pytest.mark.shared
def test_the_real_merged_layout_has_its_2800_faces() -> None:
    source = open_celebamask_hq(SUBSET)
    assert {split: len(names) for split, names in source.splits.items()} == {"train": 2500, "val": 300}
    assert source.read("val", source.splits["val"][0]).labels.shape == (512, 512)


def test_photos_may_be_pngs_and_have_leading_zeros(raw: Path) -> None:
    for path in sorted((raw / "CelebA-HQ-img").glob("*.jpg")):
        Image.open(path).save(path.with_name(f"{int(path.stem):05d}.png"))
        path.unlink()
    (raw / "CelebA-HQ-img" / "._00000.png").touch()
    source = open_celebamask_hq(raw, partial=True)
    assert source.splits == {"train": ["0", "2000"], "val": ["1", "2"], "test": ["3"]}
    assert source.read("train", "2000").image.shape == (64, 64, 3)


@pytest.mark.parametrize("folder", ["CelebAMaskHQ-mask", "CelebAMask-HQ-mask", "mask"])
def test_maps_that_the_official_script_merged_are_read(raw: Path, folder: str) -> None:
    (raw / "CelebAMask-HQ-mask-anno").rename(raw.parent / "away")
    (raw / folder).mkdir()
    for number in MAPPING:
        Image.fromarray(np.full((32, 32), 18, np.uint8)).save(raw / folder / f"{number}.png")
    source = open_celebamask_hq(raw, partial=True)
    assert source.splits == {"train": ["0", "2000"], "val": ["1", "2"], "test": ["3"]}
    assert (source.read("test", "3").labels == 18).all()


def test_raw_masks_come_before_merged_ones_and_that_is_told(raw: Path) -> None:
    (raw / "CelebAMaskHQ-mask").mkdir()
    (raw / "train.txt").write_text("0")
    source = open_celebamask_hq(raw, partial=True)
    assert source.provenance.variant == "raw"
    told = "\n".join(source.remarks)
    assert "not read: CelebAMaskHQ-mask/" in told
    assert "not read: train.txt" in told


@pytest.mark.parametrize("layout", ["{split}_img {split}_label", "{split}/images {split}/masks"])
def test_folders_of_the_splits_are_read(tmp_path: Path, layout: str) -> None:
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        photos, maps = (tmp_path / name for name in layout.format(split=split).split())
        photos.mkdir(parents=True)
        maps.mkdir(parents=True)
        for number in range(count):  # the partition script counts from 0 in each
            image, labels = face(number)
            Image.fromarray(image).save(photos / f"{number}.jpg")
            Image.fromarray(labels).save(maps / f"{number}.png")
    source = open_celebamask_hq(tmp_path, partial=True)
    assert source.splits == {"train": ["0", "1", "2"], "val": ["0"], "test": ["0", "1"]}
    assert np.array_equal(source.read("test", "1").labels, face(1)[1])
    if "img" in layout:
        with pytest.raises(SourceError, match="3 faces in split train, the paper 24,183"):
            open_celebamask_hq(tmp_path)


def test_one_folder_too_high_or_too_low_is_read(raw: Path) -> None:
    for given in (raw.parent, raw / "CelebA-HQ-img"):
        source = open_celebamask_hq(given, partial=True)
        assert sum(map(len, source.splits.values())) == 5
        assert "CelebAMask-HQ is read" in source.remarks[0]


def test_faces_without_mask_or_photo_are_counted_and_named(raw: Path) -> None:
    (raw / "CelebA-HQ-img" / "3.jpg").rename(raw / "CelebA-HQ-img" / "3.bmp")
    for path in (raw / "CelebAMask-HQ-mask-anno" / "1").glob("*"):
        path.unlink()
    told = "\n".join(open_celebamask_hq(raw, partial=True).remarks)
    assert "1 face of" in told
    assert ": 2000" in told
    assert "without a photo" in told
    assert "3.bmp" in told
