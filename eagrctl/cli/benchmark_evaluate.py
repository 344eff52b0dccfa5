"""`eagrctl benchmark evaluate`: where the time of an evaluation goes, beside the plain way."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Data, Gpus, Quiet, choose_device
from eagrctl.files import require_writable


def evaluate(
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar="RUN|CHECKPOINT", help="Default: the best checkpoint of the newest run.")
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option("--split", metavar="NAME", help="Split whose faces are evaluated.")] = "val",
    images: Annotated[int, typer.Option("--images", metavar="N", min=1, help="At most so many faces.")] = 64,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Faces predicted together.")] = 8,
    gpus: Gpus = None,
    figures: Annotated[
        Path | None, typer.Option("--json", metavar="FILE.json", help="Write all figures, unrounded.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure an evaluation part by part, beside the plain way, on the same faces and logits.

    The plain way resizes all logits to the whole photo, takes the best class with NumPy, and counts each pair of
    classes in a loop over both.

    ```text
    eagrctl benchmark evaluate
    eagrctl benchmark evaluate runs/NAME --images 300 --json speed.json
    ```
    """
    import torch

    from eagrctl.benchmark.evaluation import PARTS, measure_evaluation
    from eagrctl.checkpoint import load_checkpoint
    from eagrctl.data.index import ShardIndex
    from eagrctl.inference.predict import Segmenter
    from eagrctl.scoring.evaluate import check_classes
    from eagrctl.scoring.report.tables import write_report
    from eagrctl.training.run import Run
    from eagrctl.training.runs import find_checkpoint

    if figures is not None:
        require_writable(figures, ".json")
    path = find_checkpoint(checkpoint, RUNS)
    loaded = load_checkpoint(path)
    index = ShardIndex.load(data or Run(path.parent).data())
    check_classes(loaded.classes, index, str(path))
    device = choose_device(gpus)
    with console.progress(quiet) as listener:
        speed = measure_evaluation(Segmenter.of(loaded, device), index, split, images, batch, listener)

    def each(seconds: float) -> str:
        return f"{1000 * seconds / speed.images:.2f}"

    rows = [(part, each(speed.ours[part]), each(speed.plain[part])) for part in PARTS]
    ours, plain = sum(speed.ours.values()), sum(speed.plain.values())
    rows.append(("together", each(ours), each(plain)))
    rows.append(("images a second", f"{speed.images / ours:.1f}", f"{speed.images / plain:.1f}"))
    console.table(("ms per image", "eagrctl", "the plain way"), rows, f"{speed.images} images of {index.root}, {path}")
    console.result(
        f"Outside the network (mapping back, confusion, scores): {100 * speed.outside:.1f} % of the time. "
        f"{speed.times_plain:.1f} times the images a second of the plain way; "
        f"{100 * speed.differing:.2f} % of the pixels differ, because that resizes twice."
    )
    where = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"the CPU, {torch.get_num_threads()} threads"
    )
    console.result(f"Measured on {where}, torch {torch.__version__}.")
    if figures is not None:
        contents = asdict(speed) | {"outside": speed.outside, "times_plain": speed.times_plain, "device": where}
        write_report(json.dumps(contents, indent=2) + "\n", figures)
        console.written([figures])
