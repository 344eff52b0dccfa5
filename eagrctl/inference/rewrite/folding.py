"""A convolution, its norm and its activation in one step."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.network.norm import ActivatedBatchNorm


class Affine(NamedTuple):
    """What a norm does to each channel in evaluation mode: `scale * x + shift`, (C,) each."""

    scale: torch.Tensor
    shift: torch.Tensor


def affine(norm: ActivatedBatchNorm) -> Affine:
    """A norm as its running statistics make it, its activation left out."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    # In float64, so that folding adds no rounding of its own.
    mean, variance, weight, bias = (
        tensor.detach().double() for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    scale = weight / (variance + norm.eps).sqrt()
    return Affine(scale, bias - mean * scale)


class FoldedConvolution(nn.Module):
    """`activation(convolution(x) + bias + plus)`, (B, C, H, W) -> (B, O, H', W'), channels last.

    On CPUs that is one call of oneDNN, as torch's own compiler makes it: convolution, sum and activation in one pass,
    and 1x1 convolutions in half the time of `torch.nn.functional.conv2d`. Elsewhere, and in float64, it is plain torch.

    Args:
        weight: (O, C, k, k).
        bias: (O,).
        slope: of the leaky ReLU; 0 is a ReLU, 1 none.
        stride, padding, dilation: as in `torch.nn.Conv2d`.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor,
        slope: float,
        stride: tuple[int, ...] = (1, 1),
        padding: tuple[int, ...] = (0, 0),
        dilation: tuple[int, ...] = (1, 1),
    ) -> None:
        super().__init__()
        # Copies: what they are made from may be trained further.
        self.register_buffer("weight", weight.detach().clone(memory_format=torch.channels_last))
        self.register_buffer("bias", bias.detach().clone())
        self.slope = slope
        self.stride, self.padding, self.dilation = list(stride), list(padding), list(dilation)

    def forward(self, features: torch.Tensor, plus: torch.Tensor | None = None) -> torch.Tensor:
        """Convolve; `plus`, (B, O, H', W'), is added before the activation."""
        features = features.contiguous(memory_format=torch.channels_last)
        if one_pass(features):
            return self._in_one_pass(features, plus)
        found = F.conv2d(features, self.weight, self.bias, self.stride, self.padding, self.dilation)
        return activate(found if plus is None else found + plus, self.slope)

    def _in_one_pass(self, features: torch.Tensor, plus: torch.Tensor | None) -> torch.Tensor:
        where = (self.weight, self.bias, self.padding, self.stride, self.dilation, 1)
        found: torch.Tensor
        if plus is None:
            name, slopes = {0.0: ("relu", []), 1.0: ("none", [])}.get(self.slope, ("leaky_relu", [self.slope]))
            found = torch.ops.mkldnn._convolution_pointwise(features, *where, name, slopes, "")
            return found
        # After a sum, it knows no activation but a ReLU.
        relu = "relu" if self.slope == 0 else None
        plus = plus.contiguous(memory_format=torch.channels_last)
        found = torch.ops.mkldnn._convolution_pointwise.binary(features, plus, *where, "add", 1.0, relu, [], "")
        return found if relu else activate(found, self.slope)


def one_pass(features: torch.Tensor) -> bool:
    """Whether oneDNN can convolve, add and activate these in one pass."""
    return (
        features.device.type == "cpu"
        and features.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


def activate(features: torch.Tensor, slope: float) -> torch.Tensor:
    """A leaky ReLU in place; a slope of 1 is none."""
    return features if slope == 1 else F.leaky_relu_(features, slope)


def folded(unit: nn.Module) -> FoldedConvolution:
    """A convolution in one step: with its norm, as `eagrctl.network.norm.convolution` makes it, or bare.

    Args:
        unit: one that `is_foldable`.
    """
    conv, norm = unit if isinstance(unit, nn.Sequential) else (unit, None)
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(conv.padding, tuple)
    weight = conv.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach().double()
    slope = 1.0
    if norm is not None:
        assert isinstance(norm, ActivatedBatchNorm)
        scale, shift = affine(norm)
        weight, bias, slope = weight * scale[:, None, None, None], bias * scale + shift, norm.slope
    weight, bias = weight.to(conv.weight.dtype), bias.to(conv.weight.dtype)
    return FoldedConvolution(weight, bias, slope, conv.stride, conv.padding, conv.dilation)


def is_foldable(module: nn.Module) -> bool:
    """Whether `folded` knows this module: exactly a convolution, with its norm or bare, nothing derived from them."""
    if type(module) is nn.Sequential and [type(child) for child in module] == [nn.Conv2d, ActivatedBatchNorm]:
        conv, norm = module
        assert isinstance(norm, ActivatedBatchNorm)
        return is_foldable(conv) and norm.affine and norm.running_mean is not None
    if type(module) is not nn.Conv2d:
        return False
    return module.groups == 1 and module.padding_mode == "zeros" and isinstance(module.padding, tuple)
