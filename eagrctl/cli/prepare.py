"""`eagrctl prepare`: a raw dataset -> shards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import (
    ANNOTATED,
    DATA,
    DLIB,
    RAW,
    Align,
    Fallback,
    FallbackOption,
    Force,
    LandmarkPredictor,
    Landmarks,
    PaintOrder,
    Partial,
    PreparedOutput,
    Quiet,
    Size,
    Slice,
    Workers,
    all_cores,
)
from eagrctl.errors import DataError

if TYPE_CHECKING:
    from eagrctl.data.aligner import Aligner, LandmarkSource
    from eagrctl.data.source import Source

app = typer.Typer(
    no_args_is_help=True,
    help="""Turn a raw dataset into a prepared one: samples of one size, edge masks, HDF5 shards, and an index.

A preparation that was cut short continues when the same command is given again.

```text
eagrctl prepare helen DOWNLOAD
eagrctl prepare celebamask-hq DOWNLOAD --partial
eagrctl prepare lapa DOWNLOAD --slice 3/16
eagrctl prepare folder MY-FACES --align --landmarks dlib
eagrctl prepare synthetic --train 400
```""",
    short_help="Turn a raw dataset into shards that train and evaluate read.",
)


@app.command("helen")
def helen(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The download, of either distribution.")] = RAW
    / "helen",
    output: PreparedOutput = None,
    size: Size = 473,
    align: Align = True,
    landmarks: Landmarks = None,
    predictor: LandmarkPredictor = None,
    fallback: FallbackOption = Fallback.CENTRE,
    partial: Partial = False,
    part: Slice = None,
    workers: Workers = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Prepare Helen: SmithCVPR2013 (2,000, 230 and 100 faces), or the relabelled HELEN* (1,999 and 100).

    Faces are aligned, as in the paper, and evaluation maps predictions back. HELEN* has no validation split: 230 of
    its training faces become one, by a fixed rule that the index states.

    ```text
    eagrctl prepare helen ~/downloads/SmithCVPR2013_dataset_resized
    eagrctl prepare helen ~/downloads/helenstar_release --landmarks dlib
    ```
    """
    from eagrctl.readers.helen import open_helen

    aligner = _aligner(size, align, landmarks, ANNOTATED, predictor, fallback)
    _prepare(open_helen(source, partial), output, aligner, workers, partial, force, part, quiet)


@app.command("lapa")
def lapa(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The download: train/, val/ and test/.")] = RAW
    / "lapa",
    output: PreparedOutput = None,
    size: Size = 473,
    align: Align = False,
    landmarks: Landmarks = None,
    predictor: LandmarkPredictor = None,
    fallback: FallbackOption = Fallback.CENTRE,
    partial: Partial = False,
    part: Slice = None,
    workers: Workers = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Prepare LaPa: 18,176, 2,000 and 2,000 faces, not aligned unless asked for.

    LaPa is for non-commercial research only.

    ```text
    eagrctl prepare lapa ~/downloads/LaPa
    eagrctl prepare lapa ~/downloads/LaPa --slice 3/16
    ```
    """
    from eagrctl.readers.lapa import open_lapa

    opened = open_lapa(source, partial)
    _non_commercial("LaPa")
    aligner = _aligner(size, align, landmarks, ANNOTATED, predictor, fallback)
    _prepare(opened, output, aligner, workers, partial, force, part, quiet)


@app.command("celebamask-hq")
def celebamask_hq(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="The download: raw masks, or images/ and labels/.")
    ] = RAW / "celebamask-hq",
    output: PreparedOutput = None,
    size: Size = 473,
    paint_order: Annotated[
        PaintOrder, typer.Option("--paint-order", help="Which parts cover which, where masks overlap.")
    ] = PaintOrder.OFFICIAL,
    align: Align = False,
    landmarks: Landmarks = None,
    predictor: LandmarkPredictor = None,
    fallback: FallbackOption = Fallback.CENTRE,
    partial: Partial = False,
    part: Slice = None,
    workers: Workers = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Prepare CelebAMask-HQ, as downloaded or with label maps already merged.

    Two layouts are read: the official one (CelebA-HQ-img/, CelebAMask-HQ-mask-anno/ and the mapping file, split as in
    the paper), and images/ with labels/ in official ids, split by train.txt, val.txt and test.txt where they exist.

    CelebAMask-HQ is for non-commercial research only.

    ```text
    eagrctl prepare celebamask-hq ~/downloads/CelebAMask-HQ
    eagrctl prepare celebamask-hq DOWNLOAD --paint-order accessories-last
    eagrctl prepare celebamask-hq DOWNLOAD --partial --output data/some-faces
    ```
    """
    from eagrctl.readers.celebamask_hq import open_celebamask_hq

    opened = open_celebamask_hq(source, partial, paint_order.value)
    _non_commercial("CelebAMask-HQ")
    aligner = _aligner(size, align, landmarks, DLIB, predictor, fallback)
    _prepare(opened, output, aligner, workers, partial, force, part, quiet)


@app.command("folder")
def folder(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder with images/ and labels/.")],
    classes: Annotated[
        Path | None,
        typer.Option("--classes", metavar="FILE", help="Class names, as TOML. Default: SOURCE/classes.toml."),
    ] = None,
    output: PreparedOutput = None,
    size: Size = 473,
    align: Align = False,
    landmarks: Landmarks = None,
    predictor: LandmarkPredictor = None,
    fallback: FallbackOption = Fallback.CENTRE,
    partial: Partial = False,
    part: Slice = None,
    workers: Workers = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Prepare images and label maps of your own.

    SOURCE holds images/NAME.jpg and labels/NAME.png of the same size (class ids; 255 is ignored), optionally train.txt,
    val.txt and test.txt with a name a line, and classes.toml: `classes = ["background", "skin", "left eye", "right
    eye"]`, and, where sides are told apart, `mirrored = [["left eye", "right eye"]]`.

    ```text
    eagrctl prepare folder my-faces --output data/my-faces
    eagrctl prepare folder my-faces --align --landmarks dlib --fallback skip
    ```
    """
    from eagrctl.readers.folder import open_folder

    opened = open_folder(source, classes, partial)
    aligner = _aligner(size, align, landmarks, DLIB, predictor, fallback)
    _prepare(opened, output, aligner, workers, partial, force, part, quiet)


@app.command("synthetic")
def synthetic(
    output: PreparedOutput = None,
    size: Size = 473,
    train: Annotated[int, typer.Option("--train", metavar="N", min=1, help="Faces to train on.")] = 2000,
    val: Annotated[int, typer.Option("--val", metavar="N", min=1, help="Faces to validate on.")] = 230,
    test: Annotated[int, typer.Option("--test", metavar="N", min=1, help="Faces to test on.")] = 100,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Another seed paints other faces.", show_default=True)
    ] = 0,
    align: Align = False,
    landmarks: Landmarks = None,
    predictor: LandmarkPredictor = None,
    fallback: FallbackOption = Fallback.CENTRE,
    part: Slice = None,
    workers: Workers = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Paint faces with exact labels: no download, no licence. As many as Helen has, in its 11 classes.

    ```text
    eagrctl prepare synthetic
    eagrctl prepare synthetic --train 400 --val 40 --test 60 --size 241
    ```
    """
    from eagrctl.readers.synthetic.source import SyntheticSource

    source = SyntheticSource({"train": train, "val": val, "test": test}, seed=seed, size=size)
    aligner = _aligner(size, align, landmarks, ANNOTATED, predictor, fallback)
    _prepare(source, output, aligner, workers, False, force, part, quiet)


def _non_commercial(dataset: str) -> None:
    console.message(f"{dataset} may be used for non-commercial research only; so may networks trained on it.")


def _aligner(
    size: int, align: bool, landmarks: str | None, default: str, predictor: Path | None, fallback: Fallback
) -> "Aligner":
    from eagrctl.data.aligner import Aligner

    if not align and (landmarks or predictor):
        raise typer.BadParameter("landmarks are for alignment, which is off: add --align", param_hint="--landmarks")
    return Aligner(size, _landmark_source(landmarks or default, predictor) if align else None, fallback.value)


def _landmark_source(landmarks: str, predictor: Path | None) -> "LandmarkSource":
    from eagrctl.data.aligner import Annotated as AnnotatedPoints
    from eagrctl.data.aligner import Detected, Listed
    from eagrctl.faces.landmark_file import read_landmarks
    from eagrctl.faces.landmarks import DlibLandmarks, find_predictor

    if landmarks == ANNOTATED:
        return AnnotatedPoints()
    if landmarks == DLIB:
        return Detected(DlibLandmarks(find_predictor(predictor)))
    path = Path(landmarks)
    if not path.is_file():
        raise DataError(f"--landmarks {landmarks} is neither annotated nor dlib nor a file: give one of them")
    return Listed(read_landmarks(path), f"from {path.name}")


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, slash, total = text.partition("/")
    if not (slash and number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
        raise typer.BadParameter(f"{text} is no part: write 3/16 for the third of sixteen", param_hint="--slice")
    return int(number), int(total)


def _prepare(
    source: "Source",
    output: Path | None,
    aligner: "Aligner",
    workers: int | None,
    partial: bool,
    force: bool,
    part_text: str | None,
    quiet: bool,
) -> None:
    from eagrctl.data.prepare import prepare

    part = _part(part_text)
    name = source.provenance.dataset + (f"-{part[0]}-of-{part[1]}" if part else "")
    output = output or DATA / name
    with console.progress(quiet) as listener:
        index = prepare(
            source, output, aligner, all_cores() if workers is None else workers, partial, force, part, listener
        )
    console.index(index)
    console.written([output / "index.json"])
    if any(split.skipped or split.centred for split in index.splits.values()):
        console.message(f"Samples that were skipped or centred are listed in {output / 'index.json'}")
