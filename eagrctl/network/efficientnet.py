"""EfficientNet-Lite0 (Tan and Le, ICML 2019), a backbone that the paper has not, for networks that must be fast.

Its convolutions along channels and across places are apart, so that ten times fewer multiplications make features that
tell ImageNet's classes nearly as well as those of ResNet-50. It halves its maps five times, to stride 32, where the
paper's ResNet stops at 8; `eagrctl.network.blocks.TopDown` leads back to 8.
"""

import torch
from torch import nn

from eagrctl.network.backbone import Features, initialise
from eagrctl.network.norm import convolution
from eagrctl.network.recompute import recomputed, worthwhile

CEILING = 6.0  # of its activations, ReLU6
STEM = 32  # channels
# Of each stage: expansion, outputs, blocks, kernel, stride.
STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
SHOWN = (1, 2, 4, 6)  # the stages that are Conv2 to Conv5: the last ones at strides 4, 8, 16 and 32


class InvertedResidual(nn.Module):
    """1x1 to `expansion` times the channels, a convolution of each channel for itself, 1x1 back; then the sum.

    Where size or channels change, there is no sum. (B, inputs, H, W) -> (B, outputs, H / stride, W / stride).
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        middle = inputs * expansion
        units = [convolution(inputs, middle, slope=0.0, ceiling=CEILING)] if expansion > 1 else []
        units.append(convolution(middle, middle, kernel, stride, groups=middle, slope=0.0, ceiling=CEILING))
        units.append(convolution(middle, outputs, slope=1.0))
        self.units = nn.Sequential(*units)
        self.summed = stride == 1 and inputs == outputs

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Convolve, and sum where both have one shape."""
        outputs: torch.Tensor = self.units(inputs)
        return inputs + outputs if self.summed else outputs


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 without the convolution before its average pooling, and without its classifier.

    Args:
        recompute: train in less memory (`eagrctl.network.recompute`).

    Attributes:
        channels: of conv2 to conv5.
    """

    channels = tuple(STAGES[place][1] for place in SHOWN)

    def __init__(self, recompute: bool = False) -> None:
        super().__init__()
        self.recompute = recompute
        self.stem = convolution(3, STEM, kernel=3, stride=2, slope=0.0, ceiling=CEILING)
        stages, inputs = [], STEM
        for expansion, outputs, depth, kernel, stride in STAGES:
            blocks = []
            for number in range(depth):
                blocks.append(InvertedResidual(inputs, outputs, expansion, kernel, 1 if number else stride))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        initialise(self)

    def forward(self, images: torch.Tensor) -> Features:
        """(B, 3, H, W) float, normalised -> Conv2 to Conv5, at strides 4, 8, 16 and 32."""
        recompute = self.recompute and worthwhile(self)
        # Channels last: a convolution of each channel for itself takes a third less time so.
        features = self.stem(images.contiguous(memory_format=torch.channels_last))
        shown = []
        for place, stage in enumerate(self.stages):
            for block in stage.children():
                features = recomputed(block, features, norms=list(block.modules())) if recompute else block(features)
            if place in SHOWN:
                shown.append(features)
        return Features(*shown)
