"""The learning rate, and the order of samples: both follow from the recipe and the step alone."""

from collections.abc import Iterator

import numpy as np


def rate_at(step: int, steps: int, rate: float, power: float) -> float:
    """Polynomial decay: rate * (1 - step / steps) ** power, for step 0 .. steps - 1."""
    return float(rate * (1 - step / steps) ** power)


class Batches:
    """The positions of every batch of a run, from a given step to the last.

    Each epoch is a fresh order of the whole split; a last batch that is not full is left out, because batch norm
    would weigh it like the others.

    Args:
        count: samples in the split.
        batch: samples a step.
        epochs: of the run.
        seed: of the run.
        start: the step to begin at.
    """

    def __init__(self, count: int, batch: int, epochs: int, seed: int, start: int = 0) -> None:
        self.count, self.batch, self.epochs, self.seed, self.start = count, batch, epochs, seed, start
        self.per_epoch = count // batch

    def __len__(self) -> int:
        return self.per_epoch * self.epochs - self.start

    def __iter__(self) -> Iterator[list[int]]:
        if not self.per_epoch:
            return
        for epoch in range(self.start // self.per_epoch, self.epochs):
            order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
            first = max(0, self.start - epoch * self.per_epoch)
            for number in range(first, self.per_epoch):
                yield order[number * self.batch : (number + 1) * self.batch].tolist()
