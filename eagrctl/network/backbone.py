"""ResNet at output stride 8 (paper, section 4.2; "ResNet" in Fig. 1)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.network.norm import LEAKY_SLOPE, ActivatedBatchNorm, convolution, narrow
from eagrctl.network.recompute import before_last_norm, recomputed, worthwhile


class Features(NamedTuple):
    """What the stages give, named as in the paper: Conv2 to Conv5.

    At 473 x 473 and full width with bottlenecks: (B, 256, 119, 119), (B, 512, 60, 60), (B, 1024, 60, 60) and
    (B, 2048, 60, 60).
    """

    conv2: torch.Tensor
    conv3: torch.Tensor
    conv4: torch.Tensor
    conv5: torch.Tensor


STEMS = ("deep", "conv7x7")
STRIDES = ("3x3", "1x1")
RESIDUALS = ("activated", "plain")


@dataclass(frozen=True)
class Form:
    """Where ResNets differ that are otherwise alike.

    Attributes:
        stem: "deep" for the paper's three 3x3 convolutions, "conv7x7" for the one of He et al. [7].
        stride: which convolution of a bottleneck has the stride of its stage: "3x3", or "1x1" as in the first ResNets.
        residual: "activated" puts a leaky ReLU between the last norm of a block (and of its shortcut) and their sum,
            because In-Place ABN has no other form; "plain" does not, which is what ImageNet weights were trained with.
            A plain ReLU follows the sum in both.

    Raises:
        ValueError: a value that is none of these.
    """

    stem: str = "deep"
    stride: str = "3x3"
    residual: str = "activated"

    def __post_init__(self) -> None:
        for name, allowed in (("stem", STEMS), ("stride", STRIDES), ("residual", RESIDUALS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {getattr(self, name)!r}")

    @property
    def slope(self) -> float:
        """Of the activation before the sum."""
        return LEAKY_SLOPE if self.residual == "activated" else 1.0


class Block(nn.Module, ABC):
    """Convolutions beside a shortcut, then their sum and a plain ReLU; `Form` says what of it varies."""

    shortcut: nn.Module

    @abstractmethod
    def units(self) -> tuple[nn.Sequential, ...]:
        """The convolutions with their norms, in order."""

    def forward(self, inputs: torch.Tensor, recompute: bool = False) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        units = self.units()
        if not recompute:
            residual = inputs
            for unit in units:
                residual = unit(residual)
            return F.relu(residual + self.shortcut(inputs))
        last, short = units[-1][1], self.shortcut
        # The residual first, as above: gradients are then summed in the same order, and are the same to the last bit.
        pending = before_last_norm(units, inputs)
        if isinstance(short, nn.Identity):
            norms, beside = [last], inputs
        else:
            assert isinstance(short, nn.Sequential)
            norms, beside = [last, short[1]], short[0](inputs)

        def join(residual: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
            return F.relu(last(residual) + (norms[1](shortcut) if norms[1:] else shortcut))

        return recomputed(join, pending, beside, norms=norms)


class Bottleneck(Block):
    """1x1, 3x3, 1x1."""

    expansion = 4

    def __init__(self, inputs: int, middle: int, stride: int, dilation: int, form: Form) -> None:
        super().__init__()
        outputs = middle * self.expansion
        early, late = (1, stride) if form.stride == "3x3" else (stride, 1)
        self.reduce = convolution(inputs, middle, stride=early, slope=0.0)
        self.spatial = convolution(middle, middle, kernel=3, stride=late, dilation=dilation, slope=0.0)
        self.extend = convolution(middle, outputs, slope=form.slope)
        self.shortcut = _shortcut(inputs, outputs, stride, form)

    def units(self) -> tuple[nn.Sequential, ...]:
        """The convolutions with their norms, in order."""
        return self.reduce, self.spatial, self.extend


class BasicBlock(Block):
    """3x3, 3x3: the block of ResNet-18."""

    expansion = 1

    def __init__(self, inputs: int, middle: int, stride: int, dilation: int, form: Form) -> None:
        super().__init__()
        self.first = convolution(inputs, middle, kernel=3, stride=stride, dilation=dilation, slope=0.0)
        self.second = convolution(middle, middle, kernel=3, dilation=dilation, slope=form.slope)
        self.shortcut = _shortcut(inputs, middle, stride, form)

    def units(self) -> tuple[nn.Sequential, ...]:
        """The convolutions with their norms, in order."""
        return self.first, self.second


def _shortcut(inputs: int, outputs: int, stride: int, form: Form) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return convolution(inputs, outputs, stride=stride, slope=form.slope)


EFFICIENTNET = "efficientnet-lite0"  # the one that is no ResNet: `eagrctl.network.efficientnet`
# Name -> block and number of blocks in each of the four stages.
BACKBONES: dict[str, tuple[type[Bottleneck] | type[BasicBlock], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}


class Backbone(nn.Module):
    """A ResNet without its average pooling and classifier.

    Args:
        name: a key of `BACKBONES`.
        width: scales every channel count.
        form: stem, place of the stride, activation before the sum; the default is the paper's.
        recompute: train in less memory (`eagrctl.network.recompute`).

    Attributes:
        channels: of conv2 to conv5.

    Raises:
        ValueError: `name` is not a backbone, or has no such form.
    """

    def __init__(self, name: str, width: float = 1.0, form: Form = Form(), recompute: bool = False) -> None:  # frozen
        super().__init__()
        if name not in BACKBONES:
            raise ValueError(f"no backbone is called {name!r}; there are {', '.join(BACKBONES)} and {EFFICIENTNET}")
        kind, depths = BACKBONES[name]
        if kind is BasicBlock and form.stride != "3x3":
            raise ValueError(f"the blocks of {name} have no 1x1 convolution that could have the stride")
        self.recompute = recompute
        half, whole = narrow(64, width), narrow(128, width)
        inputs = whole if form.stem == "deep" else half
        # The activation of In-Place ABN and the ReLU after it are one ReLU.
        stem = (
            [
                convolution(3, half, kernel=3, stride=2, slope=0.0),
                convolution(half, half, kernel=3, slope=0.0),
                convolution(half, whole, kernel=3, slope=0.0),
            ]
            if form.stem == "deep"
            else [convolution(3, half, kernel=7, stride=2, slope=0.0)]
        )
        self.conv1 = nn.Sequential(*stem, nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
        stages = []
        self.channels: list[int] = []
        plan = zip((64, 128, 256, 512), depths, (1, 2, 1, 1), (1, 1, 1, 2), strict=True)
        for base, depth, stride, dilation in plan:
            middle = narrow(base, width)
            blocks: list[nn.Module] = []
            for number in range(depth):
                blocks.append(kind(inputs, middle, stride if number == 0 else 1, dilation, form))
                inputs = middle * kind.expansion
            stages.append(nn.Sequential(*blocks))
            self.channels.append(inputs)
        self.conv2, self.conv3, self.conv4, self.conv5 = stages
        initialise(self)

    def forward(self, images: torch.Tensor) -> Features:
        """(B, 3, H, W) float, normalised -> the four stages' outputs."""
        recompute = self.recompute and worthwhile(self)
        features = self._stem_recomputed(images) if recompute else self.conv1(images)
        outputs = []
        for stage in (self.conv2, self.conv3, self.conv4, self.conv5):
            for block in stage:
                features = block(features, recompute)
            outputs.append(features)
        return Features(*outputs)

    def _stem_recomputed(self, images: torch.Tensor) -> torch.Tensor:
        units = [unit for unit in self.conv1 if isinstance(unit, nn.Sequential)]
        last, pool = units[-1][1], self.conv1[-1]
        return recomputed(nn.Sequential(last, pool), before_last_norm(units, images), norms=[last])


def initialise(network: nn.Module) -> None:
    """He's initialisation: without pretrained weights, torch's default shrinks the signal layer by layer."""
    for module in network.modules():
        # Numbers that are not there need no drawing, for which torch's meta device imports its compiler: two seconds.
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, ActivatedBatchNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
