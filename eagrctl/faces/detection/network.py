"""The network that finds faces: one pass over a photo gives scores, boxes and five points at three strides.

Two plain convolutions, which cost a CPU less than separable ones while channels are few, shrink the photo to a quarter;
depthwise separable ones (MobileNet) to an eighth, a sixteenth and a thirty-second. A small pyramid (FPN) hands what the
coarse maps know to the finer ones, and a head of two convolutions at each of the strides 8, 16 and 32 tells, for every
cell of the grid, whether it is the middle of a face, and where that face's box and points lie. There are no anchors: a
cell answers for itself (FCOS, YuNet).

What a cell at stride s says, in this order: a logit; the box's middle, as an offset from the cell's own middle in
strides; the logarithm of the box's width and height, in units of 4 s; and the points' offsets from the cell's middle,
in strides. Pixel centres lie on integers, so the middle of cell i lies at s (i + 1/2) - 1/2.

Shapes: B images of H x W pixels, both multiples of 32; N cells, H W (1/64 + 1/256 + 1/1024) of them.
"""

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

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
        logits: (..., N) float32; the sigmoid is the probability of a face.
        boxes: (..., N, 4) float32, left, top, right and bottom in pixels.
        points: (..., N, 5, 2) float32, x and y in pixels, in the order of `eagrctl.arrays.Landmarks`.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    points: torch.Tensor


class Cells(NamedTuple):
    """What the network says, cell by cell, not yet decoded.

    Attributes:
        logits: (B, N) float32, calibrated.
        said: (B, N, 15) float32, as the module's docstring has it.
        middles: (N, 2) float32, of the cells, x and y in pixels.
        strides: (N,) float32.
    """

    logits: torch.Tensor
    said: torch.Tensor
    middles: torch.Tensor
    strides: torch.Tensor

    def answers(self, images: torch.Tensor, cells: torch.Tensor) -> Answers:
        """The answers of some cells, (N,) each: numbers of images in the batch, and of cells in them."""
        here = self.middles[cells], self.strides[cells]
        return _answered(self.logits[images, cells], self.said[images, cells], *here)


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
        return F.relu(self.block(features).add_(features), inplace=True)


class PhotoNetwork(nn.Module):
    """What begins with pixels: they are centred and scaled, and go through `stem`, whose first layer is a convolution.

    Attributes:
        spread: what centred pixels are divided by; 1 where the first convolution does so itself.
    """

    stem: nn.Sequential
    spread = SPREAD

    def begun(self, images: torch.Tensor) -> torch.Tensor:
        """What `stem` makes of images, (B, 3, H, W) uint8 or float32 RGB, 0..255."""
        centred = images - MEAN
        return self.stem(centred if self.spread == 1 else centred / self.spread)  # type: ignore[no-any-return]

    def folded(self) -> Self:
        """A copy in evaluation mode; norms are folded into the convolutions before them, and so is `spread`."""
        network = copy.deepcopy(self).eval()
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
        first = network.stem[0]
        assert isinstance(first, nn.Conv2d)
        first.weight.data /= network.spread
        network.spread = 1.0
        return network


class DetectorNetwork(PhotoNetwork):
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
            images: (B, 3, H, W) uint8 or float32 RGB, 0..255.
        """
        features = self.begun(images)
        maps = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            features = stage(features)
            maps.append(lateral(features))
        for place in (1, 0):
            maps[place] = maps[place] + F.interpolate(maps[place + 1], scale_factor=2.0, mode="nearest")
        return [head(F.relu(features)) for head, features in zip(self.heads, maps, strict=True)]

    def answers(self, images: torch.Tensor) -> Answers:
        """What the network finds, decoded; `images` as for `forward`."""
        return decoded(self(images), self.calibration)

    def cells(self, images: torch.Tensor) -> Cells:
        """The same, not yet decoded: few cells show a face."""
        return cells_of(self(images), self.calibration)


def middles(height: int, width: int, stride: int, device: torch.device) -> torch.Tensor:
    """The middles of the cells of a map, (height * width, 2) float32, x and y in pixels, row by row."""
    down, across = (stride * (torch.arange(side, device=device) + 0.5) - 0.5 for side in (height, width))
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    return torch.stack([columns, rows], dim=-1).reshape(-1, 2)


def decoded(said: Sequence[torch.Tensor], calibration: torch.Tensor | None = None) -> Answers:
    """What the cells of all strides say, decoded; the arguments are those of `cells_of`."""
    cells = cells_of(said, calibration)
    return _answered(*cells)


def cells_of(said: Sequence[torch.Tensor], calibration: torch.Tensor | None = None) -> Cells:
    """The cells of all strides in one list.

    Args:
        said: (B, 15, H / s, W / s) for each stride, as `DetectorNetwork.forward` gives it.
        calibration: (3, 2): what each stride's logits are multiplied by, and what is added; None leaves them.
    """
    logits, words, here, strides = [], [], [], []
    for place, (stride, map_) in enumerate(zip(STRIDES, said, strict=True)):
        words.append(map_.float().permute(0, 2, 3, 1).flatten(1, 2))  # (B, n, 15)
        here.append(middles(map_.shape[2], map_.shape[3], stride, map_.device))
        strides.append(torch.full_like(here[-1][:, 0], stride))
        logit = words[-1][..., 0]
        logits.append(logit if calibration is None else logit * calibration[place, 0] + calibration[place, 1])
    return Cells(torch.cat(logits, 1), torch.cat(words, 1), torch.cat(here), torch.cat(strides))


def _answered(logits: torch.Tensor, said: torch.Tensor, here: torch.Tensor, strides: torch.Tensor) -> Answers:
    unit = strides[..., None]
    middle = here + unit * said[..., 1:3]
    reach = 0.5 * UNIT * unit * said[..., 3:5].clamp(max=LARGEST_LOG).exp()
    points = here[..., None, :] + unit[..., None] * said[..., 5:].reshape(*said.shape[:-1], 5, 2)
    return Answers(logits, torch.cat([middle - reach, middle + reach], dim=-1), points)
