"""Norms as part of the convolutions before them."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from eagrctl.inference.rewrite.winograd import fastest
from eagrctl.network.backbone import Block
from eagrctl.network.norm import ActivatedBatchNorm


def is_foldable(module: nn.Module) -> bool:
    """Whether `folded` knows this module: exactly a convolution, with its norm or bare, nothing derived from them."""
    if type(module) is nn.Sequential:
        return [type(child) for child in module] == [nn.Conv2d, ActivatedBatchNorm]
    return type(module) is nn.Conv2d


def folded(unit: nn.Module) -> nn.Conv2d:
    """One convolution with bias, as a unit is in evaluation mode but for its activation; a copy.

    Args:
        unit: one that `is_foldable`.
    """
    conv, norm = unit if isinstance(unit, nn.Sequential) else (unit, None)
    assert isinstance(conv, nn.Conv2d)
    if norm is None:
        return reweighted(conv, conv.weight, conv.bias)
    assert isinstance(norm, ActivatedBatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return reweighted(conv, weight, bias)


def reweighted(conv: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    """A convolution like another, with copies of a weight and a bias, and channels last: oneDNN is faster so."""
    made = copy.deepcopy(conv)
    made.out_channels, made.in_channels = weight.shape[0], weight.shape[1] * conv.groups
    made.weight = nn.Parameter(weight.detach().clone(memory_format=torch.channels_last))
    made.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return made


def activation(unit: nn.Module) -> nn.Module:
    """What follows a unit's norm, in place."""
    norm = unit[1] if isinstance(unit, nn.Sequential) else None
    if isinstance(norm, ActivatedBatchNorm) and norm.ceiling is not None:
        return nn.Hardtanh(0.0, norm.ceiling, inplace=True)
    if isinstance(norm, ActivatedBatchNorm) and norm.slope != 1:
        return nn.LeakyReLU(norm.slope, inplace=True)
    return nn.Identity()


def activated(unit: nn.Module) -> nn.Module:
    """A unit that `is_foldable`, folded, with its activation."""
    return nn.Sequential(fastest(folded(unit)), activation(unit))


class FoldedBlock(nn.Module):
    """`eagrctl.network.backbone.Block`: convolutions beside a shortcut, then their sum and a plain ReLU."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.residual = nn.Sequential(*map(activated, block.units()))
        self.shortcut = nn.Identity() if isinstance(block.shortcut, nn.Identity) else activated(block.shortcut)

    def forward(self, inputs: torch.Tensor, recompute: bool = False) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride); `recompute` is for training alone."""
        summed: torch.Tensor = self.residual(inputs).add_(self.shortcut(inputs))
        return summed.relu_()
