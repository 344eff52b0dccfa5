"""The confusion matrix: everything that the scores are made of."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Pixels
from eagrctl.data.labels import IGNORE

Counts = NDArray[np.int64]


class Confusion:
    """Pixels counted by labelled and by predicted class, summed over images.

    Attributes:
        counts: (N, N) int64; row = labelled class, column = predicted class.
    """

    def __init__(self, classes: int) -> None:
        self.counts: Counts = np.zeros((classes, classes), np.int64)

    def add(self, labels: Pixels, prediction: Pixels) -> Counts:
        """Count one image; both (H, W) uint8. Pixels labelled 255 are left out.

        Returns:
            The counts of this image, (N, N) int64.

        Raises:
            ValueError: the shapes differ, or a class lies outside 0..N-1.
        """
        if labels.shape != prediction.shape:
            raise ValueError(f"labels {labels.shape} and prediction {prediction.shape} differ in shape")
        classes = len(self.counts)
        # Both ids in one number, whatever they are: what is out of place then shows in the counts, once for all pixels.
        pairs = labels.astype(np.uint16) << 8 | prediction
        counts = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)
        counts[IGNORE] = 0
        known = counts[:classes, :classes]
        if known.sum() != counts.sum():
            raise ValueError(f"a class lies outside 0..{classes - 1}")
        self.counts += known
        return known


def merge(counts: Counts, groups: Iterable[tuple[int, ...]]) -> Counts:
    """Count groups of classes as if each group were one class.

    The rows and columns of a group are summed, so one of its classes taken for another is right.

    Returns:
        (3, G) int64: of each group the true positives, the labelled and the predicted pixels.
    """
    sums = [[counts[np.ix_(ids, ids)].sum(), counts[[*ids]].sum(), counts[:, ids].sum()] for ids in groups]
    return np.array(sums, np.int64).T
