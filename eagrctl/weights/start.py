"""`[model] pretrained`: what a network starts from."""

import json
from pathlib import Path
from shlex import quote

from eagrctl.checkpoint import Checkpoint
from eagrctl.errors import CheckpointError, RecipeError
from eagrctl.events import Listener, Notice, ignore
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.recipe import Recipe
from eagrctl.weights.fetch import PUBLISHED, fetch
from eagrctl.weights.recognise import Found, recognise
from eagrctl.weights.resnet import BackboneWeights

SCRATCH, IMAGENET = "none", "imagenet"
CLASSIFIER = "decoder.classify."


def start_from_pretrained(network: EAGRNet, recipe: Recipe, listener: Listener = ignore) -> None:
    """Put pretrained weights into a fresh network, as its recipe asks.

    A ResNet fills the backbone. A whole network of eagrctl fills everything, and leaves the last convolution fresh
    where it has other classes.

    Args:
        network: as the recipe describes it.
        recipe: its `[model] pretrained` is "none", "imagenet" or a path.
        listener: hears of the download, and of what was taken.

    Raises:
        RecipeError: nobody publishes weights for such a backbone.
        CheckpointError: the file cannot be fetched or read, or does not fit the recipe.
    """
    path = pretrained_file(recipe, listener)
    if path is None:
        return
    found = recognise(path)
    if isinstance(found.weights, BackboneWeights):
        _fill_backbone(network, recipe, found.weights, path)
        listener(Notice(_said(path, found)))
        if found.weights.stem and recipe.model.residual == "activated":
            listener(
                Notice(
                    "The paper's norms are activated before each sum, which this ResNet's were not, so its features "
                    "change until training has adapted them. --set model.residual='\"plain\"' keeps them."
                )
            )
    else:
        _fill_all(network, recipe, found.weights, path, listener)


def pretrained_file(recipe: Recipe, listener: Listener = ignore) -> Path | None:
    """The file that a recipe's network starts from, fetched if need be; None where it starts from scratch.

    Raises:
        RecipeError: nobody publishes weights for such a backbone.
        CheckpointError: the file cannot be fetched.
    """
    wanted = recipe.model.pretrained
    if wanted == SCRATCH:
        return None
    return _published(recipe, listener) if wanted == IMAGENET else Path(wanted)


def _published(recipe: Recipe, listener: Listener) -> Path:
    model = recipe.model
    if model.width != 1 or (model.backbone, model.stem) not in PUBLISHED:
        raise RecipeError(
            f"nobody publishes ImageNet weights for {model.backbone} at width {model.width:g}: train from scratch with "
            "--set model.pretrained='\"none\"', or set model.width=1.0"
        )
    if model.stride != "3x3":
        raise RecipeError("the published weights have their strides on the 3x3: --set model.stride='\"3x3\"'")
    return fetch(PUBLISHED[model.backbone, model.stem], listener)


def _fill_backbone(network: EAGRNet, recipe: Recipe, weights: BackboneWeights, path: Path) -> None:
    model, pixels = recipe.model, recipe.input
    pairs = {
        "model.backbone": (model.backbone, weights.backbone),
        "model.stem": (model.stem, weights.stem),
        "model.stride": (model.stride, weights.stride),
        "input.mean": (pixels.mean, weights.mean),
        "input.std": (pixels.std, weights.std),
        "model.width": (model.width, 1.0),
    }
    if not weights.stem:  # no ResNet, whose form says nothing of it, nor does a width
        pairs = {key: pairs[key] for key in ("model.backbone", "input.mean", "input.std")}
    if wrong := [f"--set {key}={quote(json.dumps(theirs))}" for key, (ours, theirs) in pairs.items() if ours != theirs]:
        raise CheckpointError(f"{path} does not fit the recipe: add {' '.join(wrong)}")
    try:
        network.backbone.load_state_dict(dict(weights.tensors))
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the backbone: {' '.join(str(error).split())}") from None


def _fill_all(network: EAGRNet, recipe: Recipe, weights: Checkpoint, path: Path, listener: Listener) -> None:
    for name in ("mean", "std"):
        theirs = getattr(weights.recipe.input, name)
        if getattr(recipe.input, name) != theirs:
            raise CheckpointError(
                f"{path} was trained on other channel statistics: add --set input.{name}='{json.dumps(theirs)}'"
            )
    tensors = dict(weights.network)
    classes = network.decoder.classify.out_channels
    replaced = [key for key in tensors if key.startswith(CLASSIFIER) and len(weights.classes) != classes]
    tensors.update({key: network.state_dict()[key] for key in replaced})
    note = f"Started from {path}: all {len(tensors)} tensors"
    if replaced:
        note = (
            f"Started from {path}, which has {len(weights.classes)} classes and not {classes}: "
            f"{len(tensors) - len(replaced)} tensors taken, {' and '.join(replaced)} start afresh"
        )
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise CheckpointError(
            f"{path} holds another network than the recipe: compare [model] with eagrctl weights info {path}"
        ) from None
    listener(Notice(note, warning=bool(replaced)))


def _said(path: Path, found: Found) -> str:
    text = f"Started the backbone from {path}, {found.kind}"
    if found.conversion is None:
        return text
    left = f"; left {', '.join(found.conversion.left)}" if found.conversion.left else ""
    return f"{text}: {len(found.conversion.taken)} tensors taken{left}"
