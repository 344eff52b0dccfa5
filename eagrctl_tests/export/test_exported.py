import json
from pathlib import Path

import numpy as np
import pytest

from eagrctl.export.exported import OnnxNetwork, TorchNetwork
from eagrctl_tests.export.exports import noise


def test_logits_alone_are_those_with_labels(exported_onnx: Path) -> None:
    network = OnnxNetwork(exported_onnx)
    images = noise(3, network.size)
    assert np.array_equal(network.logits(images), network(images)[1])


def test_a_file_and_its_contents_are_the_same(exported_onnx: Path, exported_torch: Path) -> None:
    images = noise(2, 49)
    for kind, path in ((OnnxNetwork, exported_onnx), (TorchNetwork, exported_torch)):
        for one, other in zip(kind(path)(images), kind(path.read_bytes())(images), strict=True):
            assert np.array_equal(one, other)


def test_a_session_knows_its_size_and_metadata(exported_onnx: Path) -> None:
    network = OnnxNetwork(exported_onnx, threads=1)
    assert network.size == 49
    assert json.loads(network.about["classes"])[:2] == ["background", "skin"]


def test_an_image_of_another_size_is_refused(exported_onnx: Path, exported_torch: Path) -> None:
    with pytest.raises(Exception, match="image"):
        OnnxNetwork(exported_onnx)(noise(1, 57))
    with pytest.raises(Exception, match="image"):
        TorchNetwork(exported_torch)(noise(1, 57))
