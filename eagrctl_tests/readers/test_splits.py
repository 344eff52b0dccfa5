from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.errors import SourceError
from eagrctl.readers.splits import (
    check_counts,
    check_disjoint,
    every_tenth,
    listed_name,
    read_lines,
    read_lists,
    unread_lists,
)


def test_lists_hold_names_with_or_without_a_suffix(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbf1.jpg\r\n 2 \r\n\r\nimages/face.v2.png\r\n")
    (tmp_path / "test.txt").write_text("face.v3")
    lists = read_lists(tmp_path)
    assert lists is not None
    assert lists.splits == {"train": ["1", "2", "face.v2"], "test": ["face.v3"]}


@pytest.mark.parametrize("line", ["images/1.jpg labels/1.png", "images\\1.jpg", "./images/1.JPG", "1.png,1.png", "1"])
def test_a_line_means_a_face_whatever_stands_around_its_name(line: str) -> None:
    assert listed_name(line, Path("train.txt")) == "1"
    assert listed_name("my face 1.jpg", Path("train.txt")) == "my face 1"


@pytest.mark.parametrize(
    "line", ["../x.jpg", "a/../x.jpg", "..\\x", "/data/x.jpg", "C:\\x.jpg", "d:x", "..", "a/", "x\0", "x" * 300]
)
def test_a_line_never_leaves_its_folder(line: str) -> None:
    with pytest.raises(
        SourceError, match=r"train\.txt lists '.*', which is not the name of a face in its folder: write"
    ) as error:
        listed_name(line, Path("train.txt"))
    assert "\0" not in str(error.value)


def test_the_lists_of_the_released_code_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    (tmp_path / "train_list.txt").write_text("images/1.jpg labels/1.png\r\nimages/2.jpg labels/2.png\r\n")
    (tmp_path / "test_list.txt").write_text("images\\3.jpg\n._3.jpg\n")
    lists = read_lists(tmp_path)
    assert lists is not None
    assert lists.splits == {"train": ["1", "2"], "test": ["3"]}
    assert lists.remarks == ("1 name in test_list.txt begin with a dot, and are no faces",)
    (tmp_path / "train.txt").write_text("4")
    lists = read_lists(tmp_path)
    assert lists is not None
    assert lists.splits["train"] == ["4"]
    (line,) = unread_lists(tmp_path, lists.files.values())
    assert line.startswith("not read: train_list.txt in ")


def test_lists_in_utf_16_are_read(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("1.jpg\r\n2.jpg\r\n", "utf-16")
    assert read_lines(tmp_path / "train.txt") == ["1.jpg", "2.jpg"]


def test_without_a_list_nothing_is_listed(tmp_path: Path) -> None:
    assert read_lists(tmp_path) is None


@pytest.mark.parametrize("lists", [{"train": "1\n2\n", "test": "2\n"}, {"train": "2\n1\n2\n"}])
def test_a_face_that_is_listed_twice_is_refused(tmp_path: Path, lists: dict[str, str]) -> None:
    for split, text in lists.items():
        (tmp_path / f"{split}.txt").write_text(text)
    again = list(lists)[-1]
    with pytest.raises(SourceError, match=rf"face 2 is in train\.txt and again in {again}\.txt of .*in one place"):
        read_lists(tmp_path)


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
