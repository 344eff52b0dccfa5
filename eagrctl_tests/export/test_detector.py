import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from eagrctl.errors import EagrctlError
from eagrctl.export import detector as module
from eagrctl.export.detector import export_detector
from eagrctl.faces.detection.file import load_detector, save_detector
from eagrctl_tests.faces.detection.test_file import detector
from eagrctl_tests.faces.detection.test_network import small, stirred


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("detector")
    save_detector(detector(), folder / "a.safetensors")
    export_detector(folder / "a.safetensors", folder / "a.onnx")
    return folder / "a.safetensors", folder / "a.onnx"


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (2, 3, 64, 160)])
def test_the_file_answers_as_the_network_does(exported: tuple[Path, Path], shape: tuple[int, ...]) -> None:
    source, path = exported
    images = 255 * torch.rand(shape)
    with torch.inference_mode():
        wanted = load_detector(source).faces.answers(images)
    given = onnxruntime.InferenceSession(path).run(None, {"images": images.numpy()})
    for one, other in zip(given, wanted, strict=True):
        assert np.allclose(one, other.numpy(), atol=2e-3, rtol=1e-4)


def test_it_says_what_it_is_and_nothing_of_this_machine(exported: tuple[Path, Path]) -> None:
    model = onnx.load(exported[1])
    told = {each.key: each.value for each in model.metadata_props}
    assert json.loads(told["detector"])["scores"] == {"ap": 0.5}
    assert len(json.loads(told["landmarks"])) == 5
    assert b"/home" not in exported[1].read_bytes()
    assert b"site-packages" not in exported[1].read_bytes()


def test_a_file_that_answers_otherwise_is_refused(exported: tuple[Path, Path]) -> None:
    other = module._Answers(stirred(small())).eval()
    with pytest.raises(EagrctlError, match="would differ from the network by"):
        module._require_equal(exported[1].read_bytes(), other)
