import errno
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from eagrctl.checkpoint import load_checkpoint, restore_network, save_checkpoint
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.errors import CheckpointError, EagrctlError
from eagrctl.events import Notice, Progress
from eagrctl.export import network as export
from eagrctl.export.exported import OnnxNetwork, TorchNetwork
from eagrctl.export.network import export_checkpoint, onnx_bytes, require_onnx
from eagrctl.readers.schemes import find_scheme
from eagrctl_tests.export.exports import assert_same, noise, plainly, save_network, tiny


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_file_of_onnx_gives_what_the_network_gives_for_any_batch(
    exported_onnx: Path, tiny_checkpoint: Path, batch: int
) -> None:
    session = onnxruntime.InferenceSession(str(exported_onnx), providers=["CPUExecutionProvider"])
    assert_same(lambda images: session.run(["labels", "logits"], {"image": images}), tiny_checkpoint, batch, 49)


@pytest.mark.parametrize("batch", [1, 3])
def test_opencv_gives_what_the_network_gives(exported_onnx: Path, tiny_checkpoint: Path, batch: int) -> None:
    network = cv2.dnn.readNetFromONNX(str(exported_onnx))

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        network.setInput(images, "image")
        labels, logits = network.forward(["labels", "logits"])
        return labels.astype(np.uint8), logits  # OpenCV 4 gives both as float32

    assert_same(run, tiny_checkpoint, batch, 49)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_program_of_torch_gives_what_the_network_gives_for_any_batch(
    exported_torch: Path, tiny_checkpoint: Path, batch: int
) -> None:
    assert_same(TorchNetwork(exported_torch), tiny_checkpoint, batch, 49)


@pytest.mark.parametrize(
    ("overrides", "opset"),
    [
        (("model.sampling=false", "model.deployment=3", "input.size=66"), 20),
        (
            (
                *("model.edge=false", "model.deployment=1", 'model.backbone="resnet50"', 'model.stem="conv7x7"'),
                *('model.stride="1x1"', 'model.residual="plain"', "train.checkpointing=true"),
            ),
            23,
        ),
    ],
    ids=["three non-local modules", "one module without edges"],
)
def test_variants_are_exported_at_each_opset(tmp_path: Path, overrides: tuple[str, ...], opset: int) -> None:
    recipe = tiny(*overrides)
    checkpoint = save_network(tmp_path / "variant.pt", recipe)
    differences, _ = export_checkpoint(checkpoint, tmp_path / "variant.onnx", opset=opset)
    assert all(difference.small for difference in differences)
    assert onnx.load(tmp_path / "variant.onnx").opset_import[0].version == opset
    assert_same(OnnxNetwork(tmp_path / "variant.onnx"), checkpoint, 3, recipe.input.size)


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_labels_may_be_those_of_another_tool(tmp_path: Path, tiny_checkpoint: Path, kind: export.Kind) -> None:
    output = tmp_path / f"network{export.ENDINGS[kind]}"
    differences, _ = export_checkpoint(tiny_checkpoint, output, kind, scheme="zllrunning")
    assert all(difference.small for difference in differences)
    written = find_scheme("zllrunning", CELEBAMASK_HQ).written(CELEBAMASK_HQ)
    images = noise(2, 49)
    labels, logits = (OnnxNetwork if kind == "onnx" else TorchNetwork)(output)(images)
    expected, scores = plainly(tiny_checkpoint, images)
    assert (labels == written.table[expected]).mean() > 0.999
    assert np.abs(logits - scores).max() < 1e-3


@pytest.mark.parametrize(("kind", "sampling"), [("onnx", "true"), ("torch", "false")])
def test_a_file_of_any_size_gives_what_the_network_gives_at_each(
    tmp_path: Path, kind: export.Kind, sampling: str
) -> None:
    checkpoint = save_network(tmp_path / "network.pt", tiny(f"model.sampling={sampling}"))
    output = tmp_path / f"network{export.ENDINGS[kind]}"
    differences, _ = export_checkpoint(checkpoint, output, kind, size="any")
    named = {difference.images for difference in differences}
    assert named == {f"{what}, {side} x {side}" for what in ("random pixels", "real faces") for side in (49, 33, 65)}
    network = (OnnxNetwork if kind == "onnx" else TorchNetwork)(output)
    for size in (49, 33, 80, 121):
        assert_same(network, checkpoint, 2, size)
    images = noise(2, 121)[:, 10:107, 5:]
    labels, logits = network(images)
    loaded = load_checkpoint(checkpoint)
    with torch.inference_mode():
        plain = export.PixelsToLabels(restore_network(loaded), loaded.recipe.input)(torch.from_numpy(images))
    assert np.abs(logits - plain[1].numpy()).max() < 1e-4 * plain[1].abs().max()
    assert (labels == plain[0].numpy()).mean() > 0.999


def test_a_network_without_graph_is_exported_at_another_size(tmp_path: Path) -> None:
    checkpoint = save_network(tmp_path / "variant.pt", tiny("model.graph=false", "model.pooling=4"))
    events: list[Progress | Notice] = []
    export_checkpoint(checkpoint, tmp_path / "a.pt2", "torch", size=57, listener=events.append)
    assert_same(TorchNetwork(tmp_path / "a.pt2"), checkpoint, 3, 57)
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "trained at 49 x 49" in notice.text


def test_the_graph_is_sound_and_its_inputs_and_outputs_are_named(exported_onnx: Path) -> None:
    model = onnx.load(exported_onnx)
    onnx.checker.check_model(model, full_check=True)
    assert (model.producer_name, model.opset_import[0].version) == ("eagrctl", 18)

    def described(value: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
        kind = value.type.tensor_type
        return value.name, kind.elem_type, [axis.dim_param or axis.dim_value for axis in kind.shape.dim]

    assert [described(value) for value in model.graph.input] == [
        ("image", onnx.TensorProto.UINT8, ["batch", 49, 49, 3])
    ]
    assert [described(value) for value in model.graph.output] == [
        ("labels", onnx.TensorProto.UINT8, ["batch", 49, 49]),
        ("logits", onnx.TensorProto.FLOAT, ["batch", 19, 13, 13]),
    ]


def test_a_file_keeps_the_paths_of_this_machine_to_itself(exported_onnx: Path, exported_torch: Path) -> None:
    for path in (exported_onnx, exported_torch):
        contents = path.read_bytes()
        for place in (Path(export.__file__).parents[2], Path(torch.__file__).parent, exported_onnx.parent):
            assert str(place).encode() not in contents


def test_a_program_is_read_by_torch_alone(exported_torch: Path) -> None:
    code = (
        "import json, sys, torch; files = {'metadata.json': ''}; "
        "program = torch.export.load(sys.argv[1], extra_files=files).module(); "
        "labels, logits = program(torch.zeros(3, 49, 49, 3, dtype=torch.uint8)); "
        "assert 'eagrctl' not in sys.modules; "
        "print(tuple(labels.shape), tuple(logits.shape), json.loads(files['metadata.json'])['card'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported_torch)], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == "(3, 49, 49) (3, 19, 13, 13) For non-commercial research only.\n"


def test_metadata_is_text_or_json(exported_onnx: Path) -> None:
    about = {entry.key: entry.value for entry in onnx.load(exported_onnx).metadata_props}
    assert about["dataset"] == "celebamask-hq"
    assert about["card"] == "For non-commercial research only."
    assert json.loads(about["classes"])[13] == "hair"
    assert json.loads(about["input"])["shape"] == ["batch", 49, 49, 3]


@pytest.fixture
def ready_made(exported_torch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting gives the file of `tiny_checkpoint`, whatever the network."""
    monkeypatch.setattr(export, "torch_bytes", lambda *_: exported_torch.read_bytes())


@pytest.mark.usefixtures("ready_made")
def test_what_differs_from_the_network_is_not_written(tiny_checkpoint: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(tiny_checkpoint)
    changed = {name: tensor.clone() for name, tensor in loaded.network.items()}
    changed["decoder.classify.bias"][3] += 0.01
    save_checkpoint(replace(loaded, network=changed), tmp_path / "changed.pt")
    output = tmp_path / "out" / "a.pt2"
    output.parent.mkdir()
    output.write_text("what was there")
    with pytest.raises(EagrctlError, match=r"is not the network: on .*, logits differ by .*; nothing was written"):
        export_checkpoint(tmp_path / "changed.pt", output, "torch")
    assert output.read_text() == "what was there"
    assert list(output.parent.iterdir()) == [output]
    export_checkpoint(tiny_checkpoint, output, "torch")
    assert output.read_bytes()[:2] == b"PK"


@pytest.mark.usefixtures("ready_made")
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, contents: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EagrctlError, match=r"cannot write .*a\.pt2: No space left on device"):
        export_checkpoint(tiny_checkpoint, tmp_path / "a.pt2", "torch")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("dear diary")
    with pytest.raises(CheckpointError, match=r"notes\.pt is not a file of weights"):
        export_checkpoint(tmp_path / "notes.pt", tmp_path / "a.onnx")


def test_without_onnx_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "onnx" in name else find(name))
    with pytest.raises(EagrctlError, match=r"onnx and onnxscript and onnxruntime are not .*'eagrctl\[onnx\]'"):
        require_onnx()


def test_a_network_beyond_what_onnx_holds_is_refused() -> None:
    with torch.device("meta"):
        huge = nn.Linear(2**15, 2**14)
    with pytest.raises(EagrctlError, match="2 GB"):
        onnx_bytes(huge, replace(tiny().input, size=33))
