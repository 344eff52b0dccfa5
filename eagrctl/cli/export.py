"""`eagrctl export`: a network as a file that runs without eagrctl."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Force, Quiet, argument, flag, option, weights_file


def export(
    checkpoint: Annotated[
        Path | None, argument("RUN|CHECKPOINT", "Default: the network that comes with eagrctl.")
    ] = None,
    kind: Annotated[
        Literal["onnx", "torch"], flag("--format", "onnx for ONNX Runtime and others, torch for torch.export.load.")
    ] = "onnx",
    output: Annotated[Path | None, option("--output -o", "FILE", "Default: weights/NAME.onnx or .pt2.")] = None,
    size: Annotated[
        int | None, option("--size", "PIXELS", "Side of the input. Default: what it was trained at.", min=33, max=4096)
    ] = None,
    opset: Annotated[
        int | None, option("--opset", "N", "Version of ONNX's operators, 18 to 23. Default: 18.", min=18, max=23)
    ] = None,
    photos: Annotated[
        list[Path] | None,
        option("--photo", "FILE", "Cropped face to compare on, in place of the one at hand; may be repeated."),
    ] = None,
    scheme: Annotated[
        str | None, option("--scheme", "NAME|FILE", "Give labels in the ids of another tool, as for eagrctl parse.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write a network as a file that runs without eagrctl, preprocessing included.

    It takes RGB pixels as they are, and gives class ids and logits, for any number of faces at once. Classes, colours,
    alignment and licence stand in its metadata. It is compared with the network on random pixels and on a real face
    first, and nothing is written where they differ.

    ```text
    eagrctl export
    eagrctl export runs/NAME --format torch --output face-parser.pt2
    eagrctl export runs/NAME --size 473 --photo face.jpg
    eagrctl export --scheme zllrunning
    ```
    """
    from eagrctl.export.network import ENDINGS, OPSET, export_checkpoint, require_onnx
    from eagrctl.training.runs import find_checkpoint
    from eagrctl.weights import meant

    if kind == "onnx":
        require_onnx()
    elif opset is not None:
        raise typer.BadParameter("opsets are ONNX's: drop it, or --format torch", param_hint="--opset")
    path = meant(None) if checkpoint is None else find_checkpoint(checkpoint, RUNS)
    output = weights_file(output, path, force, ENDINGS[kind])
    with console.progress(quiet) as listener:
        differences = export_checkpoint(
            path,
            output,
            kind,
            size=size,
            opset=opset or OPSET,
            photos=tuple(photos or ()),
            scheme=scheme,
            listener=listener,
        )
    console.table(
        ("compared on", "at once", "logits differ by", "labels equal"),
        [(each.images, str(each.batch), f"{each.error:.1e}", f"{each.equal:.3%}") for each in differences],
    )
    console.result(f"{output.stat().st_size / 1e6:.1f} MB")
    console.written([output])
