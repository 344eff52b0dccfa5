"""The boxes between backbone and logits (paper, Fig. 1): pyramid pooling, edge perceiving, decoder, deployment."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from eagrctl.network.backbone import Features
from eagrctl.network.norm import convolution, resize

FACTORS = (1, 2, 3, 6)  # cells along a side of the pyramid's levels

# (channels, on the low-level features alone) -> a module that refines features under the guidance of edge logits.
Refiner = Callable[[int, bool], nn.Module]


class PyramidPooling(nn.Module):
    """Pools to 1, 2, 3 and 6 cells a side, (B, C, H, W) -> (B, outputs, H, W) (section 4.2, after [35]).

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


class TopDown(nn.Module):
    """Leads the pyramid's map from stride 32 back to 8, for a backbone that goes so far (after Lin et al., CVPR 2017).

    At each of two steps it is resized to the stage before, which joins it through a 1x1 convolution; a 3x3 convolution
    of each channel for itself and a 1x1 convolution mix both. (B, C, h, w) -> (B, C, H, W), Conv3's size.

    Args:
        channels: C.
        stages: channels of the stages that join, the coarser one first.
    """

    def __init__(self, channels: int, stages: Sequence[int]) -> None:
        super().__init__()
        self.join = nn.ModuleList(convolution(stage, channels) for stage in stages)
        self.mix = nn.ModuleList(
            nn.Sequential(convolution(channels, channels, kernel=3, groups=channels), convolution(channels, channels))
            for _ in stages
        )

    def forward(self, high: torch.Tensor, stages: Sequence[torch.Tensor]) -> torch.Tensor:
        """Join stage after stage."""
        for join, mix, stage in zip(self.join, self.mix, stages, strict=True):
            high = mix(resize(high, stage.shape[2:]) + join(stage))
        return high


class EdgePerceiving(nn.Module):
    """Predicts a two-channel edge map from Conv2, Conv3 and Conv4 (sections 3.1 and 4.2, after [36]).

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


class Decoder(nn.Module):
    """Fuses high-level and low-level features into class logits at the low-level size (section 3.1).

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


class Deployment(nn.Module):
    """Refines high-level and low-level features with 0, 1, 2 or 3 EAGR modules (section 4.3 and Table 2).

    * 0: neither is touched. The edge module stays: Table 2's "0-module" has the scores of Table 1's second row (edges
      without graph), and not those of its baseline.
    * 1: both maps "are concatenated, and then fed into an EAGR module". The paper does not say at which size, nor what
      comes after. Here the high-level map is resized to the low-level one's size, because the other way round would
      throw away the detail that the low-level map is there for; the refined channels are split again, so that the
      decoder is the same in every deployment, and the comparison is of modules alone.
    * 2: each has a module of its own. The paper's network.
    * 3: "combines 2) and 3)" of a list whose third entry is 2 modules and whose fourth is this one. It is read as
      1-module and 2-modules combined, the only reading that has three modules: first each map's own, then the one on
      both. The paper's fusion comes last, where it sees what the others refined.

    Args:
        modules: 0 to 3.
        high: channels of the high-level features.
        low: channels of the low-level features.
        refiner: makes a module for so many channels; the one on both maps is made like the high-level one.

    Raises:
        ValueError: another number of modules.
    """

    def __init__(self, modules: int, high: int, low: int, refiner: Refiner) -> None:
        super().__init__()
        if modules not in range(4):
            raise ValueError(f"EAGR modules are deployed 0, 1, 2 or 3 times, not {modules}")
        own, both = modules in (2, 3), modules in (1, 3)
        self.high = refiner(high, False) if own else None
        self.low = refiner(low, True) if own else None
        self.both = refiner(high + low, False) if both else None

    def forward(
        self, high: torch.Tensor, low: torch.Tensor, edge_logits: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Refine both maps.

        Args:
            high: (B, C, h, w).
            low: (B, c, H, W).
            edge_logits: (B, 2, H, W), or None where there is no edge module.

        Returns:
            The same two maps, refined; the high-level one is (B, C, H, W) where both were concatenated.
        """
        if self.high is not None and self.low is not None:
            high, low = self.high(high, edge_logits), self.low(low, edge_logits)
        if self.both is not None:
            together = torch.cat([resize(high, low.shape[2:]), low], dim=1)
            high, low = self.both(together, edge_logits).split([high.shape[1], low.shape[1]], dim=1)
        return high, low
