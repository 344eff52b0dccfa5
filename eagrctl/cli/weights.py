"""`eagrctl weights`: other people's weights in, ours out, and what a file of them holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Checkpoint, Force, Quiet, flag, option, weights_file
from eagrctl.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from eagrctl import checkpoint as checkpoints
    from eagrctl.weights.conversion import Conversion
    from eagrctl.weights.resnet import BackboneWeights

app = typer.Typer(
    no_args_is_help=True,
    help="""Import other people's weights, look into files of weights, and hand ours on.

```text
eagrctl weights import released.pth
eagrctl weights info weights/released.pt
eagrctl weights export runs/NAME --format safetensors
```""",
    short_help="Import, inspect and export weights.",
)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth, .pt or .safetensors file from elsewhere.")],
    output: Annotated[
        Path | None, option("--output -o", "FILE", "File to write. Default: weights/NAME.pt or .safetensors.")
    ] = None,
    dataset: Annotated[
        str | None,
        option(
            "--dataset",
            "NAME",
            "Whose classes a network has: helen, lapa or celebamask-hq. Default: told by their number.",
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Convert a released EAGRNet's state dict, or an ImageNet ResNet, exactly or not at all.

    A whole network becomes a checkpoint that evaluate, visualise and train --pretrained take; a ResNet becomes backbone
    weights for train --pretrained. Nothing in the file is run.

    ```text
    eagrctl weights import helen_model.pth
    eagrctl weights import celeba.pth --dataset celebamask-hq --output weights/celeba.pt
    eagrctl weights import resnet50.safetensors
    ```
    """
    from eagrctl.checkpoint import save_checkpoint
    from eagrctl.weights.recognise import recognise, save_backbone
    from eagrctl.weights.resnet import BackboneWeights

    found = recognise(file, dataset)
    if found.conversion is None:
        raise CheckpointError(f"{file} is {found.kind} already: use it as it is")
    endings = (".safetensors",) if isinstance(found.weights, BackboneWeights) else (".pt", ".safetensors")
    output = weights_file(output, file, force, *endings)
    output.parent.mkdir(exist_ok=True)
    if isinstance(found.weights, BackboneWeights):
        save_backbone(found.weights, output)
    else:
        save_checkpoint(found.weights, output)
    console.result(f"{file} is {found.kind}")
    _show_conversion(found.conversion)
    if not quiet:
        _describe(found.weights)
    console.written([output])


@app.command("info")
def info(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|RUN",
            help="Checkpoint, run, `shipped`, or weights from elsewhere. Default: the newest run, else `shipped`.",
        ),
    ] = None,
) -> None:
    """Show what a file of weights holds: its card with the licence, classes, step, scores, preprocessing, recipe.

    `shipped` is the network that comes with eagrctl.

    ```text
    eagrctl weights info
    eagrctl weights info shipped
    eagrctl weights info runs/NAME/best.pt
    eagrctl weights info resnet50.safetensors
    ```
    """
    from eagrctl.training.runs import find_checkpoint
    from eagrctl.weights import SHIPPED
    from eagrctl.weights.recognise import recognise

    path = find_checkpoint(file, RUNS, Path(SHIPPED))
    found = recognise(path)
    console.result(f"{path}: {found.kind}{'' if found.conversion is None else ', not yet imported'}")
    _describe(found.weights)


@app.command("export")
def export(
    checkpoint: Checkpoint = None,
    kind: Annotated[
        Literal["safetensors", "pt"], flag("--format", "Kind of file; both leave out what only resuming needs.")
    ] = "safetensors",
    output: Annotated[
        Path | None, option("--output -o", "FILE", "File to write. Default: weights/NAME.safetensors.")
    ] = None,
    half: Annotated[bool, flag("--half", "Store numbers in half precision: half the size, three decimals.")] = False,
    card: Annotated[
        Path | None, option("--card", "FILE.md", "Text for users of the weights, licence included, to put in.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a checkpoint without what only training needs, as safetensors or as .pt.

    The tensors' names, and recipe, classes, scores and preprocessing in the metadata, stay as they are; eagrctl reads
    the file like any checkpoint.

    ```text
    eagrctl weights export
    eagrctl weights export runs/NAME --format safetensors --output face-parser.safetensors
    eagrctl weights export runs/NAME --half --card card.md
    ```
    """
    from dataclasses import replace

    from eagrctl.checkpoint import halved, load_checkpoint, save_checkpoint
    from eagrctl.training.runs import find_checkpoint

    about = _text(card) if card else None
    path = find_checkpoint(checkpoint, RUNS)
    loaded = load_checkpoint(path)
    output = weights_file(output, path, force, f".{kind}")
    output.parent.mkdir(exist_ok=True)
    handed = replace(loaded, training=None, card=loaded.card if about is None else about)
    save_checkpoint(halved(handed) if half else handed, output)
    console.result(f"{len(loaded.network)} tensors, {output.stat().st_size / 1e6:.1f} MB")
    console.written([output])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"--card {path} cannot be read as text ({error}): name another file") from None


def _show_conversion(conversion: "Conversion") -> None:
    rows = (
        ("taken", conversion.taken, "converted, each exactly"),
        ("left", conversion.left, ", ".join(conversion.left)),
        ("missing", conversion.missing, "counters of batches, set to 0" if conversion.missing else ""),
    )
    console.table(("keys", "count", "which"), [(name, str(len(keys)), text) for name, keys, text in rows])


def _describe(weights: "checkpoints.Checkpoint | BackboneWeights") -> None:
    """Print what weights hold, line by line."""
    from eagrctl.data.labels import in_full, in_words
    from eagrctl.recipe import recipe_to_toml
    from eagrctl.weights.resnet import BackboneWeights

    if isinstance(weights, BackboneWeights):
        _describe_tensors(weights.tensors, "", weights.mean, weights.std)
        console.result(f"backbone: {weights.backbone}, stem {weights.stem}, stride on the {weights.stride}")
        console.result(f"origin: {weights.origin}")
        return
    source = weights.recipe.input
    _describe_tensors(weights.network, f", {source.size} x {source.size}", source.mean, source.std)
    console.result(f"dataset: {weights.dataset}")
    console.result(f"classes: {len(weights.classes)}: {', '.join(map(in_full, weights.classes))}")
    console.result(f"trained: epoch {weights.epoch}, step {weights.step:,}")
    if weights.origin:
        console.result(f"origin: {weights.origin}")
    if weights.card:
        console.result(f"\n{weights.card}\n")
    scores = ", ".join(
        f"{' '.join(map(in_words, name.split(' ', 1)))} {100 * value:.1f}" for name, value in weights.scores.items()
    )
    console.result(f"scores on val: {scores or 'none recorded'}")
    console.result(f"\n{recipe_to_toml(weights.recipe)}")


def _describe_tensors(tensors: "Mapping[str, Tensor]", square: str, *statistics: tuple[float, ...]) -> None:
    # The rest are running statistics.
    learned = [tensor for name, tensor in tensors.items() if name.rpartition(".")[2] in ("weight", "bias")]
    parameters = sum(tensor.numel() for tensor in learned)
    mean, std = (", ".join(f"{value:g}" for value in values) for values in statistics)
    console.result(f"tensors: {len(tensors)}, of which parameters: {parameters:,} numbers")
    console.result(f"preprocessing: RGB{square}, pixels / 255, mean {mean}, std {std}")
