"""Which cells answer for which face, and what their answers cost.

**Assignment.** A face belongs to the strides whose `RANGES` hold its size, the square root of its box's area; the
ranges overlap, so that no size lies between two. There, the cells near the box's middle answer for it: those within
`CENTRE` of its size, and at least the nearest. Where two faces want a cell, it is the smaller one's. Cells near the
middle of a face that is a little too small or too large for their stride, or in a region that nobody annotated, are
left out; all others say that there is no face.

**Losses.** The score's target is 1/2 + IoU / 2 of the cell's own box with the face's, so that of several cells the one
that sees best scores highest; it is learnt by a binary cross-entropy weighted by the squared error (quality focal
loss). Boxes have the loss 1 - GIoU. Points have the distance in shares of the face's size, by smooth L1, over those
that are known. Each is divided by the number of cells that answer for faces.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional as F

from eagrctl.documents import Written
from eagrctl.faces.detection.network import STRIDES, Answers, middles
from eagrctl.recipe import Weight

RANGES = ((0.0, 44.0), (28.0, 136.0), (88.0, 1e6))  # of faces' sizes in pixels, for each stride
AROUND = 1.3  # A face whose size lies outside a range by up to this factor is neither sought nor denied there.
CENTRE = 0.18  # shares of a face's size
WIDEST = 1.6  # strides: however large a face, no cell further from its middle than this answers for it
SMOOTH = 0.005  # of a face's size; below this, an error of a point costs its square


class Faces(NamedTuple):
    """The faces of a batch, padded to M a photo; on the network's device.

    Attributes:
        boxes: (B, M, 4) float32; NaN where there is none.
        points: (B, M, 5, 2) float32; NaN where one is hidden or unknown.
        ignored: (B, K, 4) float32, regions in which nothing counts; NaN where there is none.
    """

    boxes: torch.Tensor
    points: torch.Tensor
    ignored: torch.Tensor


class Targets(NamedTuple):
    """What each of N cells is to say.

    Attributes:
        face: (B, N) int64, the face that it answers for; -1 where there is none.
        counts: (B, N) bool, whether its score counts.
    """

    face: torch.Tensor
    counts: torch.Tensor


class DetectorLosses(NamedTuple):
    """Means over the cells that answer for faces; `total` is their weighted sum."""

    total: torch.Tensor
    score: torch.Tensor
    box: torch.Tensor
    points: torch.Tensor


@dataclass(frozen=True)
class LossWeights(Written):
    """What the losses of boxes and points weigh beside that of scores."""

    box: Weight
    points: Weight


def targets(faces: Faces, size: tuple[int, int]) -> Targets:
    """Which cells answer for which face.

    Args:
        faces: of the batch.
        size: height and width of its photos.
    """
    boxes = faces.boxes
    known = torch.isfinite(boxes).all(-1)
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3)
    extent = torch.where(known, sides.prod(-1).sqrt(), torch.inf)  # (B, M)
    centre = 0.5 * (boxes[..., :2] + boxes[..., 2:])
    chosen, counts = [], []
    for stride, (low, high) in zip(STRIDES, RANGES, strict=True):
        cells = middles(size[0] // stride, size[1] // stride, stride, boxes.device)
        reach = (CENTRE * extent).clamp(0.5 * stride, WIDEST * stride)
        off = (cells[:, None] - centre[:, None]).abs().amax(-1)  # (B, n, M)
        near = (off <= reach[:, None]) & known[:, None]
        fits = near & ((extent >= low) & (extent < high))[:, None]
        almost = near & ((extent >= low / AROUND) & (extent < high * AROUND))[:, None]
        smallest = torch.where(fits, extent[:, None], torch.inf)
        if smallest.shape[-1]:
            least, face = smallest.min(-1)
            face = torch.where(torch.isfinite(least), face, -1)
        else:
            face = torch.full(fits.shape[:2], -1, device=boxes.device)
        within = (cells[:, None] >= faces.ignored[:, None, :, :2]) & (cells[:, None] <= faces.ignored[:, None, :, 2:])
        left_out = almost.any(-1) | within.all(-1).any(-1)
        chosen.append(face)
        counts.append((face >= 0) | ~left_out)
    return Targets(torch.cat(chosen, 1), torch.cat(counts, 1))


def detector_losses(answers: Answers, faces: Faces, size: tuple[int, int], weights: LossWeights) -> DetectorLosses:
    """What a batch's answers cost; arguments as for `targets`. The logits are those before calibration."""
    wanted = targets(faces, size)
    holds = wanted.face >= 0
    batch, cell = holds.nonzero(as_tuple=True)
    number = wanted.face[batch, cell]
    count = max(1, len(number))
    given, true = answers.boxes[batch, cell], faces.boxes[batch, number]
    overlap, general = _overlaps(given, true)
    quality = torch.zeros_like(answers.logits)
    quality[batch, cell] = 0.5 + 0.5 * overlap.detach().clamp(0, 1)
    probability = answers.logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(answers.logits, quality, reduction="none")
    score = ((probability - quality).square() * entropy * wanted.counts).sum() / count
    box = (1 - general).sum() / count
    extent = (true[:, 2:] - true[:, :2]).prod(-1).sqrt()[:, None, None]
    goal = faces.points[batch, number]
    seen = torch.isfinite(goal)
    error = torch.where(seen, (answers.points[batch, cell] - goal.nan_to_num()) / extent, 0.0)
    points = F.smooth_l1_loss(error, torch.zeros_like(error), reduction="sum", beta=SMOOTH)
    points = 10 * points / seen.sum().clamp(min=1)  # as a sum over a face's ten numbers
    return DetectorLosses(score + weights.box * box + weights.points * points, score, box, points)


def _overlaps(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU of pairs of boxes, (n, 4) each."""
    upper, lower = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    shared = (lower - upper).clamp(min=0).prod(-1)
    covered = sum((boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1) for boxes in (one, other)) - shared
    around = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(-1)
    overlap = shared / covered.clamp(min=1e-6)
    return overlap, overlap - (around - covered) / around.clamp(min=1e-6)
