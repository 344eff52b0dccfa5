"""What benchmarks have in common: figures as tables and JSON, the machine in words, pictures at hand."""

import json
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from skimage.data import astronaut

from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.data.prepare import prepare
from eagrctl.events import Drawing
from eagrctl.readers.synthetic.source import SyntheticSource
from eagrctl.workers import cores

COPIES = 8  # of the one photo that there is where none is named
FACES = 64  # painted, where a batch does not need more


@dataclass(frozen=True)
class Table:
    """Figures to be printed.

    Attributes:
        title: what was measured, and on what.
        headings: of the columns.
        rows: as many cells in each.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Result:
    """What a benchmark measured in one run.

    Attributes:
        hardware: and software, in words (`hardware`).
        tables: figures to be printed.
        remarks: lines to be printed beneath them.
        figures: all of them, unrounded.
    """

    hardware: str
    tables: Sequence[Table]
    remarks: Sequence[str]
    figures: Mapping[str, Any]

    def to_json(self) -> str:
        """All figures, with the hardware and the time."""
        date = datetime.now().astimezone().isoformat(timespec="seconds")
        return json.dumps({"hardware": self.hardware, "date": date, **self.figures}, indent=2, allow_nan=False) + "\n"


def hardware(gpus: bool) -> str:
    """Processor, cores, threads, torch, and GPU, in words."""
    counts = {"core": cores(), "thread": torch.get_num_threads()}
    parts = [_processor(), *(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items())]
    return ", ".join([*parts, f"torch {torch.__version__}", *([torch.cuda.get_device_name(0)] if gpus else [])])


def _processor() -> str:
    """The CPU's name; Linux has it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


@contextmanager
def painted_faces(size: int, batch: int, drawing: Drawing) -> Iterator[ShardIndex]:
    """Painted faces, prepared into a folder that is gone when the block ends.

    Args:
        size: side of the square, in pixels.
        batch: images of a step; there are more faces than that.
        drawing: draws their progress.
    """
    with tempfile.TemporaryDirectory(prefix="eagrctl-") as folder:
        source = SyntheticSource({"train": max(FACES, 2 * batch)}, size=size)
        with drawing() as listener:
            index = prepare(source, Path(folder) / "faces", Aligner(size), cores(), listener=listener)
        yield index


@contextmanager
def astronauts() -> Iterator[Path]:
    """A folder with copies of a photo in the public domain, gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="eagrctl-") as folder:
        for number in range(COPIES):
            Image.fromarray(astronaut()).save(Path(folder) / f"astronaut-{number}.jpg", quality=95)
        yield Path(folder)
