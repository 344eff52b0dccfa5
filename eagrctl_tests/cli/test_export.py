import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.align import TEMPLATE
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.export.exported import OnnxNetwork
from eagrctl.inference.predict import Segmenter
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import face
from eagrctl_tests.export.exports import save_network, tiny
from eagrctl_tests.test_layers import imports

MANUAL = (Path(__file__).resolve().parents[2] / "eagrctl" / "export" / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def shipped(eagrctl: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small network in the place of the one that comes with eagrctl."""
    path = save_network(tmp_path / "face-parser.safetensors", tiny(), "Research only.")
    monkeypatch.setattr("eagrctl.weights.NETWORK", path)
    return path


def examples() -> list[str]:
    """The blocks of Python in the manual on exporting: running ONNX, cutting out a face, OpenCV, a program of torch."""
    return [block.split("\n```")[0] for block in MANUAL.split("```python\n")[1:]]


def test_what_is_written_runs_as_the_manual_says_without_eagrctl_and_torch(
    eagrctl: Invoke, shipped: Path, tmp_path: Path
) -> None:
    result = eagrctl("export")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "Wrote weights/face-parser.onnx\n"
    equal = [float(line.split("│")[4].strip(" %")) for line in result.stdout.splitlines() if "%" in line]
    assert len(equal) == 4
    # Of an untrained network, the last bit decides over a pixel here and there: where two classes are as good.
    assert min(equal) > 99.95
    noise = np.random.default_rng(0).integers(0, 256, (8, 49, 49, 3), np.uint8)
    exported, logits = OnnxNetwork(Path("weights/face-parser.onnx"))(noise)
    segmenter = Segmenter.of(load_checkpoint(shipped), torch.device("cpu"))
    differs = exported != np.stack(segmenter.predict(list(noise), [np.eye(2, 3)] * 8, [(49, 49)] * 8))
    fine = F.interpolate(torch.from_numpy(logits).double(), (49, 49), mode="bilinear", align_corners=True)
    best = fine.topk(2, dim=1).values.numpy()
    assert (best[:, 0] - best[:, 1])[differs].max(initial=0) < 1e-5 * np.abs(logits).max()
    code = examples()[0]
    assert len(code.splitlines()) <= 20
    script = Path("parse.py")
    script.write_text(code + '\nassert not {"torch", "eagrctl"} & set(sys.modules)\n')
    assert {name.split(".")[0] for name in imports(script)} == {"json", "sys", "numpy", "onnxruntime", "PIL"}

    # A painted face, with patches of other colours, so that the untrained network sees several classes in it.
    pixels = face(1, side=120)[0][:110]
    pixels[10:50, 20:100] = np.random.default_rng(0).integers(0, 256, (4, 8, 3)).repeat(10, axis=0).repeat(10, axis=1)
    Image.fromarray(pixels).save("face.png")
    done = subprocess.run([sys.executable, script, "face.png"], capture_output=True, text=True, check=True)

    small = np.array(Image.fromarray(pixels).resize((49, 49), Image.Resampling.BICUBIC))
    predictor = Segmenter.of(load_checkpoint(shipped), torch.device("cpu"))
    (labels,) = predictor.predict([small], [np.eye(2, 3)], [(49, 49)])
    assert len(np.unique(labels)) > 2
    with Image.open("labels.png") as picture:
        assert (picture.mode, picture.size) == ("P", (120, 110))
        assert picture.getpalette()[: 3 * 19] == [part for colour in CELEBAMASK_HQ.colours for part in colour]
        expected = Image.fromarray(labels).resize((120, 110), Image.Resampling.NEAREST)
        assert (np.asarray(picture) == np.asarray(expected)).mean() > 0.999
    shares = dict(line.split(": ") for line in done.stdout.splitlines())
    assert list(shares) == list(CELEBAMASK_HQ.names)
    assert float(shares["skin"].rstrip("%")) == pytest.approx(100 * (labels == 1).mean(), abs=0.1)

    again = one_line(eagrctl("export"))
    assert "weights/face-parser.onnx exists" in again
    assert "--force" in again


def test_readme_cuts_out_a_face_as_alignment_places_it() -> None:
    eyes = [(203.5, 102.0), (246.0, 102.0)]
    rows, columns = np.mgrid[:512, :512]
    spots = [np.hypot(columns + 0.5 - x, rows + 0.5 - y) < 6 for x, y in eyes]
    names: dict[str, object] = dict(zip(("x1", "y1", "x2", "y2"), np.ravel(eyes).tolist(), strict=True))
    for spot, expected in zip(spots, TEMPLATE[:2], strict=True):
        names["photo"] = Image.fromarray((255 * spot).astype(np.uint8))
        exec(examples()[1], names)
        cut = names["photo"]
        assert isinstance(cut, Image.Image)
        found = np.argwhere(np.asarray(cut.resize((500, 500))) > 127).mean(axis=0)[::-1] + 0.5
        assert np.abs(found / 500 - expected).max() < 0.005


def test_opencv_runs_it_as_the_manual_says(eagrctl: Invoke, shipped: Path) -> None:
    assert eagrctl("export", "--quiet").exit_code == 0
    names: dict[str, object] = {"cv2": cv2, "image": face(2, side=49)[0]}
    exec(examples()[2], names)
    labels, logits = names["labels"], names["logits"]
    assert isinstance(labels, np.ndarray)
    assert isinstance(logits, np.ndarray)
    assert (labels.shape, logits.shape) == ((1, 49, 49), (1, 19, 13, 13))


def test_a_program_of_torch_runs_as_the_manual_says(eagrctl: Invoke, shipped: Path) -> None:
    result = eagrctl("export", "--format", "torch", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    names: dict[str, object] = {"torch": torch, "image": face(2, side=49)[0]}
    exec(examples()[3], names)
    labels, logits = names["labels"], names["logits"]
    assert isinstance(labels, torch.Tensor)
    assert isinstance(logits, torch.Tensor)
    assert (labels.shape, logits.shape) == ((1, 49, 49), (1, 19, 13, 13))

    before = Path("weights/face-parser.pt2").read_bytes()
    Image.fromarray(face(3)[0]).save("face.jpg")
    other = save_network(Path("other.pt"), tiny())
    result = eagrctl("export", other, "--format", "torch", "--photo", "face.jpg", "--size", 57, "--output", "a.pt2")
    assert result.exit_code == 0, result.stderr
    assert "trained at 49 x 49" in result.stderr
    assert result.stderr.endswith("Wrote a.pt2\n")
    assert Path("weights/face-parser.pt2").read_bytes() == before


def test_a_run_gives_its_name_to_the_file(eagrctl: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def record(source: Path, output: Path, *_: object, **__: object) -> list[object]:
        asked.extend((source, output))
        output.parent.mkdir()
        output.write_bytes(b"")
        return [], []

    monkeypatch.setattr("eagrctl.export.network.export_checkpoint", record)
    run = Path("runs") / "mine"
    run.mkdir(parents=True)
    (run / "best.pt").touch()
    assert eagrctl("export", run).exit_code == 0
    assert asked == [run / "best.pt", Path("weights/mine.onnx")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere.pt"], "no checkpoint at nowhere.pt"),
        (["notes.pt"], "notes.pt is not a file of weights"),
        (["--output", "a.pt2"], "cannot write a.pt2: give a name that ends in .onnx"),
        (["--output", "missing/a.onnx"], "its folder does not exist"),
        (["--format", "torch", "--output", "a.onnx"], "cannot write a.onnx: give a name that ends in .pt2"),
        (["--photo", "face.jpg"], "face.jpg is missing"),
        (["--photo", "notes.pt"], "notes.pt"),
        (["--int8"], "give --data DIR"),
        (["--half", "--data", "nowhere"], "no prepared dataset at nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    eagrctl: Invoke, shipped: Path, arguments: list[str], complaint: str
) -> None:
    Path("notes.pt").write_text("dear diary")
    assert complaint in one_line(eagrctl("export", *arguments))
    assert [path.name for path in Path().iterdir()] == ["notes.pt"]


def test_without_onnx_the_remedy_is_named(eagrctl: Invoke, shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    line = one_line(eagrctl("export"))
    assert "onnxscript is not installed: pip install 'eagrctl[onnx]', or export with --format torch" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "tflite"],
        ["--format", "torch", "--opset", "18"],
        ["--opset", "17"],
        ["--opset", "24"],
        ["--size", "32"],
        ["--size", "4097"],
        ["--size", "all"],
        ["--half", "--int8"],
        ["--int8", "--format", "torch"],
        ["--half", "--size", "any"],
        ["--int8", "--scheme", "farl"],
        ["--data", "data"],
    ],
)
def test_wrong_usage_exits_with_2(eagrctl: Invoke, arguments: list[str]) -> None:
    assert eagrctl("export", *arguments).exit_code == 2


def test_a_smaller_form_is_named_for_it_and_its_cost_told(eagrctl: Invoke, tiny_data: ShardIndex) -> None:
    save_network(Path("tiny.pt"), tiny())
    result = eagrctl("export", "tiny.pt", "--int8", "--data", tiny_data.root)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.endswith("Wrote weights/tiny.int8.onnx\n")
    rows = [line.split("│") for line in result.stdout.splitlines() if "float32" in line or "int8" in line]
    assert [row[1].strip() for row in rows] == ["float32", "int8"]
    assert float(rows[0][2]) > float(rows[1][2])


def test_the_examples_are_code() -> None:
    assert len(examples()) == 4
    for code in examples():
        ast.parse(code)
