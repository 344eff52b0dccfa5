"""The detector -> a file of ONNX, with its decoding.

* `images`, (B, 3, H, W) float32: RGB, 0..255; H and W are multiples of 32, filled up with black on the right and below
* `logits`, (B, N) float32: their sigmoid is the score; calibrated
* `boxes`, (B, N, 4) float32: left, top, right and bottom in pixels
* `points`, (B, N, 5, 2) float32: in the order of `eagrctl.arrays.Landmarks`

B, H and W are free. Of boxes that show one face, who runs it has to choose: `eagrctl.faces.detection.boxes` says how.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from eagrctl import __version__
from eagrctl.documents import plain
from eagrctl.errors import EagrctlError
from eagrctl.export.network import LANDMARKS, OPSET, finished, quietly, require_onnx
from eagrctl.faces.detection.file import load_detector
from eagrctl.faces.detection.network import LARGEST_STRIDE, DetectorNetwork
from eagrctl.files import sha256_of, write_whole

TOLERANCE = 1e-3  # of logits, and of pixels of boxes and points


class _Answers(nn.Module):
    """The network with its decoding, as a tuple."""

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return tuple(self.network.answers(images))  # type: ignore[return-value]


def export_detector(source: Path, output: Path) -> None:
    """Write a detector as ONNX, once it gives there what it gives here.

    Raises:
        CheckpointError: the detector is missing, damaged or something else.
        EagrctlError: ONNX is not installed; the file would differ, or cannot be written.
    """
    require_onnx()
    detector = load_detector(source)
    about = {"eagrctl": __version__, "detector": plain(detector.about), "sha256": sha256_of(source)}
    write_whole(detector_onnx(detector.faces, {**about, "landmarks": LANDMARKS}), output)


def detector_onnx(network: DetectorNetwork, about: Mapping[str, Any]) -> bytes:
    """The file, with this metadata; EagrctlError where it gives something else than the network."""
    whole = _Answers(network.folded()).eval()
    images = torch.zeros(2, 3, 3 * LARGEST_STRIDE, 4 * LARGEST_STRIDE)
    sides = {2: LARGEST_STRIDE * Dim("rows", min=1, max=256), 3: LARGEST_STRIDE * Dim("columns", min=1, max=256)}
    with quietly(), torch.no_grad():
        converted = torch.onnx.export(
            whole,
            (images,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits", "boxes", "points"],
            dynamic_shapes=({0: Dim("batch", min=1), **sides},),
            verbose=False,
        )
        assert converted is not None
        model = converted.model_proto
    contents = finished(model, about)
    _require_equal(contents, whole)
    return contents


def _require_equal(contents: bytes, whole: nn.Module) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for shape in ((1, 3, 96, 128), (3, 3, 64, 32)):
        images = 255 * torch.rand(shape, generator=generator)
        with torch.inference_mode():
            wanted = whole(images)
        given = session.run(None, {"images": images.numpy()})
        pairs = zip(map(torch.from_numpy, given), wanted, strict=True)
        worst = max(float((one - other).abs().max()) for one, other in pairs)
        if worst > TOLERANCE:
            raise EagrctlError(f"the file would differ from the network by {worst:.2g}: install other versions of ONNX")
