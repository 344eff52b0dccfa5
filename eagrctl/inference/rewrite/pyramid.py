"""Pyramid pooling, whose bottleneck convolves cells as cells."""

import torch
from torch import nn

from eagrctl.inference.rewrite.folding import FoldedConvolution, folded
from eagrctl.inference.rewrite.grids import kept, pooling, resizing, shifted
from eagrctl.inference.rewrite.winograd import fastest
from eagrctl.network.blocks import FACTORS, PyramidPooling

TAPS = 3  # along each side of the bottleneck's kernel


class SplitPyramid(nn.Module):
    """`eagrctl.network.pyramid.PyramidPooling`.

    Of what the 3x3 bottleneck convolves, the pooled maps are bilinear images of 1 + 4 + 9 + 36 cells. Convolution is
    linear, so that it may as well act on the cells: each tap of the kernel turns a cell's C / 4 channels into O, and
    what remains is to resize these, shifted by the tap, and to sum over taps. Resizing is separable, so that columns
    come first, then rows. Shifted in are zeros, as the convolution pads with them.

    Shape letters: F cells along a side of one level, P = C / 4.
    """

    def __init__(self, pyramid: PyramidPooling) -> None:
        super().__init__()
        levels = [folded(level.get_submodule("1")) for level in pyramid.levels]  # "0" pools
        self.levels = nn.ModuleList(levels)
        whole = folded(pyramid.bottleneck)
        prior = len(levels[0].bias)
        *cells, own = whole.weight.split_with_sizes(
            [prior] * len(FACTORS) + [whole.weight.shape[1] - prior * len(FACTORS)], 1
        )
        self.own = fastest(FoldedConvolution(own, whole.bias, whole.slope, padding=(1, 1)))
        for factor, weight in zip(FACTORS, cells, strict=True):
            # (O, P, rows of taps, columns of taps) -> (P, rows * columns * O)
            self.register_buffer(f"taps{factor}", weight.permute(1, 2, 3, 0).flatten(1).contiguous())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, O, H, W)."""
        height, width = features.shape[2:]
        pool, rows, columns = _matrices(height, width, features.dtype, features.device)
        pixels = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, HW, C)
        pooled = (pool @ pixels).split_with_sizes([factor**2 for factor in FACTORS], dim=1)
        images = []
        for factor, level, cells, across in zip(FACTORS, self.levels, pooled, columns, strict=True):
            reduced = level(cells.mT[..., None])[..., 0].mT  # (B, FF, P)
            tapped = reduced @ self.get_buffer(f"taps{factor}")  # (B, FF, rows * columns * O)
            tapped = tapped.view(len(features), factor, factor, TAPS, TAPS, -1)
            tapped = tapped.permute(0, 1, 3, 4, 2, 5)  # (B, F down, rows, columns, F across, O)
            images.append(across @ tapped.flatten(3, 4).flatten(1, 2))  # (B, F * rows, W, O)
        context = rows @ torch.cat(images, dim=1).flatten(2)  # (B, H, W * O)
        convolved: torch.Tensor = self.own(features, context.view(len(features), height, width, -1).permute(0, 3, 1, 2))
        return convolved


@kept
def _matrices(
    height: int, width: int, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]:
    """For a size: pooling, (50, HW); rows, (H, 12 * 3); for each level its columns, (W, 3 * F)."""
    pools, rows, columns = [], [], []
    for factor in FACTORS:
        pools.append(torch.kron(pooling(factor, height), pooling(factor, width)))
        down, across = resizing(factor, height), resizing(factor, width)
        taps = range(-(TAPS // 2), TAPS // 2 + 1)
        rows.append(torch.stack([shifted(down, tap) for tap in taps], dim=2).flatten(1))  # F before taps
        columns.append(torch.cat([shifted(across, tap) for tap in taps], dim=1))  # taps before F
    pool, down = (torch.cat(each, dim=which).to(device, dtype) for which, each in enumerate((pools, rows)))
    return pool, down, tuple(each.to(device, dtype) for each in columns)
