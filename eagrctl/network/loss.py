"""The loss (paper, section 3.3, Eqs. 6 and 7), and terms beside it that make more of rare and thin parts.

Cross entropy weighs every pixel alike, so that a necklace, one pixel in three thousand, hardly counts. Dice and Lovasz
softmax score each class of an image as a whole, however few pixels it has; class weights make its pixels count more.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

from eagrctl.network.eagrnet import Logits
from eagrctl.network.norm import resize

IGNORE = 255  # the label of pixels that have none; the data room's constant, which this room does not import


class Losses(NamedTuple):
    """The terms of Eq. 7, and two that the paper has not, scalars. `total` is weighted, the others are not."""

    total: torch.Tensor
    parsing: torch.Tensor
    edge: torch.Tensor
    boundary: torch.Tensor
    dice: torch.Tensor
    lovasz: torch.Tensor


class Totals(NamedTuple):
    """What the terms of a batch are averaged over, scalars; those of its parts add up.

    Attributes:
        labelled: pixels that have a label, be it a set of classes.
        known: those of them whose class is known.
        edges: those of these that are edge pixels.
        images: all images, with or without an edge pixel.
    """

    labelled: torch.Tensor
    known: torch.Tensor
    edges: torch.Tensor
    images: torch.Tensor


class Weights(NamedTuple):
    """What the terms weigh; as in the paper unless told otherwise.

    Attributes:
        edge: lambda_1.
        boundary: lambda_2.
        dice: of the Dice loss.
        lovasz: of the Lovasz softmax.
        classes: what the pixels of each class weigh in the parsing term, N numbers, see `class_weights`; None is 1.
    """

    edge: float = 1.0
    boundary: float = 1.0
    dice: float = 0.0
    lovasz: float = 0.0
    classes: Sequence[float] | None = None


def class_weights(counts: Sequence[int], power: float, factors: Sequence[float]) -> list[float]:
    """What the pixels of each class weigh: their share of all pixels to the power of -`power`, times a factor.

    They are scaled so that the average pixel weighs 1. A class without pixels weighs 0.

    Args:
        counts: pixels of each class.
        power: 0 leaves the factors alone; with 1, all classes have the same say.
        factors: of each class.
    """
    weights = [factor * count**-power if count else 0.0 for count, factor in zip(counts, factors, strict=True)]
    average = sum(count * weight for count, weight in zip(counts, weights, strict=True)) / max(1, sum(counts))
    return [weight / average if average else 0.0 for weight in weights]


def totals(labels: torch.Tensor, edges: torch.Tensor, classes: int = IGNORE) -> Totals:
    """The totals of a batch, or of a part of one; float64, so that sums of them are exact.

    Args:
        labels: (B, H, W) int64; 255 is ignored.
        edges: (B, H, W) bool.
        classes: N; a label from here on is a set of classes, see `losses`.
    """
    known = labels < classes
    counts = (labels != IGNORE).sum(), known.sum(), (edges & known).sum(), labels.new_tensor(labels.shape[0])
    return Totals(*(count.double() for count in counts))


def losses(
    logits: Logits,
    labels: torch.Tensor,
    edges: torch.Tensor,
    weights: Weights = Weights(),  # noqa: B008  # a tuple cannot change
    batch: Totals | None = None,
    sets: torch.Tensor | None = None,
) -> Losses:
    """L = L_parsing + lambda_1 L_edge + lambda_2 L_BA, and more if `weights` say so.

    A network without an edge module has no L_edge: it is 0.

    Eq. 6 is printed without its minus sign; the boundary term is the negative log-likelihood at edge pixels, averaged
    over each image's edge pixels and then over the batch, as released. An image without an edge pixel adds nothing to
    it (it divides by zero in the release).

    A batch may be a part of a larger one, which several processes or passes share out among them: each part then gives
    its share of the larger batch's terms, and the shares add up to them, however unequal the parts.

    **Partial labels.** Of some pixels it may be known only that they are one of several classes. Their label is N + k,
    and row k of `sets` says which; their parsing term is minus the log of these classes' summed probability. The other
    terms, which need to know where a class ends, leave such pixels out.

    Args:
        logits: of any size; they are resized to the labels'.
        labels: (B, H, W) int64; 255 is ignored.
        edges: (B, H, W) bool; no ignored pixel is an edge pixel.
        weights: of the terms; one that weighs nothing is 0, and costs nothing, unless it is the paper's.
        batch: totals of the whole batch that this is a part of; by default it is whole itself.
        sets: (K, N) bool, the classes that a pixel of partial label may have; each row has one at least.
    """
    size, classes = labels.shape[1:], logits.parsing.shape[1]
    known = labels < classes
    whole = totals(labels, edges, classes) if batch is None else batch
    told = labels.where(known, IGNORE)
    log_probabilities = F.log_softmax(resize(logits.parsing, size), dim=1)
    pixelwise = F.nll_loss(log_probabilities, told, ignore_index=IGNORE, reduction="none")
    weighed = pixelwise if weights.classes is None else pixelwise * _weights_of(told, weights.classes)
    summed = weighed.sum()
    if sets is not None:
        summed = summed + _partial_losses(log_probabilities, labels, sets).sum()
    parsing = summed / whole.labelled.clamp(min=1)

    border = (edges & known).to(pixelwise.dtype)
    per_image = (pixelwise * border).sum(dim=(1, 2)) / border.sum(dim=(1, 2)).clamp(min=1)
    boundary = per_image.sum() / whole.images

    edge = (
        parsing.new_zeros(()) if logits.edges is None else _edge_loss(resize(logits.edges, size), edges, known, whole)
    )
    total = parsing + weights.edge * edge + weights.boundary * boundary
    dice, lovasz = parsing.new_zeros(()), parsing.new_zeros(())
    if weights.dice or weights.lovasz:
        probabilities, flat = log_probabilities.flatten(2).exp(), told.flatten(1)
        if weights.dice:
            own = (-pixelwise).flatten(1).exp()
            dice = dice_losses(probabilities, own, flat).sum() / whole.images
        if weights.lovasz:
            lovasz = lovasz_losses(probabilities, flat).sum() / whole.images
        total = total + weights.dice * dice + weights.lovasz * lovasz
    return Losses(*(term.to(pixelwise.dtype) for term in (total, parsing, edge, boundary, dice, lovasz)))


def _weights_of(labels: torch.Tensor, classes: Sequence[float]) -> torch.Tensor:
    """What each pixel weighs; of those without a label, which have no loss, it does not matter."""
    return torch.tensor(classes, device=labels.device)[labels.where(labels != IGNORE, 0)]


def _partial_losses(log_probabilities: torch.Tensor, labels: torch.Tensor, sets: torch.Tensor) -> torch.Tensor:
    """Of each pixel that may be one of several classes, minus the log of their summed probability, (P,)."""
    classes = log_probabilities.shape[1]
    which = (labels >= classes) & (labels != IGNORE)
    possible = sets[labels[which] - classes]  # (P, N)
    lowest = torch.finfo(log_probabilities.dtype).min
    of_these = log_probabilities.permute(0, 2, 3, 1)[which].masked_fill(~possible, lowest)
    return -of_these.logsumexp(dim=1)


def dice_losses(probabilities: torch.Tensor, own: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of each image, the mean over its classes of 1 - 2 |P and T| / (|P| + |T|), (B,) (Milletari et al., 3DV 2016).

    Args:
        probabilities: (B, N, P).
        own: (B, P), of them that of each pixel's label; a pixel without one may have any.
        labels: (B, P) int64; a pixel of 255 counts nowhere.
    """
    images, classes = probabilities.shape[:2]
    labelled = (labels != IGNORE).to(probabilities.dtype)
    place = labels.where(labels != IGNORE, 0)
    nothing = probabilities.new_zeros(images, classes)
    shared, sizes = nothing.scatter_add(1, place, own * labelled), nothing.scatter_add(1, place, labelled)
    expected = (probabilities @ labelled[:, :, None])[:, :, 0]
    there = (sizes > 0).to(shared.dtype)
    lost = 1 - 2 * shared / (expected + sizes).clamp(min=1)
    return (lost * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def lovasz_losses(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of each image, the mean over its classes of the Lovasz extension of 1 - IoU, (B,) (Berman et al., CVPR 2018).

    A class's pixels are sorted by how wrong they are; each weighs by how much IoU falls when it, too, is got wrong.
    Arguments as for `dice_losses`; a pixel without a label is wrong by 0, and so weighs nothing.
    """
    truth = labels[:, None] == torch.arange(probabilities.shape[1], device=labels.device)[:, None]
    images, classes = (truth.sum(dim=2) > 0).nonzero(as_tuple=True)
    true = truth[images, classes].to(probabilities.dtype)
    far = (true - probabilities[images, classes]).abs() * (labels != IGNORE)[images]
    wrong, order = far.sort(dim=1, descending=True)
    ranked = true.gather(1, order)
    size = ranked.sum(dim=1, keepdim=True)
    lost = 1 - (size - ranked.cumsum(dim=1)) / (size + (1 - ranked).cumsum(dim=1))
    steps = torch.cat([lost[:, :1], lost.diff(dim=1)], dim=1)
    each = (wrong * steps).sum(dim=1)
    counts = torch.bincount(images, minlength=len(truth)).clamp(min=1)
    return each.new_zeros(len(truth)).index_add(0, images, each / counts[images])


def _edge_loss(logits: torch.Tensor, edges: torch.Tensor, known: torch.Tensor, whole: Totals) -> torch.Tensor:
    """Cross entropy weighted by the batch's balance: each class weighs the share of the other one."""
    positive = whole.edges / whole.known.clamp(min=1)
    pixelwise = F.cross_entropy(logits, edges.long(), reduction="none")
    weight = torch.where(edges, 1 - positive, positive).to(pixelwise.dtype) * known
    # The sum of weights: E edge pixels of L weigh (L - E) / L each, the others E / L. It is at least 1; or it is 0,
    # where there is one class alone and no pixel weighs anything.
    weights = 2 * whole.edges * (1 - positive)
    return (pixelwise * weight).sum() / weights.clamp(min=1)
