"""Checkpoint + shards -> predictions in the source frame -> scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eagrctl.arrays import Pixels
from eagrctl.data.index import ShardIndex
from eagrctl.data.shards import Stored
from eagrctl.errors import CheckpointError
from eagrctl.events import Listener, Progress, ignore
from eagrctl.inference.predict import Segmenter
from eagrctl.readers.schemes import scheme_of
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


@dataclass(frozen=True)
class Counted:
    """What comparing predictions with labels gave.

    Attributes:
        counts: the confusion matrix, (N, N) int64.
        images: how many were compared.
        resolutions: the distinct (height, width) they were compared at.
    """

    counts: Counts
    images: int
    resolutions: frozenset[tuple[int, int]]


def evaluate(
    predictor: Segmenter,
    index: ShardIndex,
    split: str,
    batch: int = 8,
    listener: Listener = ignore,
    each: Callable[[Stored, Pixels], None] | None = None,
) -> Evaluation:
    """Predict a split and score it at each face's own resolution, with one confusion matrix for all.

    Args:
        predictor: the network.
        index: the prepared dataset; `check_classes` tells whether it fits a checkpoint.
        split: which of its splits.
        batch: faces predicted together.
        listener: hears of progress.
        each: called with every stored sample and its predicted labels, in the source frame.

    Raises:
        ShardError: no such split, or a shard that cannot be read.
    """
    counted = count_pixels(predictor, index, split, batch, None, listener, each)
    scores = score(counted.counts, index.labels)
    return Evaluation(split, counted.images, tuple(sorted(counted.resolutions)), counted.counts, scores)


def count_pixels(
    predictor: Segmenter,
    index: ShardIndex,
    split: str,
    batch: int = 8,
    positions: Sequence[int] | None = None,
    listener: Listener = ignore,
    each: Callable[[Stored, Pixels], None] | None = None,
) -> Counted:
    """Predict a split, or a part of it, and count pixels at each face's own resolution.

    The counts of parts add up to those of the whole, to the last one, so that several processes can share a split.

    Args:
        predictor: the network.
        index: the prepared dataset.
        split: which of its splits.
        batch: faces predicted together.
        positions: the samples' places in the split; None is all of it.
        listener: hears of progress.
        each: called with every stored sample and its predicted labels, in the source frame.

    Raises:
        ShardError: no such split, or a shard that cannot be read.
    """
    confusion = Confusion(len(index.labels))
    resolutions: set[tuple[int, int]] = set()
    places = range(index.split(split).count) if positions is None else positions
    total, task = len(places), f"evaluating {split}"
    listener(Progress(task, 0, total))
    for start in range(0, total, batch):
        faces = [index.read(split, position) for position in places[start : start + batch]]
        sizes = [(face.source_labels.shape[0], face.source_labels.shape[1]) for face in faces]
        predictions = predictor.predict([face.image for face in faces], [face.matrix for face in faces], sizes)
        resolutions.update(sizes)
        for face, prediction in zip(faces, predictions, strict=True):
            confusion.add(face.source_labels, prediction)
            if each is not None:
                each(face, prediction)
        listener(Progress(task, start + len(faces), total))
    return Counted(confusion.counts, total, frozenset(resolutions))


def check_classes(classes: tuple[str, ...], index: ShardIndex, what: str) -> None:
    """Refuse to score a network on labels it was not trained on.

    Raises:
        CheckpointError: `what` has other classes than the dataset.
    """
    if classes == index.classes:
        return
    way_out = "name the dataset it was trained on with --data"
    scheme = scheme_of(classes, index.labels)
    if scheme is not None:
        command = f"eagrctl score PREDICTIONS {index.root} --scheme {scheme.name}"
        way_out += f", or score label maps that it predicted with {command}"
        if scheme.unmatched:
            way_out += f"; of its classes, these have no counterpart there: {', '.join(scheme.unmatched)}"
        if scheme.missing:
            way_out += f"; it has no counterpart of {', '.join(scheme.missing)}"
    raise CheckpointError(
        f"{what} parses {len(classes)} classes ({', '.join(classes[1:4])}, ...), {index.root} has "
        f"{len(index.classes)} ({', '.join(index.classes[1:4])}, ...): {way_out}"
    )
