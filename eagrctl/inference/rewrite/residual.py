"""A block of the backbone."""

import torch
from torch import nn

from eagrctl.inference.rewrite.folding import folded, one_pass
from eagrctl.inference.rewrite.winograd import fastest
from eagrctl.network.backbone import Block


class FoldedBlock(nn.Module):
    """`eagrctl.network.backbone.Block`: convolutions beside a shortcut, then their sum and a plain ReLU."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        *early, last = (fastest(folded(unit)) for unit in block.units())
        self.early = nn.Sequential(*early)
        self.last = last
        short = block.shortcut
        self.shortcut = folded(short) if isinstance(short, nn.Sequential) else nn.Identity()
        # Without an activation before the sum, the sum and its ReLU are part of the last convolution.
        self.joined = last.slope == 1
        if self.joined:
            last.slope = 0.0

    def forward(self, inputs: torch.Tensor, recompute: bool = False) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride); `recompute` is for training alone."""
        beside = self.shortcut(inputs)
        residual = self.early(inputs)
        if self.joined:
            joined: torch.Tensor = self.last(residual, beside)
            return joined
        return add_relu(self.last(residual), beside)


def add_relu(own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """ReLU of a sum, written over `own`; in one pass where torch can."""
    if one_pass(own):
        summed: torch.Tensor = torch.ops.aten._add_relu_(own, other)
        return summed
    return own.add_(other).relu_()
