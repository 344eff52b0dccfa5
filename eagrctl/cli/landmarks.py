"""`eagrctl landmarks`: compare what finds a face's landmarks."""

from pathlib import Path
from typing import Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import DATA, Quiet, argument, option

app = typer.Typer(
    no_args_is_help=True,
    help="""Compare what finds a face's landmarks: eye centres, nose tip, mouth corners.

```text
eagrctl landmarks evaluate data/celebamask-hq
```""",
    short_help="Compare what finds eyes, nose and mouth.",
)


@app.callback()
def landmarks() -> None:
    """Keep `evaluate` a command of its own: Typer makes the only command of a group the group."""


@app.command("evaluate")
def evaluate(
    data: Annotated[
        Path | None, argument("DATA", "Prepared dataset, not aligned. Default: the newest in data/.")
    ] = None,
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
    from eagrctl.training.detector.landmark_errors import landmark_errors

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
