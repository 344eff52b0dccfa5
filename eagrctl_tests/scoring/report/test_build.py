from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.errors import EagrctlError
from eagrctl.inference.tta import TestTimeAugmentation
from eagrctl.recipe import find_recipe, load_recipe
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.report import build_report, require_formats, write_reports
from eagrctl.scoring.report.build import WRITERS
from eagrctl_tests.conftest import TINY
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


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = load_recipe(find_recipe("celebamask-hq-small"), TINY)
    network = build_network(recipe, 19)
    path = tmp_path_factory.mktemp("weights") / "mine.pt"
    save_checkpoint(Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict(), step=7), path)
    return path


def test_a_report_is_built_without_the_command_line(tmp_path: Path, tiny_data: ShardIndex, checkpoint: Path) -> None:
    views = TestTimeAugmentation.named("mirror", CELEBAMASK_HQ.mirrored)
    folder, picture = tmp_path / "predictions", tmp_path / "faces.png"
    report = build_report(checkpoint, tiny_data, "val", method="me", views=views, picture=picture, predictions=folder)
    boundary, counts = Boundary(19), Confusion(19)
    for place, name in enumerate(tiny_data.names("val")):
        labels = tiny_data.read("val", place).source_labels
        with Image.open(folder / f"{name}.png") as saved:
            prediction = np.array(saved)
        boundary.add(labels, prediction)
        counts.add(labels, prediction)
    assert np.array_equal(report.counts, counts.counts)
    assert report.boundary is not None
    assert np.array_equal(report.boundary.f1(), boundary.f1(), equal_nan=True)
    assert [each.kind for each in report.examples] == ["best", "median", "worst"]
    assert report.origin.checkpoint.startswith("mine.pt (step 7, SHA-256 ")
    assert report.origin.settings["test-time augmentation"] == "mirror"
    assert report.training is not None
    assert report.training.paper == "celebamask-hq"
    assert picture.is_file()
    write_reports(report, [tmp_path / "report.html"])


@pytest.mark.parametrize("processes", [1, 2])
def test_what_no_report_shows_is_not_computed(tiny_data: ShardIndex, checkpoint: Path, processes: int) -> None:
    report = build_report(checkpoint, tiny_data, "val", processes=processes, boundaries=False, examples=False)
    assert (report.boundary, report.examples) == (None, ())
    assert report.counts.sum() == 4 * 64 * 64
