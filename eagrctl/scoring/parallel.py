"""Evaluating a split in several processes, with the counts of one to the last pixel."""

from dataclasses import dataclass
from functools import cache
from multiprocessing import current_process
from pathlib import Path

import torch

from eagrctl.arrays import Pixels
from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.events import Listener, Progress, ignore
from eagrctl.inference.predict import Segmenter
from eagrctl.inference.tta import TestTimeAugmentation
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.evaluate import Evaluation, Look, evaluate
from eagrctl.workers import Workers


@dataclass(frozen=True)
class Share:
    """What a process has to know to evaluate batches of a split.

    Attributes:
        checkpoint, data: of the network, and of the prepared dataset.
        views: test-time augmentation.
        batch: faces predicted together.
        gpus: how many GPUs the processes share out; 0 is the CPU.
        threads: of each process, on the CPU.
        predictions: whether predictions are wanted, and not counts alone.
    """

    checkpoint: Path
    data: Path
    split: str
    views: TestTimeAugmentation
    batch: int
    gpus: int
    threads: int
    predictions: bool

    def __call__(self, start: int) -> tuple[Evaluation, list[Pixels]]:
        """Evaluate the batch that begins at a place of the split."""
        predictor, index = _ready(self)
        places = range(start, min(start + self.batch, index.split(self.split).count))
        kept: list[Pixels] = []
        each = (lambda face, prediction: kept.append(prediction)) if self.predictions else None
        return evaluate(predictor, index, self.split, self.batch, each=each, positions=places), kept


def evaluate_in_processes(
    share: Share, index: ShardIndex, processes: int, listener: Listener = ignore, each: Look | None = None
) -> Evaluation:
    """Predict a split and score it, like `eagrctl.scoring.evaluate.evaluate`; batches are shared out among processes.

    A batch holds the same faces for any number of processes, and counts are whole numbers, so that the confusion matrix
    is the same. `each` is called in this process, in the order of the split, and needs `share.predictions`.

    Raises:
        EagrctlError: a process died.
        ShardError: no such split, or a shard that cannot be read.
    """
    total, task = index.split(share.split).count, f"evaluating {share.split}"
    confusion = Confusion(len(index.labels))
    resolutions: set[tuple[int, int]] = set()
    listener(Progress(task, 0, total))
    with Workers(processes, share, "ask for fewer, or lower --batch") as pool:
        for start, (part, predictions) in pool.map(range(0, total, share.batch)):
            confusion.counts += part.counts
            resolutions.update(part.resolutions)
            if each is not None:
                for place, prediction in enumerate(predictions, start):
                    each(index.read(share.split, place), prediction)
            listener(Progress(task, min(start + share.batch, total), total))
    return Evaluation(share.split, total, tuple(sorted(resolutions)), confusion.counts, index.labels)


@cache
def _ready(share: Share) -> tuple[Segmenter, ShardIndex]:
    """The network and the data, once in each process."""
    if share.gpus:
        # Workers are numbered from 1.
        number = current_process()._identity[0] - 1 if current_process()._identity else 0
        device = torch.device("cuda", number % share.gpus)
    else:
        torch.set_num_threads(share.threads)
        device = torch.device("cpu")
    return Segmenter.of(load_checkpoint(share.checkpoint), device, share.views), ShardIndex.load(share.data)
