"""Options that mean the same in every command, and the defaults that make commands chain."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from eagrctl.errors import ShardError

DATA = Path("data")
RUNS = Path("runs")
RAW = Path("raw")
WEIGHTS = Path("weights")

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Prepared dataset. Default: data/NAME of the recipe or run, else the newest in data/.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show results, warnings and errors only.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Size = Annotated[
    int, typer.Option("--size", metavar="PIXELS", min=33, max=4096, help="Side of the square that samples become.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=0, help="Processes that read samples. Default: all cores.")
]
Gpus = Annotated[
    int | None,
    typer.Option("--gpus", metavar="N", min=0, help="GPUs to use; 0 is the CPU. Default: one if there is one."),
]
ManyGpus = Annotated[
    str | None,
    typer.Option("--gpus", metavar="N|all", help="GPUs to use; 0 is the CPU. Default: one if there is one."),
]


# Options of `prepare`, whatever the dataset.


class Fallback(StrEnum):
    """What becomes of a face without landmarks."""

    CENTRE = "centre"
    SKIP = "skip"


class PaintOrder(StrEnum):
    """Which of CelebAMask-HQ's parts cover which."""

    OFFICIAL = "official"
    ACCESSORIES_LAST = "accessories-last"


PreparedOutput = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder to write. Default: data/NAME.")
]
Partial = Annotated[
    bool,
    typer.Option("--partial", help="Accept fewer faces than the official split, and list those that are unusable."),
]
Align = Annotated[bool, typer.Option("--align/--no-align", help="Turn and scale faces onto a template by landmarks.")]
Landmarks = Annotated[
    str | None,
    typer.Option(
        "--landmarks",
        metavar="annotated|dlib|FILE",
        help="Where landmarks come from: the dataset, dlib, or a file of lines NAME x1 y1 ... x5 y5. "
        "Default: the dataset where it annotates them, else dlib.",
    ),
]
LandmarkPredictor = Annotated[
    Path | None,
    typer.Option(
        "--predictor",
        metavar="FILE",
        help="dlib's landmark predictor. Default: EAGRCTL_PREDICTOR, then an installed face_recognition_models, then "
        "Debian's libdlib-data, then the one that comes with eagrctl; `parse` looks at that one first.",
    ),
]
FallbackOption = Annotated[Fallback, typer.Option("--fallback", help="What becomes of a face without landmarks.")]
Slice = Annotated[
    str | None,
    typer.Option("--slice", metavar="K/N", help="Prepare the K-th of N parts; eagrctl dataset merge joins them."),
]
ANNOTATED, DLIB = "annotated", "dlib"


def all_cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def newest_dataset() -> Path:
    """The dataset in data/ that was prepared last.

    Raises:
        ShardError: there is none.
    """
    indexes = sorted(DATA.glob("*/index.json"), key=lambda path: path.stat().st_mtime)
    if not indexes:
        raise ShardError(f"no prepared dataset in {DATA}/: run eagrctl prepare first, or name one with --data")
    return indexes[-1].parent
