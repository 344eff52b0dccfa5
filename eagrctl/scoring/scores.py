"""Confusion -> scores, as the field computes them.

F1 = 2 tp / (labelled + predicted) and IoU = tp / (labelled + predicted - tp), each from the pixels of all images
together. A class that is neither labelled nor predicted anywhere has no score: NaN, and no part in any mean.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eagrctl.data.labels import LabelSet
from eagrctl.scoring.confusion import Counts, merge


@dataclass(frozen=True)
class Scores:
    """All are fractions, 0..1.

    Attributes:
        classes: class names in id order, the background first.
        f1, iou, accuracy: (N,) float64, by class; accuracy is the share of a class's pixels that are found (recall).
        regions: F1 of each merged region.
        mean_f1: over the classes without the background (Tables 4 and 5).
        miou: over all classes (Tables 1 and 2).
        pixel_accuracy: share of pixels that are right.
        mean_accuracy: mean class accuracy over all classes, which Tables 1 and 2 almost certainly call "Accuracy".
    """

    classes: tuple[str, ...]
    f1: NDArray[np.float64]
    iou: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    regions: Mapping[str, float]
    mean_f1: float
    miou: float
    pixel_accuracy: float
    mean_accuracy: float

    def f1_of(self, name: str) -> float:
        """F1 of a class or region; KeyError where there is none of that name."""
        if name in self.regions:
            return self.regions[name]
        if name not in self.classes:
            raise KeyError(name)
        return float(self.f1[self.classes.index(name)])

    def as_dict(self) -> dict[str, float]:
        """The scores by name, as metrics and checkpoints keep them; a class without a score is left out."""
        named = {
            "mean_f1": self.mean_f1,
            "miou": self.miou,
            "pixel_accuracy": self.pixel_accuracy,
            "mean_accuracy": self.mean_accuracy,
            **{f"f1 {name}": float(value) for name, value in zip(self.classes, self.f1, strict=True)},
            **{f"f1 {name}": value for name, value in self.regions.items()},
        }
        return {name: value for name, value in named.items() if not math.isnan(value)}


def score(counts: Counts, labels: LabelSet) -> Scores:
    """Score an (N, N) confusion matrix; ValueError where N is not the number of classes."""
    if counts.shape != (len(labels), len(labels)):
        raise ValueError(f"a confusion matrix of shape {counts.shape} does not fit {len(labels)} classes")
    hits = np.diag(counts).astype(np.float64)
    labelled, predicted = counts.sum(axis=1), counts.sum(axis=0)
    f1 = _ratio(2 * hits, labelled + predicted)
    iou = _ratio(hits, labelled + predicted - hits)
    accuracy = _ratio(hits, labelled)
    regions = {
        name: float(_ratio(np.array(2.0 * tp), np.array(in_labels + in_prediction)))
        for name, (tp, in_labels, in_prediction) in merge(counts, labels.regions).items()
    }
    return Scores(
        classes=labels.names,
        f1=f1,
        iou=iou,
        accuracy=accuracy,
        regions=regions,
        mean_f1=_mean(f1[1:]),
        miou=_mean(iou),
        pixel_accuracy=float(_ratio(np.array(hits.sum()), np.array(counts.sum()))),
        mean_accuracy=_mean(accuracy),
    )


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN where there is nothing to divide by."""
    nothing = np.full(numerator.shape, np.nan)
    ratio: NDArray[np.float64] = np.divide(numerator, denominator, out=nothing, where=denominator > 0)
    return ratio


def _mean(values: NDArray[np.float64]) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")
