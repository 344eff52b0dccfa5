"""Faces to look at, each with photo, truth and prediction: the best, the median and the worst of a split, or any."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.align import warp_labels
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import IGNORE
from eagrctl.data.source import AlignedSample
from eagrctl.drawing.pictures import sheet
from eagrctl.inference.predict import Segmenter
from eagrctl.scoring.confusion import Confusion, Counts
from eagrctl.scoring.evaluate import evaluate

BEST, MEDIAN, WORST = "best", "median", "worst"


@dataclass(frozen=True)
class Example:
    """One face, in the aligned frame.

    Attributes:
        kind: "best", "median" or "worst"; empty where faces were not ranked.
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
        mean_f1 = mean_f1_of(Confusion(classes).add(face.source_labels, prediction))
        aligned = warp_labels(prediction, face.matrix, face.image.shape[0])
        return cls(kind, face.name, mean_f1, face.image, face.labels, aligned)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(S, S) bool: where the prediction differs from the truth; pixels without a label are not wrong."""
        wrong: NDArray[np.bool_] = (self.truth != self.prediction) & (self.truth != IGNORE)
        return wrong


def ranked(scores: Sequence[float], each: int = 3) -> dict[int, str]:
    """Places of a split's faces -> kind: the best ones, then those around the median, then the worst, worst last.

    Args:
        scores: of all faces, as `mean_f1_of` gives them; one of NaN is left out.
        each: how many of a kind; fewer where there are not enough faces. None is picked twice.
    """
    known = [place for place, score in enumerate(scores) if not math.isnan(score)]
    order = sorted(known, key=lambda place: -scores[place])  # stable: of equals, the first comes first
    count, share = len(order), min(each, max(len(order) // 3, 1))
    last = max(count - share, share)  # where the worst begin
    middle = max((count - share) // 2, share)
    kinds = ((BEST, order[:share]), (MEDIAN, order[middle : min(middle + share, last)]), (WORST, order[last:]))
    return {place: kind for kind, places in kinds for place in places}


def spread(count: int, wanted: int) -> dict[int, str]:
    """Places evenly spread over so many faces, always the same ones, as `examples_of` takes them."""
    wanted = min(wanted, count)
    return {count * number // wanted: "" for number in range(wanted)}


def examples_of(
    predictor: Segmenter, index: ShardIndex, split: str, picked: Mapping[int, str], batch: int = 8
) -> tuple[Example, ...]:
    """Predict the faces that were picked, places in the split -> kind, in that order.

    What is ranked is predicted a second time, so that no pixel of the others need be kept.
    """
    kinds, examples = iter(picked.values()), []

    def keep(face: AlignedSample, prediction: Pixels) -> None:
        examples.append(Example.of(next(kinds), face, prediction, len(index.labels)))

    evaluate(predictor, index, split, batch, each=keep, positions=list(picked))
    return tuple(examples)


def examples_sheet(predictor: Segmenter, index: ShardIndex, split: str, wanted: int = 8) -> Image.Image:
    """Draw photo, truth and prediction of faces that are evenly spread over a split."""
    examples = examples_of(predictor, index, split, spread(index.split(split).count, wanted))
    groups = [(each.photo, each.truth, each.prediction) for each in examples]
    return sheet(("photo", "truth", "prediction"), groups, index.labels, side=220, across=2)


def mean_f1_of(counts: Counts) -> float:
    """The mean F1 of one image, over the classes that its truth has, the background left out; NaN where it has none.

    Args:
        counts: its confusion matrix, (N, N).
    """
    hits, labelled, predicted = np.diag(counts)[1:], counts.sum(axis=1)[1:], counts.sum(axis=0)[1:]
    present = labelled > 0
    return float((2 * hits[present] / (labelled + predicted)[present]).mean()) if present.any() else math.nan
