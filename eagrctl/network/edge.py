"""The edge perceiving module (paper, sections 3.1 and 4.2, after [36]; "Edge Perceiving" in Fig. 1)."""

from collections.abc import Sequence

import torch
from torch import nn

from eagrctl.network.backbone import Features
from eagrctl.network.norm import convolution, resize


class EdgePerceiving(nn.Module):
    """Predicts a two-channel edge map from Conv2, Conv3 and Conv4.

    Each goes through its own 1x1 convolution and then through one 3x3 convolution that all three share; the three
    two-channel maps, resized to Conv2's size, are fused by a 1x1 convolution.

    Args:
        inputs: channels of Conv2, Conv3 and Conv4.
        middle: channels between the two convolutions (256 in the release).
    """

    def __init__(self, inputs: Sequence[int], middle: int) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(convolution(channels, middle) for channels in inputs)
        self.predict = nn.Conv2d(middle, 2, kernel_size=3, padding=1)
        self.fuse = nn.Conv2d(2 * len(inputs), 2, kernel_size=1)

    def forward(self, features: Features) -> torch.Tensor:
        """Returns edge logits, (B, 2, H, W) at Conv2's size; channel 1 stands for "edge"."""
        size = features.conv2.shape[2:]
        stages = (features.conv2, features.conv3, features.conv4)
        maps = [self.predict(reduce(stage)) for reduce, stage in zip(self.reduce, stages, strict=True)]
        fused: torch.Tensor = self.fuse(torch.cat([maps[0], *(resize(later, size) for later in maps[1:])], dim=1))
        return fused
