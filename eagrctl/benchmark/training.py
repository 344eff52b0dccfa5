"""The speed of training beside what it is to be compared with: independent processes, and float32 done plainly."""

import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from eagrctl.benchmark.precision import matrix_rate, precisions, step_flops
from eagrctl.benchmark.scaling import Drawing, over_processes
from eagrctl.benchmark.steps import Speed
from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.data.prepare import prepare
from eagrctl.readers.synthetic.source import SyntheticSource
from eagrctl.recipe import Recipe

# What is asked of training; the last two of the full recipe on an H200-class GPU.
TOGETHER, WAITING, OF_MATRIX_RATE, OF_PLAIN = 0.85, 0.05, 0.35, 2.0
FACES = 64  # painted, at least


@dataclass(frozen=True)
class Goal:
    """A figure and what is asked of it.

    Attributes:
        name: what it is.
        value: measured.
        target: the least it may be, or the most.
        least: which of the two.
        share: whether it is a part of a whole, for percent.
    """

    name: str
    value: float
    target: float
    least: bool = True
    share: bool = False

    @property
    def reached(self) -> bool:
        """Whether the figure is good enough."""
        return self.value >= self.target if self.least else self.value < self.target


@dataclass(frozen=True)
class TrainingBenchmark:
    """What was measured in one run.

    Attributes:
        network: what was trained, in words.
        data: on what, in words.
        hardware: and software, in words.
        date: ISO 8601.
        steps: timed, for each way.
        flops: of one image and step, three times those of its forward pass (the backward pass takes two of these).
        matrix_rate: FLOP/s of a large matrix product in bf16 on the GPU; None on a CPU.
        speeds: of each way; a floor or a plain way comes before what is compared with it.
        goals: what follows from them.
    """

    network: str
    data: str
    hardware: str
    date: str
    steps: int
    flops: int
    matrix_rate: float | None
    speeds: tuple[Speed, ...]
    goals: tuple[Goal, ...]

    def of_matrix_rate(self, speed: Speed) -> float | None:
        """Share of the GPUs' measured bf16 matrix rate that training makes use of; None on a CPU."""
        if self.matrix_rate is None:
            return None
        return speed.images_per_second * self.flops / (speed.processes * self.matrix_rate)

    def to_json(self) -> str:
        """All figures, unrounded."""
        table: dict[str, Any] = asdict(self)
        table["goals"] = [asdict(goal) | {"reached": goal.reached} for goal in self.goals]
        table["speeds"] = [asdict(speed) | {"of_matrix_rate": self.of_matrix_rate(speed)} for speed in self.speeds]
        units = {"flops": "2 per multiply-add", "matrix_rate": "FLOP/s", "memory": "bytes"}
        return json.dumps({"units": units} | table, indent=2, allow_nan=False) + "\n"


def benchmark_training(
    recipe: Recipe,
    index: ShardIndex,
    gpus: bool,
    processes: int,
    steps: int,
    workers: int,
    compiled: bool,
    drawing: Drawing,
) -> TrainingBenchmark:
    """Measure training in several processes; on GPUs, also on one in each precision.

    Args:
        recipe: what is trained.
        index: a prepared dataset with the split train.
        gpus: whether processes have a GPU each; else they share the CPU.
        processes: at once.
        steps: timed, for each way.
        workers: processes that read samples for each.
        compiled: whether to measure torch.compile, which takes minutes to begin with.
        drawing: draws progress, here and in other processes.

    Raises:
        TrainingError: there are too few samples, too little memory, or a batch cannot be shared out.
        RecipeError: the recipe describes no network.
        ShardError: a shard cannot be read.
    """
    flops = step_flops(recipe, len(index.classes))
    speeds: list[Speed] = []
    goals: list[Goal] = []
    rate = None
    if gpus:
        device = torch.device("cuda", 0)
        rate = matrix_rate(device)
        with drawing() as listener:
            speeds += precisions(recipe, index, device, steps, workers, compiled, listener)
        goals += precision_goals(speeds, flops, rate)
    if processes > 1 or not gpus:
        scaling = over_processes(recipe, index, gpus, processes, steps, workers, drawing)
        if len(scaling) > 1:
            floor, together = scaling
            ratio = together.images_per_second / floor.images_per_second
            goals.append(Goal(f"{together.name} / {floor.name}, images/s", ratio, TOGETHER))
        speeds += scaling
    goals.append(Goal(f"waiting for data, {speeds[-1].name}", speeds[-1].waiting, WAITING, least=False, share=True))
    model, size = recipe.model, recipe.input.size
    return TrainingBenchmark(
        f"EAGRNet ({model.backbone}, width {model.width:g}, {size} x {size}, {len(index.classes)} classes)",
        f"{index.provenance.dataset} at {index.size} x {index.size}",
        hardware(gpus),
        datetime.now().astimezone().isoformat(timespec="seconds"),
        steps,
        flops,
        rate,
        tuple(speeds),
        tuple(goals),
    )


def precision_goals(speeds: Sequence[Speed], flops: int, rate: float) -> list[Goal]:
    """What is asked of the fastest way, given the plain one (the first), FLOPs of an image, and the matrix rate."""
    plain, *others = speeds
    best = max(others, key=lambda speed: speed.images_per_second)
    return [
        Goal(
            f"{best.name}, of the bf16 matrix rate", best.images_per_second * flops / rate, OF_MATRIX_RATE, share=True
        ),
        Goal(f"{best.name} / {plain.name}, images/s", best.images_per_second / plain.images_per_second, OF_PLAIN),
    ]


def hardware(gpus: bool) -> str:
    """Processor, cores, torch, and GPU, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = [f"{_processor()}, {cores} core{'s' if cores > 1 else ''}", f"torch {torch.__version__}"]
    return ", ".join(parts + ([torch.cuda.get_device_name(0)] if gpus else []))


def _processor() -> str:
    """The CPU's name; Linux has it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


@contextmanager
def painted_faces(size: int, batch: int, workers: int, drawing: Drawing) -> Iterator[ShardIndex]:
    """Painted faces, prepared into a folder that is gone when the block ends.

    Args:
        size: side of the square, in pixels.
        batch: images of a step; there are more faces than that.
        workers: processes that paint.
        drawing: draws their progress.
    """
    with tempfile.TemporaryDirectory(prefix="eagrctl-") as folder:
        source = SyntheticSource({"train": max(FACES, 2 * batch)}, size=size)
        with drawing() as listener:
            index = prepare(source, Path(folder) / "faces", Aligner(size), workers, listener=listener)
        yield index
