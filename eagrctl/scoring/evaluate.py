"""Checkpoint + shards -> predictions in the source frame -> scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from eagrctl.arrays import Pixels
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import LabelSet, in_words
from eagrctl.data.source import AlignedSample
from eagrctl.drawing.formats import save_labels
from eagrctl.errors import CheckpointError, EagrctlError
from eagrctl.events import Listener, Progress, ignore
from eagrctl.files import replacing
from eagrctl.inference.predict import Segmenter
from eagrctl.readers.schemes import scheme_of
from eagrctl.scoring.confusion import Confusion, Counts
from eagrctl.scoring.scores import Scores, score

# Sees a stored sample and its predicted labels, in the source frame.
Look = Callable[[AlignedSample, Pixels], None]


@dataclass(frozen=True)
class Evaluation:
    """What evaluating a split, or a part of it, gave.

    Attributes:
        split: its name.
        images: how many were scored.
        resolutions: the distinct (height, width) they were scored at, sorted.
        counts: the confusion matrix, (N, N) int64.
        labels: the classes.
    """

    split: str
    images: int
    resolutions: tuple[tuple[int, int], ...]
    counts: Counts
    labels: LabelSet

    @cached_property
    def scores(self) -> Scores:
        """What follows from the confusion matrix."""
        return score(self.counts, self.labels)


def evaluate(
    predictor: Segmenter,
    index: ShardIndex,
    split: str,
    batch: int = 8,
    listener: Listener = ignore,
    each: Look | None = None,
    positions: Sequence[int] | None = None,
) -> Evaluation:
    """Predict a split and count pixels at each face's own resolution, in one confusion matrix for all.

    The counts of parts add up to those of the whole, to the last one, so that several processes can share a split.

    Args:
        predictor: the network.
        index: the prepared dataset; `check_classes` tells whether it fits a checkpoint.
        split: which of its splits.
        batch: faces predicted together.
        listener: hears of progress.
        each: called with every stored sample and its predicted labels, in the source frame.
        positions: the samples' places in the split; None is all of it.

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
    return Evaluation(split, total, tuple(sorted(resolutions)), confusion.counts, index.labels)


def default_split(index: ShardIndex) -> str:
    """What is scored unless told otherwise: the test split, or where there is none, val, or else train."""
    return next((name for name in ("test", "val", "train") if name in index.splits), "test")


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
            way_out += f"; of its classes, these have no counterpart there: {_listed(scheme.unmatched)}"
        if scheme.missing:
            way_out += f"; it has no counterpart of {_listed(scheme.missing)}"
    raise CheckpointError(
        f"{what} parses {len(classes)} classes ({_listed(classes[1:4])}, ...), {index.root} has "
        f"{len(index.classes)} ({_listed(index.classes[1:4])}, ...): {way_out}"
    )


def saving_to(folder: Path, labels: LabelSet) -> Look:
    """Writes FOLDER/NAME.png for each face that it sees: ids of the dataset, in the source frame, for `eagrctl score`.

    The PNGs have a palette of the classes' colours, so that a viewer shows more than black; a pixel's value is its id.
    The folder is made if it is not there.

    Raises:
        EagrctlError: the folder holds something already, or cannot be made; later, a full disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise EagrctlError(f"{folder} holds something already: name another folder for the predictions")
    except OSError as error:
        raise EagrctlError(f"cannot write predictions to {folder}: {error.strerror or error}") from error

    def look(face: AlignedSample, prediction: Pixels) -> None:
        path = folder / f"{face.name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                save_labels(prediction, labels, temporary, software="eagrctl evaluate")
        except OSError as error:
            raise EagrctlError(f"cannot write {path}: {error.strerror or error}") from error

    return look


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(in_words, names))
