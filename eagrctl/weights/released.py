"""The released EAGRNet: its state dict, as its authors' code saves it, becomes a checkpoint.

What differs, and how it is made equal (facts, section 1):

* In-Place ABN scales by |weight| + eps; our batch norm scales by its weight: it becomes |weight| + 1e-5.
* The release reasons with (A - I), the paper and we with (I - A): W changes sign. A keeps its bias per vertex.
* It reads images as blue, green, red. Our files are red, green, blue: the first convolution's input channels swap
  places, and so do the channels of mean and standard deviation, which the release applies in its own order.
* K and T are read off the shapes (128 and 128 on the high level, 64 and 64 on the low one), and so are classes.
"""

from collections.abc import Mapping

import torch

from eagrctl.checkpoint import build_network
from eagrctl.errors import CheckpointError
from eagrctl.recipe import Recipe, changed, find_recipe, load_recipe
from eagrctl.weights.conversion import Conversion, Entry, convert, layer, norm
from eagrctl.weights.resnet import DEVIATION, MEAN, backbone_name, resnet_entries

EPS = 1e-5


def is_released(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether a state dict is of the released network."""
    return "layer6.conv4.weight" in state and "block1.conv_state.weight" in state


def from_released(state: Mapping[str, torch.Tensor], source: str) -> tuple[Conversion, Recipe, int]:
    """Convert a released state dict.

    Args:
        state: theirs.
        source: the file, for messages.

    Returns:
        Our state dict; the recipe `released`, with what differs in this network; and its number of classes.

    Raises:
        CheckpointError: it cannot be represented exactly.
    """

    def outputs(key: str) -> int:
        if key not in state:
            raise CheckpointError(f"{source} lacks {key}: it is cut short, or of another network")
        return int(state[key].shape[0])

    recipe = changed(
        load_recipe(find_recipe("released")),
        model={
            "backbone": backbone_name(state, source),
            "pretrained": "none",
            "pooling": _pooling(outputs("block1.gcn.conv1.weight"), source),
            "high_k": outputs("block1.conv_state.weight"),
            "high_t": outputs("block1.conv_proj.weight"),
            "low_k": outputs("block2.conv_state.weight"),
            "low_t": outputs("block2.conv_proj.weight"),
        },
        input={"mean": MEAN[::-1], "std": DEVIATION[::-1]},
    )
    classes = outputs("layer6.conv4.weight")
    with torch.device("meta"):
        target = build_network(recipe, classes).state_dict()
    return convert(state, _entries(target), target, source), recipe, classes


def _pooling(vertices: int, source: str) -> int:
    side = round(vertices**0.5)
    if side * side != vertices:
        raise CheckpointError(f"{source} has {vertices} vertices, which are no square of anchors")
    return int(side) + 2


def _entries(target: Mapping[str, torch.Tensor]) -> list[Entry]:
    entries = resnet_entries(target, "backbone.", _norm, first=lambda weight: weight.flip(1))
    for level in range(4):
        entries += _unit(f"layer5.stages.{level}", 1, f"pyramid.levels.{level}.1")
    entries += _unit("layer5.bottleneck", 0, "pyramid.bottleneck")
    for number in range(3):
        entries += _unit(f"edge_layer.conv{number + 1}", 0, f"edge.reduce.{number}")
    entries += layer("edge_layer.conv4", "edge.predict", bias=True) + layer("edge_layer.conv5", "edge.fuse", bias=True)
    for theirs, ours in (("block1", "reason.high"), ("block2", "reason.low")):
        entries += layer(f"{theirs}.conv_state", f"{ours}.project.theta", bias=True)
        entries += layer(f"{theirs}.conv_proj", f"{ours}.project.phi", bias=True)
        # One-dimensional convolutions of kernel 1: linear maps with one dimension too many.
        entries += [
            Entry(f"{theirs}.gcn.conv1.weight", f"{ours}.reason.adjacency.weight", lambda weight: weight.squeeze(2)),
            Entry(f"{theirs}.gcn.conv1.bias", f"{ours}.reason.adjacency.bias"),
            Entry(f"{theirs}.gcn.conv2.weight", f"{ours}.reason.weight.weight", lambda weight: -weight.squeeze(2)),
        ]
        entries += layer(f"{theirs}.conv_extend", f"{ours}.extend") + _norm(f"{theirs}.blocker", f"{ours}.norm")
    entries += _unit("layer6.conv1", 0, "decoder.high") + _unit("layer6.conv2", 0, "decoder.low")
    entries += _unit("layer6.conv3", 0, "decoder.fuse.0") + _unit("layer6.conv3", 2, "decoder.fuse.1")
    return entries + layer("layer6.conv4", "decoder.classify", bias=True)


def _unit(theirs: str, first: int, ours: str) -> list[Entry]:
    """A convolution and its norm, which lie one after the other."""
    return layer(f"{theirs}.{first}", f"{ours}.0") + _norm(f"{theirs}.{first + 1}", f"{ours}.1")


def _norm(theirs: str, ours: str) -> list[Entry]:
    return norm(theirs, ours, scale=lambda weight: weight.abs() + EPS)
