"""Confusion -> scores, as the field computes them.

F1 = 2 tp / (labelled + predicted) and IoU = tp / (labelled + predicted - tp), each from the pixels of all images
together. A class that is neither labelled nor predicted anywhere has no score: NaN, and no part in any mean.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eagrctl.data.labels import LabelSet
from eagrctl.scoring.confusion import Counts, merge


@dataclass(frozen=True)
class Scores:
    """Scores are fractions, 0..1; those of classes come first, in id order, then those of merged regions.

    Attributes:
        classes: the names of N classes, the background first.
        regions: the names of R regions.
        f1, iou, accuracy: (N + R,) float64; accuracy is the share of a class's pixels that are found (recall).
        labelled, predicted: (N + R,) int64, pixels.
        mean_f1: over the classes without the background (Tables 4 and 5).
        miou: over all classes (Tables 1 and 2).
        pixel_accuracy: share of pixels that are right.
        mean_accuracy: mean class accuracy over all classes, which Tables 1 and 2 almost certainly call "Accuracy".
    """

    classes: tuple[str, ...]
    regions: tuple[str, ...]
    f1: NDArray[np.float64]
    iou: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    labelled: Counts
    predicted: Counts
    mean_f1: float
    miou: float
    pixel_accuracy: float
    mean_accuracy: float

    @property
    def names(self) -> tuple[str, ...]:
        """Classes and regions."""
        return self.classes + self.regions

    @property
    def means(self) -> dict[str, float]:
        """The scores over all classes, by name."""
        return {name: getattr(self, name) for name in ("mean_f1", "miou", "pixel_accuracy", "mean_accuracy")}

    def f1_of(self, name: str) -> float:
        """F1 of a class or region; KeyError where there is none of that name."""
        return float(dict(zip(self.names, self.f1, strict=True))[name])

    def as_dict(self) -> dict[str, float]:
        """The scores by name, as metrics and checkpoints keep them; a class without a score is left out."""
        of_each = {f"f1 {name}": value for name, value in zip(self.names, self.f1.tolist(), strict=True)}
        return {name: value for name, value in (self.means | of_each).items() if not math.isnan(value)}


def score(counts: Counts, labels: LabelSet) -> Scores:
    """Score an (N, N) confusion matrix; ValueError where N is not the number of classes."""
    count = len(labels)
    if counts.shape != (count, count):
        raise ValueError(f"a confusion matrix of shape {counts.shape} does not fit {count} classes")
    groups = [*((number,) for number in range(count)), *labels.regions.values()]
    hits, labelled, predicted = merge(counts, groups)
    f1 = _ratio(2 * hits, labelled + predicted)
    iou = _ratio(hits, labelled + predicted - hits)
    accuracy = _ratio(hits, labelled)
    return Scores(
        classes=labels.names,
        regions=tuple(labels.regions),
        f1=f1,
        iou=iou,
        accuracy=accuracy,
        labelled=labelled,
        predicted=predicted,
        mean_f1=_mean(f1[1:count]),
        miou=_mean(iou[:count]),
        pixel_accuracy=float(_ratio(np.trace(counts), counts.sum())),
        mean_accuracy=_mean(accuracy[:count]),
    )


def _ratio(numerator: Counts, denominator: Counts) -> NDArray[np.float64]:
    """NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore"):
        return np.divide(numerator, denominator)


def _mean(values: NDArray[np.float64]) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else math.nan
