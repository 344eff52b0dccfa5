from pathlib import Path

import pytest

from eagrctl.errors import EagrctlError
from eagrctl.files import replacing, require_writable


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
