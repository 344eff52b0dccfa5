"""The network that finds faces: one pass over a photo gives scores, boxes and five points at three strides.

Two plain convolutions, which cost a CPU less than separable ones while channels are few, shrink the photo to a quarter;
depthwise separable ones (MobileNet) to an eighth, a sixteenth and a thirty-second. A small
pyramid (FPN) hands what the coarse maps know to the finer ones, and a head of two convolutions at each of the strides
8, 16 and 32 tells, for every cell of the grid, whether it is the middle of a face, and where that face's box and
points lie. There are no anchors: a cell answers for itself (FCOS, YuNet).

What a cell at stride s says, in this order: a logit; the box's middle, as an offset from the cell's own middle in
strides; the logarithm of the box's width and height, in units of 4 s; and the points' offsets from the cell's middle,
in strides. Pixel centres lie on integers, so the middle of cell i lies at s (i + 1/2) - 1/2.

Shapes: B images of H x W pixels, both multiples of 32; N cells, H W (1/64 + 1/256 + 1/1024) of them.
"""

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)

STRIDES = (8, 16, 32)
LARGEST_STRIDE = STRIDES[-1]
UNIT = 4  # strides; the width and height of a box of which a cell says 0
SAYS = 1 + 4 + 10  # numbers that a cell says: score, box, points
MEAN, SPREAD = 127.5, 64.0  # of pixels, as the network wants them
RARE = 0.01  # how probable a face is in a cell, as far as a new network knows: else negatives swamp the first steps
LARGEST_LOG = 4.0  # of a box's side; exp(4) is 55 units


class Answers(NamedTuple):
    """What the network says of every cell, decoded.

    Attributes:
        logits: (B, N) float32; the sigmoid is the probability of a face.
        boxes: (B, N, 4) float32, left, top, right and bottom in pixels.
        points: (B, N, 5, 2) float32, x and y in pixels, in the order of `eagrctl.arrays.Landmarks`.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    points: torch.Tensor


class Separable(nn.Sequential):
    """A depthwise convolution, then a pointwise one, each with its norm; then the activation, unless left out."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, kernel: int = 3, active: bool = True) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            *([nn.ReLU(inplace=True)] if active else []),
        )


class Residual(nn.Module):
    """A separable convolution that adds to what it is given."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.block = Separable(channels, channels, kernel=kernel, active=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the same shape."""
        return F.relu(features + self.block(features))


class DetectorNetwork(nn.Module):
    """Finds faces; the module's docstring says how.

    Args:
        widths: channels of the maps at a half, a quarter, an eighth, a sixteenth and a thirty-second of the photo.
        depths: separable convolutions at the last three of them.
        neck: channels of the pyramid and of the heads.
    """

    calibration: torch.Tensor

    def __init__(self, widths: Sequence[int], depths: Sequence[int], neck: int) -> None:
        super().__init__()
        half, quarter, *wide = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, half, 3, 2, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, quarter, 3, 2, 1, bias=False),
            nn.BatchNorm2d(quarter),
            nn.ReLU(inplace=True),
        )
        stages = []
        for place, (inputs, outputs, depth) in enumerate(zip((quarter, *wide), wide, depths, strict=False)):
            kernel = 3 if place == 0 else 5  # a coarse map is cheap, and has to see a whole face
            stages.append(
                nn.Sequential(
                    Separable(inputs, outputs, 2, kernel), *(Residual(outputs, kernel) for _ in range(depth - 1))
                )
            )
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, neck, 1, bias=False), nn.BatchNorm2d(neck)) for width in wide
        )
        self.heads = nn.ModuleList(
            nn.Sequential(
                Separable(neck, neck), Separable(neck, neck, kernel=3 if place == 0 else 5), nn.Conv2d(neck, SAYS, 1)
            )
            for place in range(len(STRIDES))
        )
        # What each stride's logits are multiplied by, and what is added then, so that one threshold serves all.
        self.register_buffer("calibration", torch.tensor([[1.0, 0.0]] * len(STRIDES)))
        self._begin()

    def _begin(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for last in (head[-1] for head in self.heads if isinstance(head, nn.Sequential)):
            assert isinstance(last, nn.Conv2d)
            assert last.bias is not None
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)
            nn.init.constant_(last.bias[:1], -math.log(1 / RARE - 1))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """What the cells say, (B, 15, H / s, W / s) float32 for each stride s.

        Args:
            images: (B, 3, H, W) float32 RGB, 0..255.
        """
        features = self.stem((images - MEAN) / SPREAD)
        maps = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            features = stage(features)
            maps.append(lateral(features))
        for place in (1, 0):
            maps[place] = maps[place] + F.interpolate(maps[place + 1], scale_factor=2.0, mode="nearest")
        return [head(F.relu(features)) for head, features in zip(self.heads, maps, strict=True)]

    def folded(self) -> "DetectorNetwork":
        """The same network, in evaluation mode, with its norms folded; see `folded`."""
        return folded(self)

    def answers(self, images: torch.Tensor) -> Answers:
        """What the network finds, decoded; `images` as for `forward`."""
        return decoded(self(images), self.calibration)


def folded(network: Network) -> Network:
    """A copy of a network, in evaluation mode, with every norm folded into the convolution before it; as exact."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            layers: list[nn.Module] = []
            for layer in module:
                last = layers[-1] if layers else None
                if isinstance(layer, nn.BatchNorm2d) and isinstance(last, nn.Conv2d):
                    layers[-1] = fuse_conv_bn_eval(last, layer)
                else:
                    layers.append(layer)
            module._modules = {str(place): layer for place, layer in enumerate(layers)}
    return network


def middles(height: int, width: int, stride: int, device: torch.device) -> torch.Tensor:
    """The middles of the cells of a map, (height * width, 2) float32, x and y in pixels, row by row."""
    down, across = (stride * (torch.arange(side, device=device) + 0.5) - 0.5 for side in (height, width))
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    return torch.stack([columns, rows], dim=-1).reshape(-1, 2)


def decoded(said: Sequence[torch.Tensor], calibration: torch.Tensor | None = None) -> Answers:
    """What the cells of all strides say, decoded.

    Args:
        said: (B, 15, H / s, W / s) for each stride, as `DetectorNetwork.forward` gives it.
        calibration: (3, 2): what each stride's logits are multiplied by, and what is added; None leaves them.
    """
    logits, boxes, points = [], [], []
    for place, (stride, map_) in enumerate(zip(STRIDES, said, strict=True)):
        cells = map_.float().flatten(2).transpose(1, 2)  # (B, n, 15)
        here = middles(map_.shape[2], map_.shape[3], stride, map_.device)
        logit = cells[..., 0]
        if calibration is not None:
            logit = logit * calibration[place, 0] + calibration[place, 1]
        logits.append(logit)
        middle = here + stride * cells[..., 1:3]
        reach = 0.5 * UNIT * stride * cells[..., 3:5].clamp(max=LARGEST_LOG).exp()
        boxes.append(torch.cat([middle - reach, middle + reach], dim=-1))
        offsets = cells[..., 5:].reshape(*cells.shape[:2], 5, 2)
        points.append(here[:, None] + stride * offsets)
    return Answers(torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(points, 1))
