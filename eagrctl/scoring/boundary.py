"""Boundary F1: how closely the borders of a class are drawn, which F1 over whole regions hardly shows.

A boundary pixel of a class is a pixel of it that has one of another class among its four neighbours
(`edge_mask`, which is also the paper's rule for edges): the border of the image makes none, and neither do
pixels without a label. A boundary pixel is matched where the other map has a boundary pixel of the same class within
the tolerance, as the crow flies. With precision the share of the predicted boundary that is matched by the labels', and
recall the share of the labels' that is matched by the prediction's,

    boundary F1 = 2 * precision * recall / (precision + recall).

As everywhere in the scores, pixels are summed over all images before anything is divided: it is not a mean over images.
"""

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Pixels
from eagrctl.data.labels import IGNORE, edge_mask
from eagrctl.scoring.confusion import Counts

TOLERANCES = (1, 3, 5)  # pixels of each image's own resolution


class Boundary:
    """Boundary pixels counted by class and by tolerance, summed over images.

    Attributes:
        tolerances: in pixels, ascending.
        labelled, predicted: (N,) int64, all boundary pixels of each class, in labels and in predictions.
        recalled: (T, N) int64, those of the labels that the prediction matches, by tolerance.
        right: (T, N) int64, those of the prediction that the labels match.
    """

    def __init__(self, classes: int, tolerances: tuple[int, ...] = TOLERANCES) -> None:
        self.tolerances = tuple(sorted(tolerances))
        self.labelled: Counts = np.zeros(classes, np.int64)
        self.predicted: Counts = np.zeros(classes, np.int64)
        self.recalled: Counts = np.zeros((len(tolerances), classes), np.int64)
        self.right: Counts = np.zeros((len(tolerances), classes), np.int64)
        self._steps = _steps(self.tolerances)

    def add(self, labels: Pixels, prediction: Pixels) -> None:
        """Count one image; both (H, W) uint8. What is predicted where labels are 255 counts for nothing.

        Raises:
            ValueError: the shapes differ, or a class lies outside 0..N-1.
        """
        if labels.shape != prediction.shape:
            raise ValueError(f"labels {labels.shape} and prediction {prediction.shape} differ in shape")
        classes = len(self.labelled)
        prediction = np.where(labels == IGNORE, np.uint8(IGNORE), prediction)
        known = labels != IGNORE
        if known.any() and max(labels[known].max(), prediction[known].max()) >= classes:
            raise ValueError(f"a class lies outside 0..{classes - 1}")
        truth, guess = _boundaries(labels), _boundaries(prediction)
        self.labelled += np.bincount(truth[truth != IGNORE], minlength=classes)
        self.predicted += np.bincount(guess[guess != IGNORE], minlength=classes)
        self.recalled += self._matched(truth, guess)
        self.right += self._matched(guess, truth)

    def join(self, other: "Boundary") -> None:
        """Add what another one of the same classes and tolerances has counted, of other images."""
        self.labelled += other.labelled
        self.predicted += other.predicted
        self.recalled += other.recalled
        self.right += other.right

    def f1(self) -> NDArray[np.float64]:
        """(T, N) float64, 0..1, by tolerance and class; NaN where neither labels nor predictions have a boundary."""
        with np.errstate(invalid="ignore"):
            recall, precision = self.recalled / self.labelled, self.right / self.predicted
            f1 = 2 * precision * recall / (precision + recall)
        # 0 / 0: nothing is matched, or only one of the two has the class at all.
        missed: NDArray[np.float64] = np.where(np.isnan(f1) & (self.labelled + self.predicted > 0), 0.0, f1)
        return missed

    def _matched(self, own: Pixels, other: Pixels) -> Counts:
        """(T, N): boundary pixels of one map, by class, that have one of the same class near them in the other."""
        reach = self.tolerances[-1]
        width = other.shape[1] + 2 * reach
        field = np.pad(other, reach, constant_values=IGNORE).ravel()
        rows, columns = np.nonzero(own != IGNORE)
        wanted = own[rows, columns]
        places = (rows + reach) * width + columns + reach
        matched: Counts = np.zeros_like(self.recalled)
        # From the nearest to the farthest neighbour, and only for the pixels that none nearer has matched.
        for tolerance, down, across in self._steps:
            near = field[places + down * width + across] == wanted
            matched[tolerance] += np.bincount(wanted[near], minlength=len(self.labelled))
            places, wanted = places[~near], wanted[~near]
        return matched.cumsum(axis=0)


def _boundaries(labels: Pixels) -> Pixels:
    """(H, W) uint8: the class of every boundary pixel, 255 elsewhere."""
    return np.where(edge_mask(labels), labels, np.uint8(IGNORE))


def _steps(tolerances: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Steps (place of the first tolerance that holds it, down, across), as long as tolerances go, nearest first."""
    reach = range(-tolerances[-1], tolerances[-1] + 1)
    steps = sorted((math.hypot(down, across), down, across) for down in reach for across in reach)
    return [
        (bisect_left(tolerances, length), down, across) for length, down, across in steps if length <= tolerances[-1]
    ]
