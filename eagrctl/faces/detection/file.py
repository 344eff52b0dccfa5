"""The detector as a file: its weights, in safetensors, with all that is needed to use them.

Tensors whose names begin with `faces.` are those of the network that finds faces; `points.`, of the one that refines
their points, which may be missing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from safetensors.torch import save as safetensors_bytes
from torch import nn

from eagrctl.documents import NumberOrNaN, Text, Versioned, Whole, json_in, plain
from eagrctl.errors import CheckpointError
from eagrctl.faces.detection.network import DetectorNetwork
from eagrctl.faces.detection.points import PointsNetwork
from eagrctl.files import printable, write_whole
from eagrctl.tensorfile import read_tensors

FORMAT, VERSION = "eagrctl detector", "1"
REMEDY = 'name one of eagrctl detector train, or "own" for the one that eagrctl ships'
Width = Annotated[Whole, Field(ge=1, le=1024)]
Depth = Annotated[Whole, Field(ge=1, le=32)]


@dataclass(frozen=True)
class DetectorAbout(Versioned):
    """What stands in a detector's file beside its weights.

    Attributes:
        widths, depths, neck: of the network.
        scores: on validation photos, by name.
        card: what its users should know, licence included, in words.
    """

    marks: ClassVar[Mapping[str, str | int]] = {}

    widths: tuple[Width, Width, Width, Width, Width]
    depths: tuple[Depth, Depth, Depth]
    neck: Width
    scores: Mapping[Text, NumberOrNaN] = field(default_factory=dict)
    card: Text = ""


@dataclass(frozen=True)
class Detector:
    """The networks, in evaluation mode.

    Attributes:
        faces: finds faces.
        points: refines their points; None where there is no such network.
        about: what else stands in the file.
    """

    faces: DetectorNetwork
    points: PointsNetwork | None
    about: DetectorAbout


def save_detector(detector: Detector, path: Path) -> None:
    """Write a detector in half precision, whole or not at all; EagrctlError where it cannot be written."""
    parts = {"faces": detector.faces, "points": detector.points}
    kept = {
        f"{part}.{name}": (tensor.half() if tensor.is_floating_point() and name != "calibration" else tensor)
        for part, network in parts.items()
        if network is not None
        for name, tensor in network.state_dict().items()
    }
    contiguous = {name: tensor.contiguous().cpu() for name, tensor in kept.items()}
    metadata = {"format": FORMAT, "version": VERSION, "detector": json.dumps(plain(detector.about))}
    write_whole(safetensors_bytes(contiguous, metadata), path)


def load_detector(path: Path) -> Detector:
    """Read a detector, float32, onto the CPU.

    Raises:
        CheckpointError: it is missing, damaged, or something else.
    """
    file = read_tensors(path)
    if file.metadata.get("format") != FORMAT or file.metadata.get("version") != VERSION:
        raise CheckpointError(f"{printable(path)} is no detector of this eagrctl: {REMEDY}")
    about = json_in(file.metadata.get("detector", ""), DetectorAbout, printable(path), CheckpointError, REMEDY)
    parts: dict[str, dict[str, torch.Tensor]] = {"faces": {}, "points": {}}
    for name, tensor in file.contents.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    # Without memory of their own until the tensors, copied, take their places: a stranger's may be of any size.
    with torch.device("meta"):
        faces = DetectorNetwork(about.widths, about.depths, about.neck)
    points = PointsNetwork() if parts["points"] else None
    try:
        _fill(faces, parts["faces"])
        if points is not None:
            _fill(points, parts["points"])
    except (RuntimeError, KeyError):
        raise CheckpointError(f"the weights in {printable(path)} do not fit what it says of itself: {REMEDY}") from None
    return Detector(faces.eval(), points and points.eval(), about)


def _fill(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    kinds = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    network.load_state_dict(tensors, assign=True)  # compares shapes, before anything is copied
    network.load_state_dict({name: tensor.to(kinds[name], copy=True) for name, tensor in tensors.items()}, assign=True)
