"""Checkpoints: a network with all that is needed to use it, saved atomically and loaded safely.

A checkpoint holds plain types and tensors:

* `format` ("eagrctl checkpoint") and `version`
* `recipe`: the resolved recipe, as nested dictionaries; its `input` section is the preprocessing: side of the square
  input, mean and standard deviation of the channels, in RGB order, of pixels scaled to 0..1
* `dataset` and `classes`: what the channels of the logits mean
* `network`: the state dict
* `scores`: those on the validation split, by name; empty before the first validation
* `epoch` and `step`: how far training had come
* `origin`: where weights came from that were not trained here, in words; else empty
* `card`: what whoever hands the weights on wants their users to know, licence included, in words; may be missing
* `training`: what resuming needs (see `eagrctl.training.progression`), or None

It comes in two kinds of file. A `.pt` is what `torch.save` makes of one dictionary with these keys; it is read with
`weights_only=True`, which refuses to unpickle anything else, so that a file from a stranger is safe. A `.safetensors`
holds the state dict as its tensors and has `format`, `version` and, as one JSON object called `checkpoint`, the rest
in its metadata; it has no `training`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save as safetensors_bytes

from eagrctl.documents import Count, NumberOrNaN, Text, Versioned, check, json_in, plain
from eagrctl.errors import CheckpointError, RecipeError
from eagrctl.files import replacing, writing
from eagrctl.network.backbone import Form
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.recipe import Recipe
from eagrctl.tensorfile import TensorFile, read_tensors

FORMAT = "eagrctl checkpoint"
VERSION = 2
SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class Checkpoint(Versioned):
    """The contents of a checkpoint; the module's docstring says what each is."""

    marks: ClassVar[Mapping[str, str | int]] = {"version": VERSION}

    recipe: Recipe
    dataset: Text
    classes: tuple[Text, ...]
    network: Mapping[str, torch.Tensor]
    scores: Mapping[Text, NumberOrNaN] = field(default_factory=dict)
    epoch: Count = 0
    step: Count = 0
    origin: Text = ""
    card: Text = ""
    training: Mapping[str, Any] | None = None


def build_network(recipe: Recipe, classes: int) -> EAGRNet:
    """The network that a recipe describes, freshly initialised from torch's random state.

    Raises:
        RecipeError: the recipe describes none.
    """
    model = recipe.model
    try:
        return EAGRNet(
            classes=classes,
            backbone=model.backbone,
            width=model.width,
            form=Form(model.stem, model.stride, model.residual),
            edge=model.edge,
            graph=model.graph,
            reasoning=model.reasoning,
            sampling=model.sampling,
            deployment=model.deployment,
            pooling=model.pooling,
            high=(model.high_k, model.high_t),
            low=(model.low_k, model.low_t),
            recompute=recipe.train.checkpointing,
        )
    except ValueError as error:
        raise RecipeError(f"the recipe's [model] cannot be built: {error}") from None


def restore_network(checkpoint: Checkpoint) -> EAGRNet:
    """The checkpoint's network, in evaluation mode.

    Raises:
        CheckpointError: its weights do not fit its recipe.
        RecipeError: its recipe describes no network.
    """
    # Without memory of its own until the checkpoint's tensors, copied, take their places: a recipe from a stranger may
    # describe a network of any size.
    with torch.device("meta"):
        network = build_network(checkpoint.recipe, len(checkpoint.classes))
    kinds = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    try:
        network.load_state_dict(checkpoint.network, assign=True)  # compares shapes, before anything is copied
        network.load_state_dict(
            {name: tensor.to(kinds.get(name, tensor.dtype), copy=True) for name, tensor in checkpoint.network.items()},
            assign=True,
        )
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights do not fit the checkpoint's own recipe: {' '.join(str(error).split())}"
        ) from None
    return network.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; a reader sees the old file or the new one, never half of either.

    The ending of `path` decides the kind of file; a .safetensors leaves out `training`.

    Raises:
        CheckpointError: it cannot be written.
    """
    about = plain(replace(checkpoint, network={}, training=None))
    del about["network"], about["training"]
    network = dict(checkpoint.network)
    training = None if checkpoint.training is None else dict(checkpoint.training)
    try:
        with writing(path, CheckpointError), replacing(path) as temporary:
            if path.suffix == SAFETENSORS:
                metadata = {"format": FORMAT, "version": str(VERSION), "checkpoint": json.dumps(about)}
                tensors = {name: tensor.contiguous() for name, tensor in network.items()}
                temporary.write_bytes(safetensors_bytes(tensors, metadata))
            else:
                contents = {"format": FORMAT, "version": VERSION, **about, "network": network, "training": training}
                torch.save(contents, temporary)
    except RuntimeError as error:
        # torch words a full disk, or a missing folder, as a RuntimeError about positions in its file.
        raise CheckpointError(f"cannot write {path}: make room on its disk") from error


def without_places(recipe: Recipe) -> Recipe:
    """A recipe to hand on: of files and folders that it names by their whole path, the names alone.

    Where they lie on this machine is nobody else's business.
    """

    def name(path: str) -> str:
        return Path(path).name if Path(path).is_absolute() else path

    return replace(
        recipe,
        model=replace(recipe.model, pretrained=name(recipe.model.pretrained)),
        surroundings=replace(recipe.surroundings, backgrounds=name(recipe.surroundings.backgrounds)),
        sources={key: replace(source, data=name(source.data)) for key, source in recipe.sources.items()},
    )


_STATISTICS = (".running_mean", ".running_var")


def halved(checkpoint: Checkpoint) -> Checkpoint:
    """The same with its network in half precision, which a network that it is loaded into widens again.

    The statistics of norms stay as they are: they are few, and a variance may well be beyond half precision's largest.

    Raises:
        CheckpointError: a number is too large for half precision.
    """
    network = {
        name: tensor.half() if tensor.is_floating_point() and not name.endswith(_STATISTICS) else tensor
        for name, tensor in checkpoint.network.items()
    }
    for name, tensor in network.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{name} holds numbers beyond 65,504, half precision's largest: keep it whole")
    return replace(checkpoint, network=network)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU. Nothing in the file is executed.

    Raises:
        CheckpointError: missing, damaged, or something else.
    """
    return checkpoint_in(read_tensors(path), path)


def epoch_of(path: Path) -> int | None:
    """How many epochs a checkpoint has behind it, without reading its tensors; None where it cannot be read."""
    try:
        contents = read_tensors(path, mapped=True).contents
    except CheckpointError:
        return None
    epoch = contents.get("epoch") if isinstance(contents, dict) else None
    return epoch if isinstance(epoch, int) else None


def checkpoint_in(file: TensorFile, path: Path) -> Checkpoint:
    """The checkpoint in a file that was read; `path` is for messages. Errors as in `load_checkpoint`."""
    contents, remedy = file.contents, "use another, or the eagrctl that wrote it"
    if file.metadata.get("format") == FORMAT:
        about = json_in(
            file.metadata.get("checkpoint", "null"), dict[str, Any], f"the metadata of {path}", CheckpointError, remedy
        )
        version = file.metadata.get("version", "")
        contents = {**about, "network": contents, "format": FORMAT}
        contents["version"] = int(version) if version == str(VERSION) else version
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} holds no eagrctl checkpoint: give a file that eagrctl train wrote, or make it one with "
            "eagrctl weights import"
        )
    return check(contents, Checkpoint, str(path), CheckpointError, remedy)
