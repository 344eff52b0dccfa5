from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.errors import SourceError
from eagrctl.readers.splits import (
    check_counts,
    check_disjoint,
    every_tenth,
    listed_splits,
    photos_in,
    read_lines,
)


def test_photos_are_found_by_name_short_names_first(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.PNG", "2.jpeg", "notes.txt", "._2.jpg", "face.v2.jpg"):
        (tmp_path / name).touch()
    photos = photos_in(tmp_path)
    assert list(photos) == ["2", "9", "10", "face.v2"]
    assert photos["9"] == tmp_path / "9.PNG"


def test_two_photos_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("1.jpg", "1.png"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match=r"1\.png and 1\.jpg beside it are one face's photo; keep one"):
        photos_in(tmp_path)


def test_lists_hold_names_with_or_without_a_suffix(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbf1.jpg\r\n 2 \r\n\r\nimages/face.v2.png\r\n")
    (tmp_path / "test.txt").write_text("face.v3")
    assert listed_splits(tmp_path) == {"train": ["1", "2", "face.v2"], "test": ["face.v3"]}


def test_without_a_list_nothing_is_listed(tmp_path: Path) -> None:
    assert listed_splits(tmp_path) is None


@pytest.mark.parametrize("lists", [{"train": "1\n2\n", "test": "2\n"}, {"train": "2\n1\n2\n"}])
def test_a_face_that_is_listed_twice_is_refused(tmp_path: Path, lists: dict[str, str]) -> None:
    for split, text in lists.items():
        (tmp_path / f"{split}.txt").write_text(text)
    again = list(lists)[-1]
    with pytest.raises(SourceError, match=rf"face 2 is in train\.txt and again in {again}\.txt of .*in one place"):
        listed_splits(tmp_path)


def test_faces_in_different_lists_are_left_alone() -> None:
    check_disjoint(Path("root"), {"one.txt": ["1", "2"], "other.txt": ["3"]})


def test_a_list_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match=r"cannot read .*train\.txt .*; save it as UTF-8 text"):
        read_lines(tmp_path / "train.txt")


@given(st.integers(0, 100))
def test_every_tenth_face_is_val_and_every_tenth_test(count: int) -> None:
    names = [str(number) for number in range(count)]
    splits = every_tenth(names)
    assert splits["val"] == [name for name in names if name.endswith("8")]
    assert splits["test"] == [name for name in names if name.endswith("9")]
    assert sorted(name for split in splits.values() for name in split) == sorted(names)


def test_counts_must_be_exact() -> None:
    official = {"train": 2, "test": 1_000}
    check_counts(Path("root"), {"train": ["1", "2"], "test": [""] * 1_000}, official)
    for count in (999, 1_001):
        with pytest.raises(SourceError, match=rf"root has {count:,} faces in split test, the paper 1,000: .*--partial"):
            check_counts(Path("root"), {"train": ["1", "2"], "test": [""] * count}, official)
    with pytest.raises(SourceError, match="1 faces in split train, LaPa 2"):
        check_counts(Path("root"), {"train": ["1"], "test": []}, official, "LaPa")
