"""The detector as a file: its weights, in safetensors, with all that is needed to use them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from safetensors.torch import save as safetensors_bytes

from eagrctl.documents import NumberOrNaN, Text, Versioned, Whole, json_in, plain
from eagrctl.errors import CheckpointError
from eagrctl.faces.detection.network import DetectorNetwork
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


def save_detector(network: DetectorNetwork, about: DetectorAbout, path: Path) -> None:
    """Write a detector in half precision, whole or not at all; EagrctlError where it cannot be written."""
    kept = {
        name: (tensor.half() if tensor.is_floating_point() and name != "calibration" else tensor).contiguous().cpu()
        for name, tensor in network.state_dict().items()
    }
    metadata = {"format": FORMAT, "version": VERSION, "detector": json.dumps(plain(about))}
    write_whole(safetensors_bytes(kept, metadata), path)


def load_detector(path: Path) -> tuple[DetectorNetwork, DetectorAbout]:
    """Read a detector; the network is in evaluation mode, float32, on the CPU.

    Raises:
        CheckpointError: it is missing, damaged, or something else.
    """
    file = read_tensors(path)
    if file.metadata.get("format") != FORMAT or file.metadata.get("version") != VERSION:
        raise CheckpointError(f"{printable(path)} is no detector of this eagrctl: {REMEDY}")
    about = json_in(file.metadata.get("detector", ""), DetectorAbout, printable(path), CheckpointError, REMEDY)
    # Without memory of its own until the tensors, copied, take their places: a stranger's may be of any size.
    with torch.device("meta"):
        network = DetectorNetwork(about.widths, about.depths, about.neck)
    try:
        kinds = {name: tensor.dtype for name, tensor in network.state_dict().items()}
        network.load_state_dict(file.contents, assign=True)
        widened = {name: tensor.to(kinds[name], copy=True) for name, tensor in file.contents.items()}
        network.load_state_dict(widened, assign=True)
    except (RuntimeError, KeyError):
        raise CheckpointError(f"the weights in {printable(path)} do not fit what it says of itself: {REMEDY}") from None
    return network.eval(), about
