"""Activated batch norm, and the convolution that comes before it everywhere.

The paper normalises with In-Place Activated Batch Norm [37]: batch norm, then a leaky ReLU of slope 0.01. This is the
same function from torch's own pieces.
"""

import torch
import torch.nn.functional as F
from torch import nn

LEAKY_SLOPE = 0.01


class ActivatedBatchNorm(nn.BatchNorm2d):
    """Batch norm followed by a leaky ReLU, (B, C, H, W) -> (B, C, H, W).

    Args:
        channels: C.
        slope: of the activation below zero. 0 gives a plain ReLU, which is what a leaky ReLU followed by a ReLU is.
    """

    def __init__(self, channels: int, slope: float = LEAKY_SLOPE) -> None:
        super().__init__(channels, eps=1e-5)
        self.slope = slope

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Normalise, then activate."""
        normalised = super().forward(features)
        # In place: batch norm keeps its input for the backward pass, so its output is free to be overwritten.
        return F.leaky_relu(normalised, self.slope, inplace=True)


def convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1, slope: float = LEAKY_SLOPE
) -> nn.Sequential:
    """A convolution without bias that keeps the size at stride 1, normalised and activated."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False),
        ActivatedBatchNorm(outputs, slope),
    )


def narrow(channels: int, width: float) -> int:
    """`channels` scaled by a recipe's `width`, to the nearest multiple of 8, at least 8."""
    return max(8, round(channels * width / 8) * 8)


def resize(features: torch.Tensor, size: tuple[int, int] | torch.Size) -> torch.Tensor:
    """Bilinear with aligned corners: 473 = 8 * 59 + 1, so the corners of all feature maps coincide."""
    return F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=True)
