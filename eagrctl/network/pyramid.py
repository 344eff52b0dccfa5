"""Pyramid pooling (paper, section 4.2, after [35]; "Pyramid Pooling" in Fig. 1)."""

import torch
from torch import nn

from eagrctl.network.norm import convolution, resize

FACTORS = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """Pools to 1, 2, 3 and 6 cells a side, (B, C, H, W) -> (B, outputs, H, W).

    Each pooled map goes through a 1x1 convolution to C / 4 channels (512 of ResNet-101's 2048), is resized back, and
    stands *before* the input's own channels in front of a 3x3 convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        prior = inputs // len(FACTORS)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(factor), convolution(inputs, prior)) for factor in FACTORS
        )
        self.bottleneck = convolution(prior * len(FACTORS) + inputs, outputs, kernel=3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Add the context of the whole map to each of its places."""
        priors = [resize(level(features), features.shape[2:]) for level in self.levels]
        fused: torch.Tensor = self.bottleneck(torch.cat([*priors, features], dim=1))
        return fused
