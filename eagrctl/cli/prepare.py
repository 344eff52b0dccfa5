"""`eagrctl prepare`: a raw dataset -> shards."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eagrctl.cli import console
from eagrctl.cli.options import DATA, RAW, Force, LandmarkPredictor, Quiet, Workers, argument, flag, option, spread
from eagrctl.workers import cores

if TYPE_CHECKING:
    from eagrctl.data.source import Source

ANNOTATED, OWN, DLIB = "annotated", "own", "dlib"

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


@dataclass(frozen=True)
class Options:
    """What every dataset is prepared with."""

    output: Annotated[Path | None, option("--output -o", "DIR", "Folder to write. Default: data/NAME.")] = None
    size: Annotated[int, option("--size", "PIXELS", "Side of the square that samples become.", min=33, max=4096)] = 473
    align: Annotated[bool, flag("--align/--no-align", "Turn and scale faces onto a template by landmarks.")] = False
    landmarks: Annotated[
        str | None,
        option(
            "--landmarks",
            "annotated|own|dlib|FILE",
            "Where landmarks come from: the dataset, eagrctl's own detector, dlib, or a file of lines NAME x1 y1 ... "
            "x5 y5. Default: the dataset where it annotates them, else own.",
        ),
    ] = None
    predictor: LandmarkPredictor = None
    fallback: Annotated[Literal["centre", "skip"], flag("--fallback", "What becomes of a face without landmarks.")] = (
        "centre"
    )
    wider: Annotated[
        float, option("--wider", "FACTOR", "How many times as much as usual an aligned sample shows.", min=0.25, max=8)
    ] = 1.0
    part: Annotated[str | None, option("--slice", "K/N", "Prepare part K of N; dataset merge joins them.")] = None
    workers: Workers = None
    force: Force = False
    quiet: Quiet = False


ALIGNED, AS_THEY_ARE = Options(align=True), Options()
WIDE = Options(align=True, fallback="skip", wider=2.0)
Ids = Annotated[
    str | None,
    option("--scheme", "NAME|FILE", "What the ids in label maps mean, if not the dataset's own; as for eagrctl score."),
]
Partial = Annotated[bool, flag("--partial", "Accept fewer faces than the official split, and list unusable ones.")]


@app.command("helen")
@spread
def helen(
    source: Annotated[Path, argument("SOURCE", "The download, of either distribution.")] = RAW / "helen",
    scheme: Ids = None,
    partial: Partial = False,
    options: Options = ALIGNED,
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

    _prepare(open_helen(source, partial, scheme), options, partial, scheme=scheme)


@app.command("lapa")
@spread
def lapa(
    source: Annotated[Path, argument("SOURCE", "The download: train/, val/ and test/.")] = RAW / "lapa",
    scheme: Ids = None,
    partial: Partial = False,
    options: Options = AS_THEY_ARE,
) -> None:
    """Prepare LaPa: 18,176, 2,000 and 2,000 faces, aligned only with --align.

    LaPa is for non-commercial research only.

    ```text
    eagrctl prepare lapa ~/downloads/LaPa
    eagrctl prepare lapa ~/downloads/LaPa --slice 3/16
    ```
    """
    from eagrctl.readers.lapa import open_lapa

    opened = open_lapa(source, partial, scheme)
    _non_commercial("LaPa")
    _prepare(opened, options, partial, scheme=scheme)


@app.command("celebamask-hq")
@spread
def celebamask_hq(
    source: Annotated[Path, argument("SOURCE", "The download: raw masks, or images/ and labels/.")] = RAW
    / "celebamask-hq",
    paint_order: Annotated[
        Literal["official", "accessories-last"], flag("--paint-order", "Which parts cover which, where masks overlap.")
    ] = "official",
    scheme: Ids = None,
    partial: Partial = False,
    options: Options = AS_THEY_ARE,
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

    opened = open_celebamask_hq(source, partial, paint_order, scheme)
    _non_commercial("CelebAMask-HQ")
    _prepare(opened, options, partial, OWN, scheme)


@app.command("folder")
@spread
def folder(
    source: Annotated[Path, argument("SOURCE", "A folder with images/ and labels/.")],
    classes: Annotated[Path | None, option("--classes", "FILE", "Class names. Default: SOURCE/classes.toml.")] = None,
    scheme: Ids = None,
    partial: Partial = False,
    options: Options = AS_THEY_ARE,
) -> None:
    """Prepare your own images and label maps.

    SOURCE holds images/NAME.jpg and labels/NAME.png of the same size (class ids; 255 is ignored), optionally train.txt,
    val.txt and test.txt with a name a line (or folders: images/train, train/images), and classes.toml: `classes =
    ["background", "skin", "left eye", "right eye"]`, and, where sides are told apart, `mirrored = [["left eye", "right
    eye"]]`.

    ```text
    eagrctl prepare folder my-faces --output data/my-faces
    eagrctl prepare folder my-faces --align --landmarks dlib --fallback skip
    ```
    """
    from eagrctl.readers.folder import open_folder

    _prepare(open_folder(source, classes, partial, scheme), options, partial, OWN, scheme)


@app.command("heads")
@spread
def heads(
    source: Annotated[Path, argument("SOURCE", "A folder with heads.jsonl, as of detector prepare.")],
    kind: Annotated[
        Literal["parts", "hair"], flag("--kind", "Which heads: with seven parts, or with hair alone.")
    ] = "parts",
    options: Options = WIDE,
) -> None:
    """Prepare heads in street photos, for `[sources]` of a recipe: wide frames of long hair, hats and shoulders.

    Each is aligned by a face found in it, and left out where none is; the frame shows twice as much as usual.

    ```text
    eagrctl prepare heads PHOTOS --size 225
    eagrctl prepare heads PHOTOS --kind hair --size 225
    ```
    """
    from eagrctl.readers.real_photos import open_heads

    _prepare(open_heads(source, kind), options, partial=True, landmarks=OWN)


@app.command("synthetic")
@spread
def synthetic(
    train: Annotated[int, option("--train", "N", "Faces to train on.", min=1)] = 2000,
    val: Annotated[int, option("--val", "N", "Faces to validate on.", min=1)] = 230,
    test: Annotated[int, option("--test", "N", "Faces to test on.", min=1)] = 100,
    seed: Annotated[int, option("--seed", "N", "Another seed paints other faces.", min=0)] = 0,
    options: Options = AS_THEY_ARE,
) -> None:
    """Paint faces with exact labels: no download, no licence. As many as Helen has, in its 11 classes.

    ```text
    eagrctl prepare synthetic
    eagrctl prepare synthetic --train 400 --val 40 --test 60 --size 241
    ```
    """
    from eagrctl.readers.synthetic.source import SyntheticSource

    _prepare(SyntheticSource({"train": train, "val": val, "test": test}, seed=seed, size=options.size), options)


def _non_commercial(dataset: str) -> None:
    console.message(f"{dataset} may be used for non-commercial research only; so may networks trained on it.")


def _prepare(
    source: "Source", options: Options, partial: bool = False, landmarks: str = ANNOTATED, scheme: str | None = None
) -> None:
    """Prepare a dataset, with landmarks from where `landmarks` says unless the options do."""
    from eagrctl.data.aligner import Aligner, landmark_source
    from eagrctl.data.prepare import prepare
    from eagrctl.events import Notice
    from eagrctl.readers.likeness import question

    if not options.align and (options.landmarks or options.predictor):
        raise typer.BadParameter("landmarks are for alignment, which is off: add --align", param_hint="--landmarks")
    wanted = options.landmarks or (DLIB if options.predictor else landmarks)
    found = landmark_source(wanted, options.predictor) if options.align else None
    if options.wider != 1 and not options.align:
        raise typer.BadParameter("only aligned samples can show more: add --align", param_hint="--wider")
    aligner = Aligner(options.size, found, options.fallback, options.wider)
    part = _part(options.part)
    name = source.provenance.dataset + (f"-{part[0]}-of-{part[1]}" if part else "")
    folder = options.output or DATA / name
    workers = cores() if options.workers is None else options.workers
    with console.progress(options.quiet) as listener:
        for remark in (*source.remarks, *filter(None, [question(source, scheme)])):
            listener(Notice(remark, warning=True))
        index = prepare(source, folder, aligner, workers, partial, options.force, part, listener)
    console.index(index)
    console.written([folder / "index.json"])
    if any(split.skipped or split.centred for split in index.splits.values()):
        console.message(f"Samples that were skipped or centred are listed in {folder / 'index.json'}")


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, slash, total = text.partition("/")
    if not (slash and number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
        raise typer.BadParameter(f"{text} is not a part: write 3/16 for the third of sixteen", param_hint="--slice")
    return int(number), int(total)
