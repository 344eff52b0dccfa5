"""The decoder, which convolves high-level features before they grow."""

import torch
from torch import nn

from eagrctl.inference.rewrite.folding import FoldedConvolution, folded
from eagrctl.network.blocks import Decoder
from eagrctl.network.norm import resize


class EarlyDecoder(nn.Module):
    """`eagrctl.network.decoder.Decoder`.

    The first 1x1 convolution after both maps are concatenated is a sum of one on either. That of the high-level map
    comes before the resizing, with which it commutes; bias, norm and activation wait for the sum.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        first, second = decoder.fuse
        self.high, self.low, self.second = folded(decoder.high), folded(decoder.low), folded(second)
        whole = folded(first)
        middle = self.high.weight.shape[0]
        coarse, detail = whole.weight.split_with_sizes([middle, whole.weight.shape[1] - middle], dim=1)
        self.coarse = FoldedConvolution(coarse, torch.zeros_like(whole.bias), slope=1.0)
        self.detail = FoldedConvolution(detail, whole.bias, whole.slope)
        self.classify = folded(decoder.classify)

    def forward(self, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """(B, high, h, w) and (B, low, H, W) -> logits, (B, N, H, W)."""
        coarse = resize(self.coarse(self.high(high)), low.shape[2:])
        logits: torch.Tensor = self.classify(self.second(self.detail(self.low(low), coarse)))
        return logits
