"""The decoder (paper, section 3.1, "Semantic Decoding"; "Decoder" in Fig. 1)."""

import torch
from torch import nn

from eagrctl.network.norm import convolution, resize


class Decoder(nn.Module):
    """Fuses high-level and low-level features into class logits at the low-level size.

    Args:
        high: channels of the high-level features.
        low: channels of the low-level features.
        middle: channels of the fused features (256 in the release).
        detail: channels that the low-level features are reduced to (48 in the release).
        classes: N.
    """

    def __init__(self, high: int, low: int, middle: int, detail: int, classes: int) -> None:
        super().__init__()
        self.high = convolution(high, middle)
        self.low = convolution(low, detail)
        self.fuse = nn.Sequential(convolution(middle + detail, middle), convolution(middle, middle))
        self.classify = nn.Conv2d(middle, classes, kernel_size=1)

    def forward(self, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """(B, high, h, w) and (B, low, H, W) -> logits, (B, N, H, W)."""
        coarse = resize(self.high(high), low.shape[2:])
        logits: torch.Tensor = self.classify(self.fuse(torch.cat([coarse, self.low(low)], dim=1)))
        return logits
