"""`eagrctl detector`: make, train and measure the network that finds faces."""

from pathlib import Path
from typing import Annotated

import typer

from eagrctl.cli import console, options
from eagrctl.cli.options import RAW, RUNS, Quiet, argument, option
from eagrctl.recipe import DETECTOR

app = typer.Typer(
    no_args_is_help=True,
    help="""Train and measure the detector of faces and their five points.

A detector comes with eagrctl; nobody needs these commands to parse photos.

```text
eagrctl detector prepare CELEBAMASK-HQ REAL-PHOTOS
eagrctl detector train
eagrctl detector evaluate runs/detector/best.safetensors
```""",
    short_help="Train and measure the detector of faces.",
)

MATERIAL = options.DATA / DETECTOR
Material = Annotated[Path, argument("DATA", "Prepared material.")]


@app.command("prepare")
def prepare(
    faces: Annotated[Path, argument("CELEBAMASK-HQ", "As for eagrctl prepare celebamask-hq.")] = RAW / "celebamask-hq",
    photos: Annotated[Path, argument("REAL-PHOTOS", "Photos with annotated faces, heads, backgrounds.")] = RAW
    / "real-photos",
    output: Annotated[Path, option("--output -o", "DIR", "Folder to write.")] = MATERIAL,
    side: Annotated[int, option("--side", "PIXELS", "A head is shrunk to this at most.", min=64, max=1024)] = 320,
    workers: options.Workers = None,
    force: options.Force = False,
    quiet: Quiet = False,
) -> None:
    """Cut out heads, and store them with annotated photos and backgrounds.

    Heads are those of CelebAMask-HQ, by their label maps. REAL-PHOTOS holds faces/, heads/ and backgrounds/, and for
    each a list that ends in .jsonl; a hash of a file's name decides whether it is to learn from, to choose by or to
    test on. Both are for non-commercial research only; so is a detector that is trained on them.

    ```text
    eagrctl detector prepare ~/downloads/CelebAMask-HQ ~/downloads/real-photos
    ```
    """
    from eagrctl.readers.celebamask_hq import open_celebamask_hq
    from eagrctl.readers.real_photos import RealPhotos
    from eagrctl.training.scenes.prepare import prepare_materials
    from eagrctl.workers import cores

    source, real = open_celebamask_hq(faces, partial=True), RealPhotos.load(photos)
    with console.progress(quiet) as listener:
        count = cores() if workers is None else workers
        index = prepare_materials(source, real, output, side, count, force, listener)
    console.table(
        ("kind", "split", "number", "MB"),
        [
            (
                kind,
                split,
                f"{index.count(kind, split):,}",
                f"{sum(each.bytes for each in index.shards if (each.kind, each.split) == (kind, split)) / 1e6:.1f}",
            )
            for kind, split in dict.fromkeys((each.kind, each.split) for each in index.shards)
        ],
    )
    console.written([output / "index.json"])


@app.command("train")
def train(
    data: Material = MATERIAL,
    output: Annotated[Path, option("--output -o", "DIR", "The run's folder.")] = RUNS / DETECTOR,
    recipe: Annotated[str, option("--recipe -r", "NAME|PATH", "Recipe.")] = DETECTOR,
    settings: options.Settings = None,
    workers: Annotated[
        int, option("--workers", "N", "Processes that make composites; 0 makes them between steps.", min=0)
    ] = 0,
    gpus: options.Gpus = None,
    quiet: Quiet = False,
) -> None:
    """Train a detector, validating after each epoch and keeping the best.

    Photos to learn from are made on the fly: heads pasted on backgrounds, real photos, and photos without a face. All
    follows from seed, epoch and number. Ctrl-C saves and stops; the same command again goes on from there.

    ```text
    eagrctl detector train
    eagrctl detector train --gpus 1 --workers 15 --set train.batch=64 --set train.rate=3e-3
    eagrctl detector train --output runs/again --set train.start='"runs/detector/best.safetensors"'
    ```
    """
    from eagrctl.recipe import find_recipe, load_recipe_as
    from eagrctl.training.detector.loop import train_detector
    from eagrctl.training.detector.recipe import DetectorRecipe

    chosen = load_recipe_as(DetectorRecipe, find_recipe(recipe), settings or ())
    device = options.choose_device(gpus)
    with console.progress(quiet) as listener:
        finished = train_detector(chosen, data, output, device, workers, listener)
    names = ("best.safetensors", "last.pt", "metrics.jsonl")
    console.written(output / name for name in names if (output / name).is_file())
    if not finished:
        console.message("Interrupted. The same command goes on.", warning=True)
        raise typer.Exit(130)


@app.command("evaluate")
def evaluate(
    detectors: Annotated[
        list[str] | None, argument("own|dlib|FILE", "Detectors, measured side by side. Default: own and dlib.")
    ] = None,
    data: Annotated[Path, option("--data", "DIR", "Prepared material.")] = MATERIAL,
    split: Annotated[str, option("--split", "NAME", "Split to look at: val or test.")] = "val",
    composites: Annotated[int, option("--composites", "N", "How many are made.", min=1)] = 300,
    seed: Annotated[int, option("--seed", "N", "Of the composites.", min=0)] = 0,
    quiet: Quiet = False,
) -> None:
    """Measure detectors on real photos, composites and photos without a face.

    A face is found where a box shares 40 % of what both cover with its own. Average precision is at 50 %, over the
    boxes that the detector gives. The error of a point is in percent of the distance between the eyes.

    ```text
    eagrctl detector evaluate
    eagrctl detector evaluate own face_detection_yunet_2023mar.onnx --split test
    ```
    """
    import numpy as np

    from eagrctl.faces.finders import open_finder
    from eagrctl.training.detector.evaluate import evaluate_detectors
    from eagrctl.training.scenes.materials import MaterialIndex

    finders = {name: open_finder(name) for name in detectors or ("own", "dlib")}
    index = MaterialIndex.load(data)
    with console.progress(quiet) as listener:
        scores = evaluate_detectors(index, split, finders, composites, seed, listener)
    names = list(dict.fromkeys(group for score in scores for group in score.groups))
    console.table(
        ("faces found", "number", *(f"{score.name} %" for score in scores)),
        [
            (
                name,
                f"{scores[0].groups[name][1]:,}",
                *(f"{100 * score.groups[name][0] / score.groups[name][1]:.1f}" for score in scores),
            )
            for name in sorted(names)
        ],
        title=f"{scores[0].photos:,} photos and {composites:,} composites of {data}, split {split}",
    )

    def middle(errors: "np.ndarray", factor: float) -> str:
        return f"{factor * np.median(errors):.2f}" if errors.size else "-"

    console.table(
        (
            "detector",
            "false boxes in 100 photos",
            "AP %",
            "photos without a face with a box %",
            "points %",
            "tilt, degrees",
            "ms a photo",
        ),
        [
            (
                score.name,
                f"{100 * score.false_boxes / max(1, score.photos):.1f}",
                f"{100 * score.average_precision:.1f}",
                f"{100 * score.alarms / max(1, score.faceless):.1f}",
                middle(score.points, 100),
                middle(score.tilts, 1),
                f"{1000 * score.seconds:.0f}",
            )
            for score in scores
        ],
        title=f"of {scores[0].photos:,} photos and {scores[0].faceless:,} without a face; medians of points and tilts",
    )


@app.command("export")
def export(
    detector: Annotated[str, argument("own|FILE", "A detector of ours.")] = "own",
    output: Annotated[Path, option("--output -o", "FILE.onnx", "File to write.", (".onnx",))] = Path("detector.onnx"),
) -> None:
    """Write a detector as ONNX, with its decoding. Needs eagrctl[onnx].

    Input: `images` (B, 3, H, W) float32 RGB, 0..255, H and W multiples of 32. Outputs: `logits` (B, N), `boxes`
    (B, N, 4) and `points` (B, N, 5, 2) in pixels; suppression is left to who runs it.

    ```text
    eagrctl detector export --output faces.onnx
    ```
    """
    from eagrctl.export.detector import export_detector
    from eagrctl.faces.finders import SHIPPED

    export_detector(SHIPPED if detector == "own" else Path(detector), output)
    console.written([output])
