import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from eagrctl.data.align import TEMPLATE
from eagrctl.data.index import ShardIndex
from eagrctl.geometry import transform
from eagrctl.readers.real_photos import HeadPhoto
from eagrctl.readers.synthetic.source import paint
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import RAW, TINY
from eagrctl_tests.training.scenes.stock import write_real_photos


def test_celebamask_hq_goes_to_its_default_place(eagrctl: Invoke, merged: Path) -> None:
    result = eagrctl("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1)
    assert result.exit_code == 0, result.stderr
    assert ShardIndex.load(Path("data/celebamask-hq")).split("train").count == 12
    assert "12" in result.stdout
    assert "non-commercial research only" in result.stderr
    assert "Wrote data/celebamask-hq/index.json" in result.stderr


def test_the_download_is_looked_for_in_raw(eagrctl: Invoke, merged: Path) -> None:
    line = one_line(eagrctl("prepare", "celebamask-hq"))
    assert "no folder at raw/celebamask-hq" in line
    assert "github.com/switchablenorms/CelebAMask-HQ" in line
    Path("raw").mkdir()
    merged.rename("raw/celebamask-hq")
    assert eagrctl("prepare", "celebamask-hq", "--size", 49, "--workers", 1).exit_code == 0


def test_a_bad_sample_is_one_line_and_partial_lists_it(eagrctl: Invoke, merged: Path) -> None:
    Image.fromarray(np.full((64, 64), 200, np.uint8)).save(merged / "labels" / "2.png")
    line = one_line(eagrctl("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1))
    assert "labels/2.png holds label 200" in line
    assert not Path("data").exists() or not list(Path("data").iterdir())
    result = eagrctl("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1, "--partial", "--output", "mine")
    assert result.exit_code == 0
    assert "skipped train 2" in result.stderr
    assert "listed in mine/index.json" in result.stderr


def test_prepared_data_needs_force(eagrctl: Invoke, merged: Path) -> None:
    arguments = ("prepare", "celebamask-hq", merged, "--size", 49, "--workers", 1, "--quiet")
    assert eagrctl(*arguments).exit_code == 0
    assert "--force" in one_line(eagrctl(*arguments))
    assert eagrctl(*arguments, "--force").exit_code == 0


def test_synthetic_faces_are_painted_at_the_size_asked_for(eagrctl: Invoke) -> None:
    counts = ("--train", 3, "--val", 2, "--test", 2, "--size", 65, "--workers", 1)
    assert eagrctl("prepare", "synthetic", *counts).exit_code == 0
    index = ShardIndex.load(Path("data/synthetic"))
    assert {name: split.count for name, split in index.splits.items()} == {"train": 3, "val": 2, "test": 2}
    assert index.read("test", 1).source_labels.shape == (65, 65)
    assert eagrctl("prepare", "synthetic", *counts, "--seed", 1, "--output", "other").exit_code == 0
    other = ShardIndex.load(Path("other"))
    assert not np.array_equal(other.read("train", 0).image, index.read("train", 0).image)


@pytest.mark.shared
def test_the_real_raw_layout_is_prepared(eagrctl: Invoke) -> None:
    assert "--partial" in one_line(eagrctl("prepare", "celebamask-hq", RAW))
    result = eagrctl("prepare", "celebamask-hq", RAW, "--partial", "--workers", 1)
    assert result.exit_code == 0, result.stderr
    index = ShardIndex.load(Path("data/celebamask-hq"))
    assert {name: split.count for name, split in index.splits.items()} == {"train": 46, "val": 7, "test": 7}
    assert index.size == 473


@pytest.fixture
def helen_star(tmp_path: Path) -> Path:
    """Six painted faces in the layout of HELEN*, with their landmarks at the places of iBUG's 68."""
    root = tmp_path / "helenstar"
    lines = []
    for folder, numbers in (("train", range(4)), ("test", range(4, 6))):
        (root / folder).mkdir(parents=True)
        for number in numbers:
            face = paint(number, 120)
            Image.fromarray(face.image).save(root / folder / f"{number}_1_image.jpg")
            Image.fromarray(face.labels).save(root / folder / f"{number}_1_label.png")
            assert face.landmarks is not None
            points = np.zeros((68, 2))
            points[36:42], points[42:48] = face.landmarks[0], face.landmarks[1]
            points[30], points[48], points[54] = face.landmarks[2:]
            lines.append(" ".join(map(str, points.ravel())) + f" {number}_1\n")
    (root / "landmarks.txt").write_text("".join(lines))
    return root


def test_helen_is_aligned_by_default_and_its_tables_say_so(eagrctl: Invoke, helen_star: Path) -> None:
    arguments = ("prepare", "helen", helen_star, "--size", 65, "--workers", 1)
    assert "--partial" in one_line(eagrctl(*arguments))
    result = eagrctl(*arguments, "--partial")
    assert result.exit_code == 0, result.stderr
    index = ShardIndex.load(Path("data/helen"))
    assert "annotated by the dataset" in index.alignment
    assert sum(split.count for split in index.splits.values()) == 6
    assert not any(split.centred for split in index.splits.values())
    eyes = paint(4, 120).landmarks
    assert eyes is not None
    matrix = index.read("test", 0).matrix
    landed = np.column_stack([eyes, np.ones(5)]) @ matrix.T
    assert np.abs(landed - (TEMPLATE * 65 - 0.5)).max() < 8
    assert matrix[0, 1] != 0
    settings = [part for override in (*TINY, "train.batch=2", "train.epochs=1") for part in ("--set", override)]
    assert eagrctl("train", *settings).exit_code == 0
    result = eagrctl("evaluate", "--report", "table.md")
    assert result.exit_code == 0, result.stderr
    table = Path("table.md").read_text()
    assert "laid out as Table 3" in table
    assert "scored at 120 x 120" in table
    assert "landmarks annotated by the dataset" in table
    assert eagrctl(*arguments, "--partial", "--no-align", "--output", "plain").exit_code == 0
    assert ShardIndex.load(Path("plain")).read("test", 0).matrix[0, 1] == 0


def test_landmarks_may_come_from_a_file_and_faces_without_are_counted(eagrctl: Invoke, helen_star: Path) -> None:
    listed = paint(0, 120).landmarks
    assert listed is not None
    numbers = " ".join(map(str, listed.ravel()))
    Path("points.txt").write_text("".join(f"{name}_1 {numbers}\n" for name in range(5)))  # none for the test face 5_1
    arguments = ("prepare", "helen", helen_star, "--size", 65, "--workers", 1, "--partial", "--landmarks", "points.txt")
    result = eagrctl(*arguments)
    assert result.exit_code == 0, result.stderr
    index = ShardIndex.load(Path("data/helen"))
    assert "from points.txt" in index.alignment
    assert index.split("test").centred == ("5_1",)
    assert "centred are listed in data/helen/index.json" in result.stderr
    result = eagrctl(*arguments, "--fallback", "skip", "--output", "skipped")  # agreed to, whatever else is refused
    assert result.exit_code == 0, result.stderr
    (skipped,) = ShardIndex.load(Path("skipped")).split("test").skipped
    assert skipped.name == "5_1"
    assert "no face found in 5_1 (landmarks from points.txt)" in skipped.reason


def test_no_predictor_names_its_remedies(eagrctl: Invoke, helen_star: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EAGRCTL_PREDICTOR", raising=False)
    monkeypatch.setattr("eagrctl.faces.landmarks.PACKAGE", "eagrctl_no_models")
    monkeypatch.setattr("eagrctl.faces.landmarks.DEBIAN", Path("nowhere"))
    line = one_line(eagrctl("prepare", "helen", helen_star, "--partial", "--landmarks", "dlib"))
    for remedy in ("--predictor FILE or EAGRCTL_PREDICTOR", "pip install face_recognition_models"):
        assert remedy in line
    line = one_line(eagrctl("prepare", "helen", helen_star, "--partial", "--landmarks", "dlip"))
    assert "--landmarks dlip is neither annotated, own, dlib nor a file" in line


def test_lapa_and_folder_and_paint_order_are_read(eagrctl: Invoke, tmp_path: Path, merged: Path) -> None:
    lapa, mine = tmp_path / "LaPa", tmp_path / "mine"
    for split, numbers in (("train", range(3)), ("val", range(3, 5)), ("test", range(5, 6))):
        for kind in ("images", "labels", "landmarks"):
            (lapa / split / kind).mkdir(parents=True)
        for number in numbers:
            face = paint(number, 64)
            Image.fromarray(face.image).save(lapa / split / "images" / f"{number}.jpg")
            Image.fromarray(face.labels).save(lapa / split / "labels" / f"{number}.png")
    for kind in ("images", "labels"):
        (mine / kind).mkdir(parents=True)
    for number in range(10):
        face = paint(number, 64)
        Image.fromarray(face.image).save(mine / "images" / f"{number}.jpg")
        Image.fromarray((face.labels > 0).astype(np.uint8)).save(mine / "labels" / f"{number}.png")
    (mine / "classes.toml").write_text('classes = ["background", "head"]\n')
    result = eagrctl("prepare", "lapa", lapa, "--partial", "--size", 65, "--workers", 1)
    assert result.exit_code == 0, result.stderr
    assert "LaPa may be used for non-commercial research only" in result.stderr
    result = eagrctl("prepare", "folder", mine, "--size", 65, "--workers", 1)
    assert result.exit_code == 0, result.stderr
    assert ShardIndex.load(Path("data/folder")).classes == ("background", "head")
    assert "choose one with --recipe" in one_line(eagrctl("train"))
    settings = [part for override in (*TINY, "train.epochs=1") for part in ("--set", override)]
    chosen = ("--recipe", "celebamask-hq-small", "--data", "data/folder")
    assert eagrctl("train", *chosen, *settings).exit_code == 0
    assert eagrctl("evaluate", "--report", "table.md").exit_code == 0
    assert "the paper has no table for this dataset" in Path("table.md").read_text()
    assert "| Methods | head | Mean |" in " ".join(Path("table.md").read_text().split())
    line = one_line(eagrctl("prepare", "celebamask-hq", merged, "--paint-order", "accessories-last"))
    assert "accessories-last" in line


@pytest.mark.parametrize("option", [("--landmarks", "dlib"), ("--predictor", "some.dat")])
def test_landmarks_without_alignment_are_wrong_usage(eagrctl: Invoke, merged: Path, option: tuple[str, str]) -> None:
    result = eagrctl("prepare", "celebamask-hq", merged, *option)
    assert result.exit_code == 2
    assert "add --align" in result.stderr
    assert not Path("data").exists()


def test_heads_are_prepared_wide_and_those_without_a_face_left_out(eagrctl: Invoke, tmp_path: Path) -> None:
    root = write_real_photos(tmp_path / "real")
    # The astronaut is the one head in which a face is found.
    for suffix in (".jpg", ".png"):
        (root / f"heads/0000{suffix}").unlink()
    Image.fromarray(astronaut()[:300, 80:380]).save(root / "heads/0000.jpg")
    Image.fromarray(np.full((300, 300), 2, np.uint8)).save(root / "heads/0000.png")
    listed = [json.loads(line) for line in (root / "heads.jsonl").read_text().splitlines()]
    (root / "heads.jsonl").write_text(json.dumps(listed[0]))
    split = HeadPhoto("heads/0000.jpg", "heads/0000.png", "parts").split
    result = eagrctl("prepare", "heads", root, "--size", 65, "--workers", 0, "--quiet")
    assert result.exit_code == 0, result.stderr
    index = ShardIndex.load(Path("data/heads-parts"))
    assert "2 times as much as usual" in index.alignment
    sample = index.read(split, 0)
    eyes = transform(sample.matrix, np.array([[203.0 - 80, 102], [246.0 - 80, 104]]))
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(0.24 * 65 / 2, abs=1.5)


def test_only_aligned_samples_can_show_more(eagrctl: Invoke, merged: Path) -> None:
    result = eagrctl("prepare", "celebamask-hq", merged, "--wider", 2)
    assert result.exit_code == 2
    assert "only aligned samples can show more: add --align" in " ".join(result.stderr.replace("│", " ").split())
    assert not Path("data").exists()
