"""A file of weights from elsewhere -> a checkpoint or backbone weights, with a report of what became of each key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes

from eagrctl import checkpoint
from eagrctl.checkpoint import Checkpoint
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, in_full, in_words
from eagrctl.documents import check, json_in, plain
from eagrctl.errors import CheckpointError
from eagrctl.files import write_whole
from eagrctl.recipe import InputRecipe, recipe_to_toml
from eagrctl.tensorfile import TensorFile, read_tensors
from eagrctl.weights.conversion import Conversion
from eagrctl.weights.efficientnet import from_efficientnet, is_efficientnet
from eagrctl.weights.released import from_released, is_released
from eagrctl.weights.resnet import BackboneWeights, from_resnet, is_resnet

FORMAT = "eagrctl backbone"
VERSION = 1
# The datasets whose classes a released network may have. Helen and LaPa have the same eleven, in the same order.
LABELS = {"helen": HELEN, "lapa": HELEN, "celebamask-hq": CELEBAMASK_HQ}
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Found:
    """Weights in a file.

    Attributes:
        kind: what the file was recognised as, in words.
        weights: a whole network, or a backbone.
        conversion: what became of its keys; None for a file that eagrctl wrote.
    """

    kind: str
    weights: Checkpoint | BackboneWeights
    conversion: Conversion | None


def recognise(path: Path, dataset: str | None = None) -> Found:
    """Recognise a file and convert it.

    Args:
        path: a released EAGRNet's state dict, an ImageNet ResNet or EfficientNet-Lite0, with or without `module.`
            before its keys or a `state_dict` around them; or a checkpoint or backbone weights that eagrctl wrote.
        dataset: whose classes a released network has; None goes by their number: 11 are Helen's, which LaPa shares, 19
            are CelebAMask-HQ's, others stay without names.

    Raises:
        CheckpointError: unreadable, of another network, or nothing that can be represented exactly.
    """
    file = read_tensors(path, old_pickles=True)
    own = file.contents if isinstance(file.contents, Mapping) else {}
    if checkpoint.FORMAT in (file.metadata.get("format"), own.get("format")):
        return Found("a checkpoint of eagrctl", checkpoint.checkpoint_in(file, path), None)
    if file.metadata.get("format") == FORMAT:
        return Found("backbone weights of eagrctl", _read_backbone(file, path), None)
    state = _state_dict(file.contents, path)
    if is_released(state):
        conversion, recipe, classes = from_released(state, path.name)
        name, names = _classes(classes, dataset, path.name)
        network = Checkpoint(
            recipe=replace(recipe, dataset=name),
            dataset=name,
            classes=names,
            network=conversion.tensors,
            origin=f"imported from the released EAGRNet in {path.name}",
        )
        return Found(f"a released EAGRNet with {classes} classes", network, conversion)
    if is_resnet(state):
        conversion, weights = from_resnet(state, file.metadata, path.name)
        return Found(f"an ImageNet {weights.backbone} with {weights.stem} stem", weights, conversion)
    if is_efficientnet(state):
        conversion, weights = from_efficientnet(state, path.name)
        return Found(f"an ImageNet {weights.backbone}", weights, conversion)
    raise CheckpointError(
        f"{path} holds tensors of a network that eagrctl does not know: it imports released EAGRNet state dicts and "
        "ImageNet networks (ResNet-18, -50 and -101, EfficientNet-Lite0)"
    )


def in_lines(weights: Checkpoint | BackboneWeights) -> list[str]:
    """What weights hold, in words: sizes and preprocessing; of a network, classes, scores, card and recipe, too."""
    tensors = weights.network if isinstance(weights, Checkpoint) else weights.tensors
    source = weights.recipe.input if isinstance(weights, Checkpoint) else weights
    # The rest are running statistics.
    learned = [tensor for name, tensor in tensors.items() if name.rpartition(".")[2] in ("weight", "bias")]
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (source.mean, source.std))
    size = f", {source.size} x {source.size}" if isinstance(source, InputRecipe) else ""
    lines = [
        f"tensors: {len(tensors)}, of which parameters: {sum(tensor.numel() for tensor in learned):,} numbers",
        f"preprocessing: RGB{size}, pixels / 255, mean {mean}, std {std}",
    ]
    if isinstance(weights, BackboneWeights):
        made = weights.backbone
        if weights.stem:
            made += f", stem {weights.stem}, stride on the {weights.stride}"
        return [*lines, f"backbone: {made}", f"origin: {weights.origin}"]
    scores = [
        f"{' '.join(map(in_words, name.split(' ', 1)))} {100 * value:.1f}" for name, value in weights.scores.items()
    ]
    return [
        *lines,
        f"dataset: {weights.dataset}",
        f"classes: {len(weights.classes)}: {', '.join(map(in_full, weights.classes))}",
        f"trained: epoch {weights.epoch}, step {weights.step:,}",
        *([f"origin: {weights.origin}"] if weights.origin else []),
        *([f"\n{weights.card}\n"] if weights.card else []),
        f"scores on val: {', '.join(scores) or 'none recorded'}",
        f"\n{recipe_to_toml(weights.recipe)}",
    ]


def save_backbone(weights: BackboneWeights, path: Path) -> None:
    """Write backbone weights as safetensors: `format`, `version` and the JSON object `backbone` stand in its metadata.

    Raises:
        EagrctlError: it cannot be written.
    """
    about = plain(replace(weights, tensors={}))
    del about["tensors"]
    metadata = {"format": FORMAT, "version": str(VERSION), "backbone": json.dumps(about)}
    write_whole(safetensors_bytes(dict(weights.tensors), metadata), path)


def _read_backbone(file: TensorFile, path: Path) -> BackboneWeights:
    if file.metadata.get("version") != str(VERSION):
        raise CheckpointError(f"{path} was written by another version of eagrctl: import the original again")
    source, remedy = f"the metadata of {path}", "import the original again"
    about = json_in(file.metadata.get("backbone", "null"), dict[str, Any], source, CheckpointError, remedy)
    return check({**about, "tensors": file.contents}, BackboneWeights, source, CheckpointError, remedy)


def _state_dict(contents: object, path: Path) -> dict[str, torch.Tensor]:
    """The tensors, out of what may be around them."""
    if isinstance(contents, Mapping) and isinstance(contents.get("state_dict"), Mapping):
        contents = contents["state_dict"]
    if not isinstance(contents, Mapping) or not contents:
        raise CheckpointError(f"{path} holds no state dict: save one with torch.save(network.state_dict(), ...)")
    odd = next((key for key, value in contents.items() if not isinstance(value, torch.Tensor)), None)
    if odd is not None:
        raise CheckpointError(f"{path} holds {odd!r}, which is not a tensor: give a state dict alone")
    keys = [str(key) for key in contents]
    prefix = "module." if all(key.startswith("module.") for key in keys) else ""
    return {key.removeprefix(prefix): value for key, value in zip(keys, contents.values(), strict=True)}


def _classes(count: int, dataset: str | None, source: str) -> tuple[str, tuple[str, ...]]:
    if dataset is not None:
        if dataset not in LABELS:
            raise CheckpointError(f"no dataset is called {dataset!r}; there are {', '.join(LABELS)}")
        if len(LABELS[dataset]) != count:
            raise CheckpointError(f"{source} has {count} classes, {dataset} has {len(LABELS[dataset])}")
        return dataset, LABELS[dataset].names
    for name, labels in LABELS.items():
        if len(labels) == count:
            return name, labels.names
    return UNKNOWN, tuple(f"class {number}" for number in range(count))
