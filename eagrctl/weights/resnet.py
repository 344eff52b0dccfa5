"""ImageNet's ResNets: state dicts named as torchvision names them, with either stem, become backbone weights.

The stem is "deep" (`conv1` to `conv3`, of the family that the paper starts from) or "conv7x7" (`conv1` alone). Where
the strides sit cannot be seen in a state dict: a safetensors file may say so in its metadata (`stride`, in words that
name 1x1 or 3x3); without, they are on the 3x3 convolutions, as in both families. The classifier is left.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from eagrctl.documents import Number, Text, Versioned
from eagrctl.errors import CheckpointError
from eagrctl.network.backbone import BACKBONES, Backbone, Form
from eagrctl.weights.conversion import Change, Conversion, Entry, convert, layer, norm

# Their names of what ours calls so within a block.
PLACES = {"reduce": 1, "spatial": 2, "extend": 3, "first": 1, "second": 2}
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, in RGB order


@dataclass(frozen=True)
class BackboneWeights(Versioned):
    """A trained backbone.

    Attributes:
        backbone: its name in a recipe.
        stem, stride: of a ResNet's form, empty for others; whether residuals are activated is left to the recipe.
        mean, std: channel statistics that it was trained with, in RGB order, of pixels scaled to 0..1.
        tensors: the state dict of that backbone.
        origin: where it comes from, in words.
    """

    backbone: Text
    stem: Text
    stride: Text
    mean: tuple[Number, Number, Number]
    std: tuple[Number, Number, Number]
    tensors: Mapping[str, torch.Tensor]
    origin: Text


def is_resnet(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether a state dict is of a ResNet, and of nothing more."""
    return "conv1.weight" in state and "layer4.0.conv1.weight" in state and "layer6.conv4.weight" not in state


def from_resnet(
    state: Mapping[str, torch.Tensor], metadata: Mapping[str, str], source: str
) -> tuple[Conversion, BackboneWeights]:
    """Convert an ImageNet ResNet.

    Args:
        state: theirs.
        metadata: of the file, if it has any.
        source: the file, for messages.

    Raises:
        CheckpointError: it cannot be represented exactly.
    """
    name = backbone_name(state, source)
    stem = "deep" if "conv3.weight" in state else "conv7x7"
    stride = _named(metadata, "stride", ("3x3", "1x1"), source)
    order = _named(metadata, "input", ("RGB", "BGR"), source)
    try:
        form = Form(stem, stride)
        with torch.device("meta"):
            target = Backbone(name, form=form).state_dict()
    except ValueError as error:
        raise CheckpointError(f"{source} cannot be represented: {error}") from None
    entries = resnet_entries(target, "", norm, torch.Tensor.clone if order == "RGB" else lambda weight: weight.flip(1))
    converted = convert(state, entries, target, source, droppable=("fc.",))
    return converted, BackboneWeights(name, stem, stride, MEAN, DEVIATION, converted.tensors, source)


def backbone_name(state: Mapping[str, torch.Tensor], source: str) -> str:
    """The backbone that a state dict's blocks are of.

    Raises:
        CheckpointError: none that there is.
    """
    depths = tuple(
        len({match[1] for key in state if (match := re.match(rf"layer{stage}\.(\d+)\.", key))}) for stage in range(1, 5)
    )
    kind = "Bottleneck" if "layer1.0.conv3.weight" in state else "BasicBlock"
    for name, (block, blocks) in BACKBONES.items():
        if blocks == depths and block.__name__ == kind:
            return name
    raise CheckpointError(
        f"{source} is a network with {', '.join(map(str, depths))} blocks ({kind}), which is none of "
        f"{', '.join(BACKBONES)}"
    )


def resnet_entries(
    target: Mapping[str, torch.Tensor], prefix: str, norms: Callable[[str, str], list[Entry]], first: Change
) -> list[Entry]:
    """Where the tensors of stem and stages go.

    Args:
        target: a state dict with our backbone in it.
        prefix: what its keys begin with there.
        norms: makes the entries of a norm, from its name there and here.
        first: what becomes of the first convolution, which sees the image's channels.
    """
    entries = [Entry("conv1.weight", f"{prefix}conv1.0.0.weight", first), *norms("bn1", f"{prefix}conv1.0.1")]
    for number in (2, 3):
        ours = f"{prefix}conv1.{number - 1}"
        if f"{ours}.0.weight" in target:
            entries += layer(f"conv{number}", f"{ours}.0") + norms(f"bn{number}", f"{ours}.1")
    for key in target:
        if match := re.fullmatch(rf"({re.escape(prefix)}conv([2-5])\.(\d+)\.(\w+))\.0\.weight", key):
            ours, stage, place, unit = match.groups()
            block = f"layer{int(stage) - 1}.{place}"
            convolution, normed = (
                (f"{block}.downsample.0", f"{block}.downsample.1")
                if unit == "shortcut"
                else (f"{block}.conv{PLACES[unit]}", f"{block}.bn{PLACES[unit]}")
            )
            entries += layer(convolution, f"{ours}.0") + norms(normed, f"{ours}.1")
    return entries


def _named(metadata: Mapping[str, str], key: str, choices: tuple[str, str], source: str) -> str:
    """The one of two choices, the first by default, that a file's metadata name."""
    said = metadata.get(key, choices[0])
    named = [choice for choice in choices if choice in said]
    if len(named) != 1:
        raise CheckpointError(f"{source} says of its {key} {said!r}, which names neither {' nor '.join(choices)} alone")
    return named[0]
