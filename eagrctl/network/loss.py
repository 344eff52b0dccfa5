"""The loss (paper, section 3.3, Eqs. 6 and 7)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from eagrctl.network.eagrnet import Logits
from eagrctl.network.norm import resize

IGNORE = 255  # the label of pixels that have none; the data room's constant, which this room does not import


class Losses(NamedTuple):
    """The terms of Eq. 7, scalars. `total` is weighted, the others are not."""

    total: torch.Tensor
    parsing: torch.Tensor
    edge: torch.Tensor
    boundary: torch.Tensor


class Totals(NamedTuple):
    """What the terms of a batch are averaged over, scalars; those of its parts add up.

    Attributes:
        labelled: pixels that have a label.
        edges: those of them that are edge pixels.
        images: all images, with or without an edge pixel.
    """

    labelled: torch.Tensor
    edges: torch.Tensor
    images: torch.Tensor


def totals(labels: torch.Tensor, edges: torch.Tensor) -> Totals:
    """The totals of a batch, or of a part of one; float64, so that sums of them are exact.

    Args:
        labels: (B, H, W) int64; 255 is ignored.
        edges: (B, H, W) bool.
    """
    labelled = labels != IGNORE
    counts = labelled.sum(), (edges & labelled).sum(), labels.new_tensor(labels.shape[0])
    return Totals(*(count.double() for count in counts))


def losses(
    logits: Logits,
    labels: torch.Tensor,
    edges: torch.Tensor,
    edge_weight: float = 1.0,
    boundary_weight: float = 1.0,
    batch: Totals | None = None,
) -> Losses:
    """L = L_parsing + lambda_1 L_edge + lambda_2 L_BA. A network without an edge module has no L_edge: it is 0.

    Eq. 6 is printed without its minus sign; the boundary term is the negative log-likelihood at edge pixels, averaged
    over each image's edge pixels and then over the batch, as released. An image without an edge pixel adds nothing to
    it (it divides by zero in the release).

    A batch may be a part of a larger one, which several processes or passes share out among them: each part then gives
    its share of the larger batch's terms, and the shares add up to them, however unequal the parts.

    Args:
        logits: of any size; they are resized to the labels'.
        labels: (B, H, W) int64; 255 is ignored.
        edges: (B, H, W) bool; no ignored pixel is an edge pixel.
        edge_weight: lambda_1.
        boundary_weight: lambda_2.
        batch: totals of the whole batch that this is a part of; by default it is whole itself.
    """
    size = labels.shape[1:]
    labelled = labels != IGNORE
    whole = totals(labels, edges) if batch is None else batch
    pixelwise = F.cross_entropy(resize(logits.parsing, size), labels, ignore_index=IGNORE, reduction="none")
    parsing = pixelwise.sum() / whole.labelled.clamp(min=1)

    border = (edges & labelled).to(pixelwise.dtype)
    per_image = (pixelwise * border).sum(dim=(1, 2)) / border.sum(dim=(1, 2)).clamp(min=1)
    boundary = per_image.sum() / whole.images

    edge = (
        parsing.new_zeros(())
        if logits.edges is None
        else _edge_loss(resize(logits.edges, size), edges, labelled, whole)
    )
    total = parsing + edge_weight * edge + boundary_weight * boundary
    return Losses(*(term.to(pixelwise.dtype) for term in (total, parsing, edge, boundary)))


def _edge_loss(logits: torch.Tensor, edges: torch.Tensor, labelled: torch.Tensor, whole: Totals) -> torch.Tensor:
    """Cross entropy weighted by the batch's balance: each class weighs the share of the other one."""
    positive = whole.edges / whole.labelled.clamp(min=1)
    pixelwise = F.cross_entropy(logits, edges.long(), reduction="none")
    weight = torch.where(edges, 1 - positive, positive).to(pixelwise.dtype) * labelled
    # The sum of weights: E edge pixels of L weigh (L - E) / L each, the others E / L. It is at least 1; or it is 0,
    # where there is one class alone and no pixel weighs anything.
    weights = 2 * whole.edges * (1 - positive)
    return (pixelwise * weight).sum() / weights.clamp(min=1)
