"""Checkpoint + shards -> predictions in the source frame -> scores."""

from collections.abc import Callable
from dataclasses import dataclass

from eagrctl.data.index import ShardIndex
from eagrctl.data.sample import Pixels
from eagrctl.data.shards import Stored
from eagrctl.errors import CheckpointError
from eagrctl.events import Progress, Report, ignore
from eagrctl.inference.predict import Predictor
from eagrctl.scoring.confusion import Confusion, Counts
from eagrctl.scoring.scores import Scores, score


@dataclass(frozen=True)
class Evaluation:
    """What evaluating one split gave.

    Attributes:
        split: its name.
        images: how many were scored.
        resolutions: the distinct (height, width) they were scored at, sorted.
        counts: the confusion matrix, (N, N) int64.
        scores: what follows from it.
    """

    split: str
    images: int
    resolutions: tuple[tuple[int, int], ...]
    counts: Counts
    scores: Scores


def evaluate(
    predictor: Predictor,
    index: ShardIndex,
    split: str,
    batch: int = 8,
    report: Report = ignore,
    each: Callable[[Stored, Pixels], None] | None = None,
) -> Evaluation:
    """Predict a split and score it at each face's own resolution, with one confusion matrix for all.

    Args:
        predictor: the network.
        index: the prepared dataset; `check_classes` tells whether it fits a checkpoint.
        split: which of its splits.
        batch: faces predicted together.
        report: hears of progress.
        each: called with every stored sample and its predicted labels, in the source frame.

    Raises:
        ShardError: no such split, or a shard that cannot be read.
    """
    confusion = Confusion(len(index.labels))
    resolutions: set[tuple[int, int]] = set()
    total, task = index.split(split).count, f"evaluating {split}"
    report(Progress(task, 0, total))
    for start in range(0, total, batch):
        faces = [index.read(split, position) for position in range(start, min(start + batch, total))]
        sizes = [(face.source_labels.shape[0], face.source_labels.shape[1]) for face in faces]
        predictions = predictor.predict([face.image for face in faces], [face.matrix for face in faces], sizes)
        resolutions.update(sizes)
        for face, prediction in zip(faces, predictions, strict=True):
            confusion.add(face.source_labels, prediction)
            if each is not None:
                each(face, prediction)
        report(Progress(task, start + len(faces), total))
    return Evaluation(split, total, tuple(sorted(resolutions)), confusion.counts, score(confusion.counts, index.labels))


def check_classes(classes: tuple[str, ...], index: ShardIndex, what: str) -> None:
    """Refuse to score a network on labels it was not trained on.

    Raises:
        CheckpointError: `what` has other classes than the dataset.
    """
    if classes != index.classes:
        raise CheckpointError(
            f"{what} parses {len(classes)} classes ({', '.join(classes[1:4])}, ...), {index.root} has "
            f"{len(index.classes)} ({', '.join(index.classes[1:4])}, ...): "
            "name the dataset it was trained on with --data"
        )
