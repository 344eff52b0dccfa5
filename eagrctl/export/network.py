"""A network -> a file that runs without eagrctl: ONNX, or a program of torch's own.

The file takes pixels as they come from a photo and gives labels, so that nobody has to repeat what lies between:

* `image`, (B, S, S, 3) uint8: RGB, 0..255; scaling and channel statistics are inside
* `labels`, (B, S, S) uint8: class ids, decided between logits interpolated as `eagrctl.inference.predict` does
* `logits`, (B, N, h, w) float32: what the network itself gives, corners aligned with those of the image

B is free. S is not, unless that is asked for: runtimes do more with a graph whose sizes they know, and OpenCV reads no
other. Where height and width are free, they take the place of both S.
"""

import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from eagrctl import __version__
from eagrctl.arrays import Pixels
from eagrctl.checkpoint import Checkpoint, load_checkpoint, restore_network
from eagrctl.data.align import TEMPLATE, WEIGHTS
from eagrctl.data.dataset import normalise
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import in_words, label_set_of
from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, Notice, ignore
from eagrctl.export.exported import Difference, Exported, OnnxNetwork, TorchNetwork, compare, real_faces, require_equal
from eagrctl.export.operators import decompositions, translations
from eagrctl.export.smaller import Cost, Form, smaller
from eagrctl.files import replacing, sha256_of
from eagrctl.inference.predict import Segmenter
from eagrctl.network.norm import resize
from eagrctl.readers.schemes import find_scheme
from eagrctl.recipe import InputRecipe, changed
from eagrctl.scoring.evaluate import check_classes

Kind = Literal["onnx", "torch"]
ENDINGS: Mapping[Kind, str] = {"onnx": ".onnx", "torch": ".pt2"}

# The first is what torch writes, the last what it can raise that to; runtimes of 2023 and later run the first.
OPSETS = (18, 23)
OPSET = OPSETS[0]

# Sides of the input where they are free.
SMALLEST, LARGEST = 33, 4096

_LARGEST = 2**31 - 1  # bytes in one file of ONNX

# Where a program of torch's keeps it.
METADATA_FILE = "metadata.json"

LANDMARKS = (
    "centre of the eye on the viewer's left",
    "centre of the eye on the viewer's right",
    "tip of the nose",
    "corner of the mouth on the viewer's left",
    "corner of the mouth on the viewer's right",
)


def missing_for_onnx() -> list[str]:
    """What exports to ONNX, or runs it, and is not installed."""
    return [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]


def require_onnx() -> None:
    """Refuse, with an EagrctlError and before any work is done, what needs ONNX where it is not installed."""
    if missing := missing_for_onnx():
        named = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        raise EagrctlError(f"{named}: pip install 'eagrctl[onnx]', or export with --format torch")


def export_checkpoint(
    source: Path,
    output: Path,
    kind: Kind = "onnx",
    *,
    size: int | Literal["any"] | None = None,
    opset: int = OPSET,
    photos: tuple[Path, ...] = (),
    scheme: str | None = None,
    form: Form | None = None,
    index: ShardIndex | None = None,
    listener: Listener = ignore,
) -> tuple[list[Difference], list[Cost]]:
    """Write a checkpoint's network as a file that runs by itself, once that file gives what the network gives.

    Args:
        source: a checkpoint.
        output: the file to write, replaced if it is there; its folder is made.
        kind: "onnx", or "torch" for what `torch.export.load` reads.
        size: S; the size that the network was trained at by default. "any" leaves height and width free.
        opset: of ONNX, from `OPSETS[0]` to `OPSETS[1]`.
        photos: real faces to compare on; a face that comes with scikit-image by default.
        scheme: the other tool in whose ids it gives labels, as for `eagrctl.readers.schemes.find_scheme`.
        form: another than float32, of a file of ONNX of one size and with the network's own ids; see
            `eagrctl.export.smaller`.
        index: prepared faces, on which that form is calibrated and scored.
        listener: hears how far the comparison is.

    Returns:
        How the file differs from the network, in float32; and what that and `form` take, if there is one.

    Raises:
        EagrctlError: the checkpoint or a photo cannot be read; there is no such scheme; the file would differ too much,
            or cannot be written.
    """
    checkpoint = load_checkpoint(source)
    classes = label_set_of(checkpoint.dataset, checkpoint.classes)
    ids = find_scheme(scheme, classes).written(classes) if scheme else None
    if ids is not None and ids.without:
        listener(Notice(f"Scheme {scheme} has no {', '.join(map(in_words, ids.without))}: they are background"))
    if form is not None and index is not None:
        check_classes(checkpoint.classes, index, str(source))
    trained = checkpoint.recipe.input.size
    sizes = [trained, trained * 2 // 3, trained * 4 // 3] if size == "any" else [size or trained]
    recipes = [changed(checkpoint.recipe, input={"size": max(SMALLEST, each)}).input for each in sizes]
    recipe, free = recipes[0], size == "any"
    if recipe != checkpoint.recipe.input:
        listener(Notice(f"The network was trained at {trained} x {trained}: how good it is at another size is unknown"))
    network = restore_network(checkpoint)
    about = about_export(checkpoint, source, recipe, free)
    if ids is not None:
        about["scheme"] = {"name": ids.scheme, "ids": dict(ids.ids), "without": list(ids.without)}
        about["outputs"]["labels"]["values"] = "ids of the scheme; logits have the classes in their order"
    table = None if ids is None else ids.table
    exported: Exported
    if kind == "onnx":
        contents = onnx_bytes(network, recipe, about, opset, table, free)
        exported = OnnxNetwork(contents)
    else:
        contents = torch_bytes(network, recipe, about, table, free)
        exported = TorchNetwork(contents)
    differences = []
    for each in recipes:
        plain = Segmenter(network, each, torch.device("cpu"))
        found = compare(exported, plain, real_faces(photos, each.size), listener, table)
        named = f", {each.size} x {each.size}" if free else ""
        differences += [replace(difference, images=difference.images + named) for difference in found]
    require_equal(differences)
    costs: list[Cost] = []
    if form is not None and index is not None:
        contents, costs = smaller(contents, form, index, recipe.size, listener)
    try:
        output.parent.mkdir(exist_ok=True)
        with replacing(output) as temporary:
            temporary.write_bytes(contents)
    except OSError as error:
        raise EagrctlError(f"cannot write {output}: {error.strerror or error}") from error
    return differences, costs


def about_export(checkpoint: Checkpoint, source: Path, recipe: InputRecipe, any_size: bool = False) -> dict[str, Any]:
    """The metadata of a network that comes from the file `source` and is exported for the input `recipe`, as JSON."""
    sides = ["height", "width"] if any_size else [recipe.size] * 2
    grid = ["rows", "columns"] if any_size else [-(-recipe.size // 4)] * 2
    about = {
        "description": "Face parsing: EAGRNet (Te et al., ECCV 2020), exported by eagrctl",
        "eagrctl": __version__,
        "checkpoint": source.name,
        "checkpoint_sha256": sha256_of(source),
        "dataset": checkpoint.dataset,
        "classes": list(checkpoint.classes),
        "colours": [list(colour) for colour in label_set_of(checkpoint.dataset, checkpoint.classes).colours],
        "input": {
            "name": "image",
            "shape": ["batch", *sides, 3],
            "type": "uint8",
            "channels": "RGB",
            "range": [0, 255],
            "resize": "stretch the face's square to the input with every pixel weighed in where it shrinks, as "
            "Pillow's Image.resize does (bicubic)",
            "inside": {"scale": 1 / 255, "mean": list(recipe.mean), "std": list(recipe.std)},
            "trained_size": checkpoint.recipe.input.size,
        },
        "outputs": {
            "labels": {"shape": ["batch", *sides], "type": "uint8", "values": "ids, positions in classes"},
            "logits": {
                "shape": ["batch", len(checkpoint.classes), *grid],
                "type": "float32",
                "resize": "bilinear, corners aligned with the image's; then the largest of a pixel is its class",
            },
        },
        "alignment": {
            "landmarks": list(LANDMARKS),
            "template": TEMPLATE.tolist(),
            "weights": WEIGHTS.tolist(),
            "how": "where the landmarks are to lie, as x and y in fractions of the input's side; a similarity (turn, "
            "scale, shift) takes a face there, by least squares with these weights; frames begin at the corner of "
            "their first pixel; without landmarks, show a face framed as in CelebAMask-HQ",
        },
        "scores_on_validation": dict(checkpoint.scores),
        "origin": checkpoint.origin,
        "card": checkpoint.card,
    }
    return {key: value for key, value in about.items() if value not in ("", {})}


class PixelsToLabels(nn.Module):
    """A network with what comes before and after it; the module's docstring says what goes in and comes out.

    Args:
        network: gives `Logits` for normalised images, as `EAGRNet` does; on the CPU.
        recipe: the input that it was trained on; its size is S.
        table: (256,) uint8, what labels become; None leaves them as they are.
    """

    table: torch.Tensor | None

    def __init__(self, network: nn.Module, recipe: InputRecipe, table: Pixels | None = None) -> None:
        super().__init__()
        self.network, self.recipe = network, recipe
        self.register_buffer("table", None if table is None else torch.from_numpy(table))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give labels and logits."""
        size = (image.shape[1], image.shape[2])
        logits = self.network(normalise(image.permute(0, 3, 1, 2), self.recipe.mean, self.recipe.std)).parsing
        labels = resize(logits, size).argmax(dim=1)
        return labels.to(torch.uint8) if self.table is None else self.table[labels], logits


def traced(
    network: nn.Module, recipe: InputRecipe, table: Pixels | None = None, any_size: bool = False
) -> ExportedProgram:
    """A network's `PixelsToLabels` as a graph of torch's operators, for any batch; arguments as there.

    With `any_size`, height and width are free as well, from `SMALLEST` to `LARGEST`.
    """
    whole = PixelsToLabels(network, recipe, table).eval()
    image = torch.zeros(2, recipe.size, recipe.size, 3, dtype=torch.uint8)
    with quietly(), torch.no_grad():
        free = {0: Dim("batch", min=1)}
        if any_size:
            free |= {place: Dim(name, min=SMALLEST, max=LARGEST) for place, name in ((1, "height"), (2, "width"))}
        program = torch.export.export(whole, (image,), dynamic_shapes=(free,))
        if any_size:
            program = program.run_decompositions(decompositions())
    for node in program.graph.nodes:
        # Paths of this machine, which are nobody else's business.
        node.meta.pop("stack_trace", None)
    return program


def torch_bytes(
    network: nn.Module,
    recipe: InputRecipe,
    about: Mapping[str, Any] | None = None,
    table: Pixels | None = None,
    any_size: bool = False,
) -> bytes:
    """A network as a file that `torch.export.load` reads; `about` is in it as JSON, in an extra file `METADATA_FILE`.

    Arguments as for `PixelsToLabels` and `traced`.
    """
    program, file = traced(network, recipe, table, any_size), io.BytesIO()
    with quietly():
        torch.export.save(program, file, extra_files={METADATA_FILE: json.dumps(dict(about or {}), indent=1)})
    return file.getvalue()


def onnx_bytes(
    network: nn.Module,
    recipe: InputRecipe,
    about: Mapping[str, Any] | None = None,
    opset: int = OPSET,
    table: Pixels | None = None,
    any_size: bool = False,
) -> bytes:
    """A network as a file of ONNX; `about` is its `metadata_props`, as JSON where a value is not text.

    Arguments as for `PixelsToLabels` and `traced`; `opset` is the version of ONNX's operators.

    Raises:
        EagrctlError: ONNX is not installed, or the network is too large for it.
    """
    require_onnx()
    if 4 * sum(tensor.numel() for tensor in network.state_dict().values()) > _LARGEST:
        raise EagrctlError("the network has more than the 2 GB that a file of ONNX holds: export with --format torch")
    with quietly():
        converted = torch.onnx.export(
            traced(network, recipe, table, any_size),
            dynamo=True,
            opset_version=opset,
            input_names=["image"],
            output_names=["labels", "logits"],
            custom_translation_table={} if any_size else translations(),
            verbose=False,
        )
        assert converted is not None
        model = converted.model_proto
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        dims[0].dim_param = "batch"
        if any_size and value.name != "logits":
            dims[1].dim_param, dims[2].dim_param = "height", "width"
        elif any_size:
            dims[2].dim_param, dims[3].dim_param = "rows", "columns"
    return finished(model, about or {})


def finished(model: Any, about: Mapping[str, Any]) -> bytes:
    """A model of ONNX as a file, with metadata, as JSON where a value is not text, and nothing of this machine."""
    import onnx

    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del noted.metadata_props[:]  # how torch came to it, with paths of this machine
    onnx.helper.set_model_props(
        model, {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    )
    _separate_constants(graph)
    model.producer_name, model.producer_version = "eagrctl", __version__
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _separate_constants(graph: Any) -> None:
    """Give each node constants of its own: OpenCV 4 makes a layer of one each time it is used, and takes none twice."""
    constants = {constant.name: constant for constant in graph.initializer}
    taken: set[str] = set()
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in constants and name in taken:
                copy = type(constants[name])()
                copy.CopyFrom(constants[name])
                copy.name = node.input[place] = f"{name}.{len(taken)}"
                graph.initializer.append(copy)
            taken.add(node.input[place])


@contextmanager
def quietly() -> Iterator[None]:
    """Keep from the user what torch's exporter says: of packages that nobody asked for, and of its own progress."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
