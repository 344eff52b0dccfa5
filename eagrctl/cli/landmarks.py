"""`eagrctl landmarks`: train and compare the landmark predictors."""

from pathlib import Path
from typing import Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import DATA, Quiet, argument, flag, option

app = typer.Typer(
    no_args_is_help=True,
    help="""Train and compare predictors of a face's landmarks: eye centres, nose tip, mouth corners.

A predictor comes with eagrctl; nobody needs these commands to parse photos or to align faces.

```text
eagrctl landmarks train data/celebamask-hq --output five-points.dat
eagrctl landmarks evaluate data/celebamask-hq --predictor five-points.dat
```""",
    short_help="Train and compare predictors of eyes, nose and mouth.",
)

Prepared = Annotated[Path | None, argument("DATA", "Prepared dataset, not aligned. Default: the newest in data/.")]


@app.command("train")
def train(
    data: Prepared = None,
    output: Annotated[Path, option("--output -o", "FILE.dat", "File to write.", (".dat",))] = Path("five-points.dat"),
    split: Annotated[str, option("--split", "NAME", "Split to learn from.")] = "train",
    depth: Annotated[int, option("--depth", "N", "Of each tree; one more doubles the file.", min=1, max=8)] = 4,
    cascades: Annotated[int, option("--cascades", "N", "Corrections that follow each other.", min=1, max=50)] = 20,
    trees: Annotated[int, option("--trees", "N", "In each correction.", min=1, max=5000)] = 200,
    starts: Annotated[
        int,
        option("--starts", "N", "Shapes that each face is approached from; they cost time and memory.", min=1, max=500),
    ] = 3,
    copies: Annotated[int, option("--copies", "N", "Of each face, in another light and box.", min=0, max=50)] = 1,
    mirror: Annotated[bool, flag("--mirror/--no-mirror", "Show each face mirrored, too.")] = True,
    threads: Annotated[int, option("--threads", "N", "Threads to use.", min=1, max=256)] = 1,
    seed: Annotated[int, option("--seed", "N", "Of all that is random.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Train a predictor with dlib's trainer on the eyes, noses and mouths of label maps.

    Landmarks are sought in the box that dlib's own detector gives. Faces that it misses, or that do not show all five
    landmarks, are left out and counted. 2,500 faces take seven minutes on one core.

    ```text
    eagrctl prepare celebamask-hq --no-align
    eagrctl landmarks train data/celebamask-hq --output five-points.dat
    eagrctl parse photo.jpg --predictor five-points.dat
    ```
    """
    from eagrctl.data.index import newest_dataset
    from eagrctl.training.landmarks.train import PredictorOptions, train_predictor

    options = PredictorOptions(
        depth=depth,
        cascades=cascades,
        trees=trees,
        starts=starts,
        copies=copies,
        mirror=mirror,
        threads=threads,
        seed=seed,
    )
    with console.progress(quiet) as listener:
        train_predictor(data or newest_dataset(DATA), split, output, options, listener)
    console.written([output])


@app.command("evaluate")
def evaluate(
    data: Prepared = None,
    detector: Annotated[
        list[str] | None, option("--detector", "own|dlib|FILE", "May be repeated. Default: own, unless --predictor is.")
    ] = None,
    predictor: Annotated[
        list[Path] | None, option("--predictor", "FILE", "Of dlib's, for its detector. May be repeated.")
    ] = None,
    split: Annotated[str, option("--split", "NAME", "Split to look at.")] = "val",
    quiet: Quiet = False,
) -> None:
    """Compare the landmarks of detectors with the eyes and mouths of label maps.

    An error is the distance from the label's landmark, in percent of the distance between the face's eyes. *Aligned* is
    the share of eyes that alignment by the found landmarks puts within 6 of 473 pixels of where they belong, and *both*
    the share of faces of which it puts both there. Time includes finding the face.

    ```text
    eagrctl landmarks evaluate data/celebamask-hq
    eagrctl landmarks evaluate --detector own --predictor shape_predictor_68_face_landmarks.dat
    ```
    """
    import numpy as np

    from eagrctl.data.index import ShardIndex, newest_dataset
    from eagrctl.faces.finders import DLIB, OWN, open_finder
    from eagrctl.training.landmarks.errors import landmark_errors

    named = detector or ([] if predictor else [OWN])
    finders = [*(open_finder(name) for name in named), *(open_finder(DLIB, path) for path in predictor or ())]
    index = ShardIndex.load(data or newest_dataset(DATA))
    with console.progress(quiet) as listener:
        rows = landmark_errors(index, split, finders, listener)
    headings = ("detector", "found %", "eye mean %", "median %", "< 5 %", "< 10 %", "mouth mean %", "aligned %")
    console.table(
        (*headings, "both %", "ms a face"),
        [
            (
                row.finder,
                f"{100 * row.found:.1f}",
                f"{100 * row.eyes.mean():.2f}",
                f"{100 * np.median(row.eyes):.2f}",
                f"{100 * row.eyes_within(0.05):.1f}",
                f"{100 * row.eyes_within(0.1):.1f}",
                f"{100 * row.mouth.mean():.2f}" if row.mouth.size else "-",
                f"{100 * row.eyes_near:.1f}",
                f"{100 * row.faces_near:.1f}",
                f"{1000 * row.seconds:.0f}",
            )
            for row in rows
        ],
        title=f"{rows[0].faces:,} faces of {index.root}, split {split}, with both eyes labelled",
    )
