"""`eagrctl benchmark`: our speed beside the floor or the plain way, measured in the same run."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console, options
from eagrctl.cli.options import argument, flag, option

if TYPE_CHECKING:
    from eagrctl.benchmark.harness import Result

app = typer.Typer(
    no_args_is_help=True,
    help="""Measure speed, beside that of the plain way, in the same run.

```text
eagrctl benchmark train
eagrctl benchmark evaluate
eagrctl benchmark parse
eagrctl benchmark films --data data/celebamask-hq
```""",
    short_help="Measure speed, beside that of the plain way.",
)


@app.command("train")
def train(
    recipe: Annotated[
        str | None,
        option("--recipe -r", "NAME|PATH", "Default: celebamask-hq on GPUs, celebamask-hq-small on the CPU."),
    ] = None,
    settings: options.Settings = None,
    data: Annotated[Path | None, option("--data", "DIR", "Prepared dataset. Default: newly painted faces.")] = None,
    processes: Annotated[
        int | None, option("--processes", "N", "Processes at once on the CPU (2); GPUs have one each.", min=1)
    ] = None,
    steps: Annotated[int, option("--steps", "N", "Steps that are timed, after those that warm up.", min=1)] = 20,
    gpus: options.ManyGpus = None,
    not_compiled: Annotated[
        bool, flag("--no-compile", "On GPUs, leave out torch.compile, which takes minutes to begin with.")
    ] = False,
    figures: options.Figures = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure the images per second of training.

    On the CPU, processes that train together are compared with as many independent ones, each on its share of the
    batch. On a GPU, each precision is compared with float32 done plainly and with the card's rate of matrix products;
    on several, both. The share of time spent waiting for data is measured on the way.

    ```text
    eagrctl benchmark train
    eagrctl benchmark train --processes 4 --steps 50 --json speed.json
    eagrctl benchmark train --data data/celebamask-hq --gpus 1 --no-compile
    ```
    """
    on_gpus, number = options.count_gpus(gpus)
    if on_gpus and processes is not None:
        raise typer.BadParameter(f"GPUs have one process each: drop it for --gpus {number}", param_hint="--processes")
    from eagrctl.benchmark.harness import painted_faces
    from eagrctl.benchmark.training import benchmark_training
    from eagrctl.data.index import ShardIndex
    from eagrctl.recipe import find_recipe, load_recipe

    name = recipe or ("celebamask-hq" if on_gpus else "celebamask-hq-small")
    chosen = load_recipe(find_recipe(name), settings or [])
    drawing = partial(console.progress, quiet)
    measure = partial(
        benchmark_training,
        chosen,
        gpus=on_gpus,
        processes=number if on_gpus else processes or 2,
        steps=steps,
        compiled=not not_compiled,
        drawing=drawing,
    )
    if data is not None:
        _show(measure(ShardIndex.load(data)), figures)
        return
    with painted_faces(chosen.input.size, chosen.train.batch, drawing) as index:
        _show(measure(index), figures)


@app.command("evaluate")
def evaluate(
    checkpoint: options.Checkpoint = None,
    data: options.Data = None,
    split: options.Split = "val",
    images: Annotated[int, option("--images", "N", "At most so many faces.", min=1)] = 64,
    batch: options.Batch = 8,
    gpus: options.Gpus = None,
    figures: options.Figures = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure an evaluation part by part, beside the plain way, on the same faces and logits.

    The plain way resizes all logits to the whole photo, takes the best class with NumPy, and counts each pair of
    classes in a loop over both.

    ```text
    eagrctl benchmark evaluate
    eagrctl benchmark evaluate runs/NAME --images 300 --json speed.json
    ```
    """
    from eagrctl.benchmark.evaluation import benchmark_evaluation
    from eagrctl.checkpoint import load_checkpoint
    from eagrctl.data.index import ShardIndex
    from eagrctl.inference.predict import Segmenter
    from eagrctl.scoring.evaluate import check_classes
    from eagrctl.training.runs import find_checkpoint

    path = find_checkpoint(checkpoint, options.RUNS)
    loaded = load_checkpoint(path)
    index = ShardIndex.load(options.data_of(path, data))
    check_classes(loaded.classes, index, str(path))
    segmenter = Segmenter.of(loaded, options.choose_device(gpus))
    with console.progress(quiet) as listener:
        result = benchmark_evaluation(segmenter, index, split, images, batch, listener)
    _show(result, figures)


@app.command("parse")
def parse(
    checkpoint: Annotated[
        Path | None, argument("RUN|CHECKPOINT", "Network. Default: the one that comes with eagrctl.")
    ] = None,
    photos: Annotated[
        Path | None, option("--photos", "DIR", "Photos to parse. Default: scikit-image's astronaut, eight times.")
    ] = None,
    full: Annotated[
        str,
        option("--full", "RECIPE|CHECKPOINT|none", "Larger network: of a recipe, with random weights, or of a file."),
    ] = "celebamask-hq",
    detector: options.Detector = None,
    predictor: options.LandmarkPredictor = None,
    repeat: Annotated[int, option("--repeat", "N", "Rounds of each way; the median counts.", min=1)] = 5,
    compiled: Annotated[bool, flag("--compile", "Measure torch.compile, too, which takes minutes to start.")] = False,
    gpus: options.Gpus = None,
    figures: options.Figures = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure how fast photos are parsed.

    First whole photos, detection and JPEG included, part by part one after the other, and as a whole as `eagrctl parse`
    does it. Then the networks, from pixels to logits, one image at a time and eight: plainly in float32, as eagrctl
    runs them, and by ONNX Runtime where it is installed, in turns. Of a large network with random weights, norms have
    the statistics of the faces it is measured on; it takes minutes, and `--full none` leaves it out.

    ```text
    eagrctl benchmark parse
    eagrctl benchmark parse --photos holidays --json speed.json
    eagrctl benchmark parse runs/NAME --full none --repeat 20
    ```
    """
    from eagrctl.benchmark.parsing import Subject, benchmark_parsing
    from eagrctl.training.runs import find_checkpoint
    from eagrctl.weights import SHIPPED

    small = Subject.stored(str(checkpoint or SHIPPED), find_checkpoint(checkpoint or Path(SHIPPED), options.RUNS))
    large = None
    if full != "none":
        stored = Path(full).suffix in (".pt", ".safetensors") or (Path(full) / "best.pt").is_file()
        large = Subject.stored(full, find_checkpoint(Path(full), options.RUNS)) if stored else Subject.of_recipe(full)
    drawing = partial(console.progress, quiet)
    device = options.choose_device(gpus)
    _show(benchmark_parsing(small, large, photos, device, detector, predictor, repeat, compiled, drawing), figures)


@app.command("films")
def films(
    data: Annotated[Path, option("--data", "DIR", "Prepared faces that films are made of.")],
    checkpoint: Annotated[
        Path | None, argument("RUN|CHECKPOINT", "Network. Default: the one that comes with eagrctl.")
    ] = None,
    split: options.Split = "val",
    faces: Annotated[int, option("--faces", "N", "A film of each of so many faces.", min=1)] = 5,
    frames: Annotated[int, option("--frames", "N", "Of each film.", min=2)] = 12,
    gpus: options.Gpus = None,
    figures: options.Figures = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure how much the labels of films flicker, beside each frame parsed for itself.

    Films are made of labelled faces that stand still under noise or move smoothly, so that their truth is known.

    ```text
    eagrctl benchmark films --data data/celebamask-hq
    eagrctl benchmark films --data data/celebamask-hq --faces 20 --frames 48
    ```
    """
    from eagrctl.benchmark.films import benchmark_films
    from eagrctl.data.index import ShardIndex
    from eagrctl.parsing.parser import FaceParser
    from eagrctl.training.runs import find_checkpoint
    from eagrctl.weights import SHIPPED

    index = ShardIndex.load(data)
    path = find_checkpoint(checkpoint or Path(SHIPPED), options.RUNS)
    device = options.choose_device(gpus)
    parser = FaceParser(path, device=device)
    with console.progress(quiet) as listener:
        result = benchmark_films(parser, index, split, faces, frames, device.type == "cuda", listener)
    _show(result, figures)


def _show(result: "Result", figures: Path | None) -> None:
    """Print what was measured, and write the figures into a file if one is named."""
    from eagrctl.files import write_text

    for table in result.tables:
        console.table(table.headings, table.rows, table.title)
    for line in [*result.remarks, f"Measured on {result.hardware}."]:
        console.result(line)
    if figures is not None:
        write_text(result.to_json(), figures)
        console.written([figures])
