"""Faces to look at: the best, the median and the worst of a split, each with photo, truth and prediction."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.data.align import warp_labels
from eagrctl.data.index import ShardIndex
from eagrctl.data.source import AlignedSample
from eagrctl.inference.predict import Segmenter
from eagrctl.scoring.confusion import Confusion, Counts
from eagrctl.scoring.evaluate import evaluate

BEST, MEDIAN, WORST = "best", "median", "worst"


@dataclass(frozen=True)
class Example:
    """One face, in the aligned frame.

    Attributes:
        kind: "best", "median" or "worst".
        name: of the face.
        mean_f1: over the classes that the truth has, 0..1.
        photo: (S, S, 3) uint8.
        truth, prediction: (S, S) uint8 labels.
    """

    kind: str
    name: str
    mean_f1: float
    photo: Pixels
    truth: Pixels
    prediction: Pixels

    @classmethod
    def of(cls, kind: str, face: AlignedSample, prediction: Pixels, classes: int) -> "Example":
        """A face with its prediction in the source frame, of so many classes."""
        return cls(
            kind=kind,
            name=face.name,
            mean_f1=mean_f1_of(Confusion(classes).add(face.source_labels, prediction)),
            photo=face.image,
            truth=face.labels,
            prediction=warp_labels(prediction, face.matrix, face.image.shape[0]),
        )


class Ranking:
    """Scores faces one by one while a split is evaluated, and tells afterwards which are worth a look.

    It keeps a number for each face and no pixel, so that its memory does not grow with the pictures; those that are
    wanted are predicted a second time.
    """

    def __init__(self) -> None:
        self._scores: list[float] = []

    def note(self, mean_f1: float) -> None:
        """The next face of the split, as `mean_f1_of` scores it."""
        self._scores.append(mean_f1)

    def pick(self, each: int = 3) -> dict[int, str]:
        """Places in the split -> kind: the best ones, then those around the median, then the worst, worst last.

        Args:
            each: how many of a kind; fewer where there are not enough faces. None is picked twice.
        """
        known = [place for place, score in enumerate(self._scores) if not math.isnan(score)]
        ranked = sorted(known, key=lambda place: -self._scores[place])  # stable: of equals, the first comes first
        count, share = len(ranked), min(each, max(len(ranked) // 3, 1))
        last = max(count - share, share)  # where the worst begin
        middle = max((count - share) // 2, share)
        kinds = (
            (BEST, ranked[:share]),
            (MEDIAN, ranked[middle : min(middle + share, last)]),
            (WORST, ranked[last:]),
        )
        return {place: kind for kind, places in kinds for place in places}


def examples_of(
    predictor: Segmenter, index: ShardIndex, split: str, picked: Mapping[int, str], batch: int = 8
) -> tuple[Example, ...]:
    """Predict once more the faces that a ranking has picked, in its order.

    Args:
        predictor: the network.
        index: the prepared dataset.
        split: which of its splits.
        picked: places in the split -> kind.
        batch: faces predicted together.
    """
    kinds, examples = iter(picked.values()), []

    def keep(face: AlignedSample, prediction: Pixels) -> None:
        examples.append(Example.of(next(kinds), face, prediction, len(index.labels)))

    evaluate(predictor, index, split, batch, each=keep, positions=list(picked))
    return tuple(examples)


def mean_f1_of(counts: Counts) -> float:
    """The mean F1 of one image, over the classes that its truth has, the background left out; NaN where it has none.

    Args:
        counts: its confusion matrix, (N, N).
    """
    hits, labelled, predicted = np.diag(counts)[1:], counts.sum(axis=1)[1:], counts.sum(axis=0)[1:]
    present = labelled > 0
    return float((2 * hits[present] / (labelled + predicted)[present]).mean()) if present.any() else math.nan
