"""`eagrctl weights`: other people's weights in, ours out, and what a file of them holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Checkpoint, Force, Quiet, argument, flag, option, weights_file
from eagrctl.errors import CheckpointError

if TYPE_CHECKING:
    from eagrctl.weights.conversion import Conversion

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
    file: Annotated[Path, argument("FILE", "A .pth, .pt or .safetensors file from elsewhere.")],
    output: Annotated[Path | None, option("--output -o", "FILE", "Default: weights/NAME.pt or .safetensors.")] = None,
    dataset: Annotated[
        str | None,
        option(
            "--dataset", "NAME", "Whose classes it has: helen, lapa or celebamask-hq. Default: told by their number."
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
    from eagrctl.weights.recognise import in_lines, recognise, save_backbone
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
    for line in () if quiet else in_lines(found.weights):
        for part in line.split("\n"):
            console.result(part)
    console.written([output])


@app.command("info")
def info(
    file: Annotated[
        Path | None,
        argument("FILE|RUN", "Checkpoint, run, `shipped`, or other weights. Default: the newest run, else `shipped`."),
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
    from eagrctl.weights.recognise import in_lines, recognise

    path = find_checkpoint(file, RUNS, Path(SHIPPED))
    found = recognise(path)
    console.result(f"{path}: {found.kind}{'' if found.conversion is None else ', not yet imported'}")
    for line in in_lines(found.weights):
        for part in line.split("\n"):
            console.result(part)


@app.command("export")
def export(
    checkpoint: Checkpoint = None,
    kind: Annotated[
        Literal["safetensors", "pt"], flag("--format", "Kind of file; both leave out what only resuming needs.")
    ] = "safetensors",
    output: Annotated[Path | None, option("--output -o", "FILE", "Default: weights/NAME.safetensors.")] = None,
    half: Annotated[bool, flag("--half", "Store numbers in half precision: half the size, three decimals.")] = False,
    card: Annotated[Path | None, option("--card", "FILE.md", "Text for users, licence included, to put in.")] = None,
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

    from eagrctl.checkpoint import halved, load_checkpoint, save_checkpoint, without_places
    from eagrctl.documents import read_text
    from eagrctl.training.runs import find_checkpoint

    about = read_text(card, CheckpointError, "name another file with --card").strip() if card else None
    path = find_checkpoint(checkpoint, RUNS)
    loaded = load_checkpoint(path)
    output = weights_file(output, path, force, f".{kind}")
    output.parent.mkdir(exist_ok=True)
    handed = replace(
        loaded, recipe=without_places(loaded.recipe), training=None, card=loaded.card if about is None else about
    )
    save_checkpoint(halved(handed) if half else handed, output)
    console.result(f"{len(loaded.network)} tensors, {output.stat().st_size / 1e6:.1f} MB")
    console.written([output])


def _show_conversion(conversion: "Conversion") -> None:
    rows = (
        ("taken", conversion.taken, "converted, each exactly"),
        ("left", conversion.left, ", ".join(conversion.left)),
        ("missing", conversion.missing, "counters of batches, set to 0" if conversion.missing else ""),
    )
    console.table(("keys", "count", "which"), [(name, str(len(keys)), text) for name, keys, text in rows])
