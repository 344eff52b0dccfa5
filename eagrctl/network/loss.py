"""The loss (paper, section 3.3, Eqs. 6 and 7)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from eagrctl.network.abn import resize
from eagrctl.network.eagrnet import Logits

IGNORE = 255  # the label of pixels that have none; the data room's constant, which this room does not import


class Losses(NamedTuple):
    """The terms of Eq. 7, scalars. `total` is weighted, the others are not."""

    total: torch.Tensor
    parsing: torch.Tensor
    edge: torch.Tensor
    boundary: torch.Tensor


def losses(
    logits: Logits,
    labels: torch.Tensor,
    edges: torch.Tensor,
    edge_weight: float = 1.0,
    boundary_weight: float = 1.0,
) -> Losses:
    """L = L_parsing + lambda_1 L_edge + lambda_2 L_BA. A network without an edge module has no L_edge: it is 0.

    Eq. 6 is printed without its minus sign; the boundary term is the negative log-likelihood at edge pixels, averaged
    over each image's edge pixels and then over the batch, as released. An image without an edge pixel adds nothing to
    it (it divides by zero in the release).

    Args:
        logits: of any size; they are resized to the labels'.
        labels: (B, H, W) int64; 255 is ignored.
        edges: (B, H, W) bool; no ignored pixel is an edge pixel.
        edge_weight: lambda_1.
        boundary_weight: lambda_2.
    """
    size = labels.shape[1:]
    labelled = labels != IGNORE
    pixelwise = F.cross_entropy(resize(logits.parsing, size), labels, ignore_index=IGNORE, reduction="none")
    parsing = pixelwise.sum() / labelled.sum().clamp(min=1)

    border = (edges & labelled).to(pixelwise.dtype)
    per_image = (pixelwise * border).sum(dim=(1, 2)) / border.sum(dim=(1, 2)).clamp(min=1)
    boundary = per_image.mean()

    edge = parsing.new_zeros(()) if logits.edges is None else _edge_loss(resize(logits.edges, size), edges, labelled)
    return Losses(parsing + edge_weight * edge + boundary_weight * boundary, parsing, edge, boundary)


def _edge_loss(logits: torch.Tensor, edges: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
    """Cross entropy weighted by the batch's balance: each class weighs the share of the other one."""
    positive = (edges & labelled).sum() / labelled.sum().clamp(min=1)
    pixelwise = F.cross_entropy(logits, edges.long(), reduction="none")
    weight = torch.where(edges, 1 - positive, positive) * labelled
    # A batch without a single edge pixel weighs nothing at all.
    return (pixelwise * weight).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)
