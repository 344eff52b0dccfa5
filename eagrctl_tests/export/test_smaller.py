from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from eagrctl.data.dataset import FaceDataset
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import HELEN
from eagrctl.errors import CheckpointError, EagrctlError, ShardError
from eagrctl.export import smaller as module
from eagrctl.export.exported import OnnxNetwork
from eagrctl.export.network import export_checkpoint
from eagrctl.export.smaller import Form, measure, smaller
from eagrctl_tests.export.exports import noise


@pytest.mark.parametrize(("form", "most"), [("half", 0.62), ("int8", 0.55)])
def test_another_form_is_smaller_and_says_nearly_the_same(
    exported_onnx: Path, tiny_data: ShardIndex, form: Form, most: float
) -> None:
    plain = exported_onnx.read_bytes()
    made, costs = smaller(plain, form, tiny_data, 49)
    assert [cost.form for cost in costs] == ["float32", form]
    assert [cost.size for cost in costs] == [len(plain), len(made)]
    assert len(made) < most * len(plain)
    assert all(cost.seconds > 0 for cost in costs)
    model = onnx.load_from_string(made)
    onnx.checker.check_model(model)
    assert {each.key for each in model.metadata_props} == {each.key for each in onnx.load(exported_onnx).metadata_props}
    images = noise(2, 49)
    (labels, logits), (own, plainly) = OnnxNetwork(made)(images), OnnxNetwork(plain)(images)
    assert (labels.dtype, logits.dtype, labels.shape, logits.shape) == (np.uint8, np.float32, own.shape, plainly.shape)
    assert (labels == own).mean() > 0.9
    kinds = {initializer.data_type for initializer in model.graph.initializer}
    assert (onnx.TensorProto.FLOAT16 if form == "half" else onnx.TensorProto.INT8) in kinds


def test_scores_are_those_of_the_labels_that_it_gives(exported_onnx: Path, tiny_data: ShardIndex) -> None:
    (cost,) = measure({"float32": exported_onnx.read_bytes()}, tiny_data, 49)
    network, counts = OnnxNetwork(exported_onnx), np.zeros((19, 19))
    for image, truth, _ in map(FaceDataset(tiny_data, "val", 49).__getitem__, range(4)):
        found = network(image.permute(1, 2, 0)[None].contiguous().numpy())[0][0]
        for own in range(19):
            counts[own] += np.bincount(found[truth.numpy() == own], minlength=19)
    present = (counts.sum(axis=0) + counts.sum(axis=1))[1:] > 0
    f1 = 2 * np.diag(counts)[1:][present] / (counts.sum(axis=0) + counts.sum(axis=1))[1:][present]
    assert cost.f1 == pytest.approx(f1.mean())


def test_what_loses_too_much_is_refused_and_not_written(
    tiny_checkpoint: Path, tiny_data: ShardIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ALLOWED", -101.0)
    with pytest.raises(EagrctlError, match=r"int8 takes .* points of mean F1 .* leave --int8 out"):
        export_checkpoint(tiny_checkpoint, tmp_path / "a.onnx", form="int8", index=tiny_data)
    assert list(tmp_path.iterdir()) == []


def test_faces_of_other_classes_or_without_a_split_are_refused(
    tiny_checkpoint: Path, tiny_data: ShardIndex, tmp_path: Path
) -> None:
    output = tmp_path / "a.onnx"
    with pytest.raises(CheckpointError, match="parses 19 classes"):
        export_checkpoint(tiny_checkpoint, output, form="half", index=replace(tiny_data, labels=HELEN))
    alone = replace(tiny_data, splits={"train": tiny_data.split("train")})
    with pytest.raises(ShardError, match="val"):
        export_checkpoint(tiny_checkpoint, output, form="half", index=alone)
    assert list(tmp_path.iterdir()) == []
