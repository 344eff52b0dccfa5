"""ResNet with a deep stem, at output stride 8 (paper, section 4.2; "ResNet" in Fig. 1)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.network.abn import ActivatedBatchNorm, convolution, narrow


class Features(NamedTuple):
    """What the stages give, named as in the paper: Conv2 to Conv5.

    At 473 x 473 and full width with bottlenecks: (B, 256, 119, 119), (B, 512, 60, 60), (B, 1024, 60, 60) and
    (B, 2048, 60, 60).
    """

    conv2: torch.Tensor
    conv3: torch.Tensor
    conv4: torch.Tensor
    conv5: torch.Tensor


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1; the stride sits on the 3x3.

    Both the last norm and the projection of the shortcut are activated (leaky) *before* their sum, because In-Place
    ABN has no other form; a plain ReLU follows the sum.
    """

    expansion = 4

    def __init__(self, inputs: int, middle: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = middle * self.expansion
        self.reduce = convolution(inputs, middle, slope=0.0)
        self.spatial = convolution(middle, middle, kernel=3, stride=stride, dilation=dilation, slope=0.0)
        self.extend = convolution(middle, outputs)
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        residual = self.extend(self.spatial(self.reduce(inputs)))
        return F.relu(residual + self.shortcut(inputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions: the block of ResNet-18, with the norms of `Bottleneck`."""

    expansion = 1

    def __init__(self, inputs: int, middle: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.first = convolution(inputs, middle, kernel=3, stride=stride, dilation=dilation, slope=0.0)
        self.second = convolution(middle, middle, kernel=3, dilation=dilation)
        self.shortcut = _shortcut(inputs, middle, stride)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        residual = self.second(self.first(inputs))
        return F.relu(residual + self.shortcut(inputs))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return convolution(inputs, outputs, stride=stride)


# Name -> block and number of blocks in each of the four stages.
BACKBONES: dict[str, tuple[type[Bottleneck] | type[BasicBlock], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}


class Backbone(nn.Module):
    """A ResNet whose stem is three 3x3 convolutions, without its average pooling and classifier.

    Args:
        name: a key of `BACKBONES`.
        width: scales every channel count.

    Attributes:
        channels: of conv2 to conv5.

    Raises:
        ValueError: `name` is no backbone.
    """

    def __init__(self, name: str, width: float = 1.0) -> None:
        super().__init__()
        if name not in BACKBONES:
            raise ValueError(f"no backbone is called {name!r}; there are {', '.join(BACKBONES)}")
        block, depths = BACKBONES[name]
        half, whole = narrow(64, width), narrow(128, width)
        # The activation of In-Place ABN and the ReLU after it are one ReLU.
        self.conv1 = nn.Sequential(
            convolution(3, half, kernel=3, stride=2, slope=0.0),
            convolution(half, half, kernel=3, slope=0.0),
            convolution(half, whole, kernel=3, slope=0.0),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        stages = []
        inputs = whole
        self.channels: list[int] = []
        plan = zip((64, 128, 256, 512), depths, (1, 2, 1, 1), (1, 1, 1, 2), strict=True)
        for base, depth, stride, dilation in plan:
            middle = narrow(base, width)
            blocks: list[nn.Module] = []
            for number in range(depth):
                blocks.append(block(inputs, middle, stride if number == 0 else 1, dilation))
                inputs = middle * block.expansion
            stages.append(nn.Sequential(*blocks))
            self.channels.append(inputs)
        self.conv2, self.conv3, self.conv4, self.conv5 = stages
        _initialise(self)

    def forward(self, images: torch.Tensor) -> Features:
        """(B, 3, H, W) float, normalised -> the four stages' outputs."""
        conv2 = self.conv2(self.conv1(images))
        conv3 = self.conv3(conv2)
        conv4 = self.conv4(conv3)
        return Features(conv2, conv3, conv4, self.conv5(conv4))


def _initialise(network: nn.Module) -> None:
    """He's initialisation: without pretrained weights, torch's default shrinks the signal layer by layer."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, ActivatedBatchNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
