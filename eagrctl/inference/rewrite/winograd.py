"""3x3 convolutions with a quarter of the multiplications: written here, as torch has no public way to ask for them."""

import torch
import torch.nn.functional as F
from torch import nn

# Winograd's F(4 x 4, 3 x 3), as in Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016): a tile
# of 6 x 6 gives 4 x 4 results by 36 multiplications instead of 144. OF_TILE is the paper's B^T, OF_KERNEL its G and
# OF_RESULT its A^T.
RESULT, KERNEL = 4, 3
TILE = RESULT + KERNEL - 1
OF_TILE = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
OF_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OF_RESULT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

# Channels that go in times those that come out: with fewer, transforming tiles costs more than it saves.
WORTHWHILE = 128 * 128


class WinogradConvolution(nn.Module):
    """An `nn.Conv2d` of 3x3 with bias that keeps the size, by Winograd's algorithm: exact but for rounding.

    A dilated convolution is one without dilation of every second pixel, D x D times over; these phases are tiles like
    any others. One image at a time, because its transformed tiles take nine times the memory of half its channels.

    Shape letters: D the dilation, I x J tiles in each phase.
    """

    tile: torch.Tensor
    result: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert convolution.bias is not None
        weight, self.dilation = convolution.weight.detach(), convolution.dilation[0]
        kernel, tile, result = (torch.tensor(rows, dtype=torch.float64) for rows in (OF_KERNEL, OF_TILE, OF_RESULT))
        transformed = torch.kron(kernel, kernel).to(weight.device) @ weight.double().permute(2, 3, 1, 0).flatten(
            0, 1
        ).flatten(1)
        self.register_buffer("weight", transformed.view(TILE**2, weight.shape[1], -1).to(weight.dtype))  # (36, C, O)
        self.register_buffer("tile", torch.kron(tile, tile).to(weight))
        self.register_buffer("result", torch.kron(result, result).to(weight))
        self.register_buffer("bias", convolution.bias.detach())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, O, H, W), channels last."""
        found = torch.cat([self._one(image) for image in features.permute(0, 2, 3, 1)]).permute(0, 3, 1, 2)
        return found.add_(self.bias[:, None, None])

    def _one(self, image: torch.Tensor) -> torch.Tensor:
        """(H, W, C) -> (1, H, W, O), without bias."""
        apart = self.dilation
        height, width, channels = image.shape
        down, across = (-(-side // (RESULT * apart)) for side in (height, width))
        high, wide = (apart * (count * RESULT + KERNEL - 1) for count in (down, across))
        padded = F.pad(image, (0, 0, apart, wide - apart - width, apart, high - apart - height))
        phases = padded.view(high // apart, apart, wide // apart, apart, channels)
        tiles = phases.unfold(0, TILE, RESULT).unfold(2, TILE, RESULT)  # (I, D, J, D, C, 6, 6)
        tiles = tiles.permute(5, 6, 1, 3, 0, 2, 4).reshape(TILE**2, -1)  # (36, DDIJC)
        products = (self.tile @ tiles).view(TILE**2, -1, channels) @ self.weight  # (36, DDIJ, O)
        results = (self.result @ products.flatten(1)).view(RESULT, RESULT, apart, apart, down, across, -1)
        # A row of the result is, from coarse to fine: tile, row in the tile, phase.
        whole = results.permute(4, 0, 2, 5, 1, 3, 6).reshape(1, down * RESULT * apart, across * RESULT * apart, -1)
        return whole[:, :height, :width]


def fastest(convolution: nn.Conv2d) -> nn.Module:
    """A convolution with bias as it runs fastest where its weights are.

    oneDNN's direct convolution keeps up with Winograd's where it has AVX-512, and cuDNN chooses for itself. On
    processors of other makes nobody has measured it yet.
    """
    wins = convolution.weight.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    keeps_size = convolution.stride == (1, 1) and convolution.padding == convolution.dilation
    plain = convolution.groups == 1 and convolution.padding_mode == "zeros" and len({*convolution.dilation}) == 1
    square = convolution.kernel_size == (KERNEL, KERNEL)
    large = convolution.in_channels * convolution.out_channels >= WORTHWHILE
    return WinogradConvolution(convolution) if wins and keeps_size and plain and square and large else convolution
