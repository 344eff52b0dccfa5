"""Scores that mean the same at all strides: a logistic regression for each, on validation photos.

A cell that answers for a small face scores lower than one for a large face, though both are as often right, so that one
threshold would lose small faces or let false large ones in. After suppression, each box's logit at its stride is
regressed on whether it hits a face (Platt scaling), and the two numbers of each stride become the network's.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from eagrctl.arrays import Pixels
from eagrctl.faces.detection.look import batched, picked, resized, stretched
from eagrctl.faces.detection.network import STRIDES, DetectorNetwork, cells_of
from eagrctl.training.detector.measure import HIT, LEFT_OUT, match

LEAST = 0.02  # score of a box that is looked at
LOOK, LARGEST_FACTOR = 640, 2.0  # pixels of the longer side; a smaller photo is enlarged by this at most
FEW = 30  # with fewer hits or false boxes at a stride, it stays as it is
EASED = 1.0  # false and true boxes that are added to each side, lest a stride without mistakes be certain of everything


def calibrate(
    network: DetectorNetwork, photos: Sequence[tuple[Pixels, NDArray[np.floating], NDArray[np.floating]]]
) -> DetectorNetwork:
    """A copy of the network with its calibration set.

    Args:
        network: in evaluation mode.
        photos: each with its boxes, (M, 4), and the regions where nothing counts, (K, 4).
    """
    calibrated = copy.deepcopy(network)
    calibrated.calibration.copy_(torch.tensor([[1.0, 0.0]] * len(STRIDES)))
    plain = network.folded()
    logits: list[list[NDArray[np.float64]]] = [[] for _ in STRIDES]
    hits: list[list[NDArray[np.bool_]]] = [[] for _ in STRIDES]
    for image, boxes, ignored in photos:
        shown, stretch = resized(image, min(LOOK, LARGEST_FACTOR * max(image.shape[:2])))
        with torch.inference_mode():
            said = plain(batched(shown[None], plain.calibration.device))
        for place in range(len(STRIDES)):
            # What only one stride has to say: the logits of all others are silenced.
            silenced = torch.tensor([[1.0, 0.0 if other == place else -100.0] for other in range(len(STRIDES))])
            found = picked(cells_of(said, silenced), (shown.shape[0], shown.shape[1]), LEAST)[0]
            matches = match(stretched(found, stretch).boxes, found.scores, boxes, ignored, same=0.4)
            counted = matches.kinds != LEFT_OUT
            logits[place].append(np.log(found.scores[counted] / (1 - found.scores[counted] + 1e-9)))
            hits[place].append(matches.kinds[counted] == HIT)
    for place in range(len(STRIDES)):
        x, y = np.concatenate([np.empty(0), *logits[place]]), np.concatenate([np.empty(0, bool), *hits[place]])
        if y.sum() >= FEW and (~y).sum() >= FEW:
            slope, shift = _fitted(x, y)
            if slope > 0:
                calibrated.calibration[place] = torch.tensor([slope, shift])
    return calibrated


def _fitted(logits: NDArray[np.float64], hits: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and shift of the logistic regression of `hits` on `logits`, by Newton's method as torch's LBFGS has it."""
    x, y = torch.from_numpy(logits), torch.from_numpy(hits.astype(np.float64))
    # Platt's own targets keep it from certainty.
    y = torch.where(y > 0, (y.sum() + EASED) / (y.sum() + 2 * EASED), EASED / ((1 - y).sum() + 2 * EASED))
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.binary_cross_entropy_with_logits(line[0] * x + line[1], y)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    slope, shift = line.tolist()
    return slope, shift
