from pathlib import Path

import pytest

from eagrctl.errors import EagrctlError
from eagrctl.files import TEMPORARY, printable, replacing, require_writable


def test_a_file_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_could_not_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    require_writable(tmp_path / "table.md", ".md")
    (tmp_path / "folder.md").mkdir()
    for name, complaint in (
        ("table.docx", "ends in .md"),
        ("missing/table.md", "its folder does not exist"),
        ("folder.md", "it is a folder"),
    ):
        with pytest.raises(EagrctlError, match=complaint):
            require_writable(tmp_path / name, ".md")


def test_two_writers_of_one_file_both_succeed_and_the_last_wins(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    with replacing(path) as first:
        with replacing(path) as second:
            second.write_text("second")
        first.write_text("first")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_lies_where_temporary_files_once_stood_is_left_alone(tmp_path: Path) -> None:
    victim, path, mine = tmp_path / "victim", tmp_path / "table.md", tmp_path / "table.md.part"
    victim.write_text("precious")
    mine.symlink_to(victim)
    with replacing(path) as temporary:
        assert temporary.match(TEMPORARY)
        temporary.write_text("new")
    assert victim.read_text() == "precious"
    assert mine.is_symlink()


def test_a_file_with_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 252 + ".md")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_text_from_files_is_shown_without_control_characters() -> None:
    assert printable("a\x1b[31m\r\nb\u202ec\udcff") == "a\\x1b[31m\\r\\nb\\u202ec\\udcff"
