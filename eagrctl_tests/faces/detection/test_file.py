from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from eagrctl.errors import CheckpointError
from eagrctl.faces.detection.file import Detector, DetectorAbout, load_detector, save_detector
from eagrctl.faces.detection.network import DetectorNetwork
from eagrctl.faces.detection.points import PointsNetwork
from eagrctl_tests.faces.detection.test_network import small, stirred

ABOUT = DetectorAbout((4, 6, 8, 8, 8), (2, 1, 1), 8, {"ap": 0.5}, "for tests")


def detector(points: bool = True) -> Detector:
    faces = stirred(small())
    assert isinstance(faces, DetectorNetwork)
    faces.calibration.copy_(torch.tensor([[1.5, 0.25], [2.0, 1.0], [3.0, -1.0]]))
    return Detector(faces, PointsNetwork().eval() if points else None, ABOUT)


@pytest.mark.parametrize("points", [True, False])
def test_what_is_written_is_read_again_to_half_precision(tmp_path: Path, points: bool) -> None:
    written, path = detector(points), tmp_path / "a.safetensors"
    save_detector(written, path)
    read = load_detector(path)
    assert read.about == ABOUT
    assert not read.faces.training
    assert torch.equal(read.faces.calibration, written.faces.calibration)
    images = torch.rand(1, 3, 64, 64) * 255
    with torch.inference_mode():
        for one, other in zip(written.faces.answers(images), read.faces.answers(images), strict=True):
            assert torch.allclose(one, other, atol=0.2, rtol=0.02)
            assert other.dtype == torch.float32
    assert (read.points is None) != points
    save_detector(read, tmp_path / "b.safetensors")
    again = load_detector(tmp_path / "b.safetensors")
    for name, tensor in read.faces.state_dict().items():
        assert torch.equal(again.faces.state_dict()[name], tensor)


def test_what_is_no_detector_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_detector(detector(), path)
    good = path.read_bytes()
    cases = {
        "missing": (None, "no checkpoint at"),
        "cut": (good[:5000], "not a file of weights"),
        "empty": (b"", "not a file of weights"),
        "huge": (good.replace(b'\\"neck\\": 8', b'\\"neck\\": 9'), "do not fit what it says of itself"),
        "absurd": (good.replace(b'\\"neck\\": 8', b'\\"neck\\":-8'), "'neck' must be at least 1"),
    }
    for name, (content, said) in cases.items():
        other = tmp_path / f"{name}.safetensors"
        if content is not None:
            other.write_bytes(content)
        with pytest.raises(CheckpointError, match=said) as caught:
            load_detector(other)
        assert "\n" not in str(caught.value)


def test_other_tensors_are_no_detector(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="is no detector of this eagrctl"):
        load_detector(tmp_path / "other.safetensors")
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(CheckpointError, match="not a file of weights"):
        load_detector(tmp_path / "a.npy")
