"""`eagrctl export`: a network as a file that runs without eagrctl."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Data, Force, Quiet, argument, data_of, flag, option, weights_file


def export(
    checkpoint: Annotated[
        Path | None, argument("RUN|CHECKPOINT", "Default: the network that comes with eagrctl.")
    ] = None,
    kind: Annotated[
        Literal["onnx", "torch"], flag("--format", "onnx for ONNX Runtime and others, torch for torch.export.load.")
    ] = "onnx",
    output: Annotated[Path | None, option("--output -o", "FILE", "Default: weights/NAME.onnx or .pt2.")] = None,
    size: Annotated[
        str | None,
        option("--size", "PIXELS|any", "Side of the input, or any height and width. Default: what it was trained at."),
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
    half: Annotated[bool, flag("--half", "Write half the bytes, for GPUs; scored on --data.")] = False,
    int8: Annotated[bool, flag("--int8", "Write a third of the bytes, faster on CPUs; scored on --data.")] = False,
    data: Data = None,
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
    eagrctl export --size any
    eagrctl export --int8 --data data/celebamask-hq
    ```

    Half precision and 8 bits are calibrated on prepared faces of the training split, and scored on others beside
    float32; what loses more than one point of mean F1 is not written.
    """
    from eagrctl.data.index import ShardIndex
    from eagrctl.export.network import ENDINGS, LARGEST, OPSET, SMALLEST, export_checkpoint, require_onnx
    from eagrctl.training.runs import find_checkpoint
    from eagrctl.weights import meant

    if kind == "onnx":
        require_onnx()
    elif opset is not None:
        raise typer.BadParameter("opsets are ONNX's: drop it, or --format torch", param_hint="--opset")
    side: int | Literal["any"] | None = None
    if size == "any":
        side = "any"
    elif size is not None:
        if not size.isdecimal() or not SMALLEST <= int(size) <= LARGEST:
            raise typer.BadParameter(f"{size} is neither any nor {SMALLEST} to {LARGEST}", param_hint="--size")
        side = int(size)
    form: Literal["half", "int8"] | None = "half" if half else "int8" if int8 else None
    if (half and int8) or (form and (kind == "torch" or scheme or side == "any")):
        raise typer.BadParameter(
            "one of --half and --int8, of a file of ONNX of one size, without --scheme", param_hint=f"--{form}"
        )
    if data is not None and form is None:
        raise typer.BadParameter("faces are needed for --half and --int8 alone", param_hint="--data")
    path = meant(None) if checkpoint is None else find_checkpoint(checkpoint, RUNS)
    output = weights_file(output, path, force, *((f".{form}.onnx",) if form and output is None else (ENDINGS[kind],)))
    index = ShardIndex.load(data_of(path, data)) if form else None
    with console.progress(quiet) as listener:
        differences, costs = export_checkpoint(
            path,
            output,
            kind,
            size=side,
            opset=opset or OPSET,
            photos=tuple(photos or ()),
            scheme=scheme,
            form=form,
            index=index,
            listener=listener,
        )
    console.table(
        ("compared on", "at once", "logits differ by", "labels equal"),
        [(each.images, str(each.batch), f"{each.error:.1e}", f"{each.equal:.3%}") for each in differences],
    )
    if costs:
        console.table(
            ("form", "MB", "ms a face, one thread", "mean F1"),
            [
                (each.form, f"{each.size / 1e6:.2f}", f"{1e3 * each.seconds:.1f}", f"{100 * each.f1:.2f}")
                for each in costs
            ],
        )
    console.result(f"{output.stat().st_size / 1e6:.1f} MB")
    console.written([output])
