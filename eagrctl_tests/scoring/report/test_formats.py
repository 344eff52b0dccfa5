from pathlib import Path

import numpy as np
import pytest

from eagrctl.data.index import ShardIndex
from eagrctl.errors import EagrctlError
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.report.formats import WRITERS, Watch, require_formats, write_reports
from eagrctl_tests.scoring.samples import GOLDEN, full_report, golden_texts

TEXTS = golden_texts()


@pytest.mark.parametrize("name", TEXTS)
def test_every_format_says_what_it_said(name: str) -> None:
    assert TEXTS[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(TEXTS)


def test_each_report_is_written_in_the_format_of_its_ending(tmp_path: Path) -> None:
    paths = [tmp_path / f"report{ending}" for ending in WRITERS]
    require_formats(paths)
    write_reports(full_report(), paths)
    begins = {path.suffix: path.read_text(encoding="utf-8")[:9] for path in paths}
    assert begins == {
        ".md": "F1 in per",
        ".csv": "Methods,F",
        ".json": '{\n  "form',
        ".tex": "% Looks b",
        ".html": "<!doctype",
    }
    assert set(tmp_path.iterdir()) == set(paths)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("table.docx", r"give a name that ends in \.md, \.csv, \.json, \.tex or \.html$"),
        ("table", r"give a name that ends in \.md"),
        ("missing/table.html", "its folder does not exist"),
        ("folder.csv", "it is a folder"),
    ],
)
def test_a_report_that_could_not_be_written_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(EagrctlError, match=complaint):
        require_formats([tmp_path / "fine.md", tmp_path / name])


@pytest.mark.parametrize(
    ("endings", "boundaries", "faces"),
    [
        ((".md", ".csv", ".tex"), False, False),
        ((".md", ".json"), True, False),
        ((".html",), True, True),
        ((), False, False),
    ],
)
def test_what_no_report_shows_is_not_computed(
    tiny_data: ShardIndex, endings: tuple[str, ...], boundaries: bool, faces: bool
) -> None:
    watch = Watch(19, [Path(f"report{ending}") for ending in endings])
    face = tiny_data.read("val", 0)
    watch.look(face, np.roll(face.source_labels, 2, axis=1))
    assert (watch.boundary is not None) == boundaries
    assert bool(watch.picked()) == faces
    if watch.boundary is not None:
        expected = Boundary(19)
        expected.add(face.source_labels, np.roll(face.source_labels, 2, axis=1))
        assert np.array_equal(watch.boundary.f1(), expected.f1(), equal_nan=True)
