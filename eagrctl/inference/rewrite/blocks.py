"""The boxes after the backbone, with what is linear moved to where it is cheap."""

import copy
from collections.abc import Callable
from functools import lru_cache, wraps
from itertools import chain
from typing import ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.inference.rewrite.folding import activated, activation, folded, reweighted
from eagrctl.inference.rewrite.winograd import fastest
from eagrctl.network.blocks import FACTORS, Decoder, PyramidPooling
from eagrctl.network.norm import resize
from eagrctl.network.reasoning import EAGR

TAPS = 3  # along each side of the kernel of the pyramid's bottleneck

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


class EarlyDecoder(nn.Module):
    """`eagrctl.network.blocks.Decoder`.

    The first 1x1 convolution after both maps are concatenated is a sum of one on either. That of the high-level map
    comes before the resizing, with which it commutes; bias, norm and activation wait for the sum.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        first, second = decoder.fuse
        self.high, self.low, self.second = activated(decoder.high), activated(decoder.low), activated(second)
        whole, middle = folded(first), decoder.high[0].out_channels
        self.coarse = reweighted(whole, whole.weight[:, :middle], None)
        self.detail = reweighted(whole, whole.weight[:, middle:], whole.bias)
        self.activation = activation(first)
        self.classify = folded(decoder.classify)

    def forward(self, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """(B, high, h, w) and (B, low, H, W) -> logits, (B, N, H, W)."""
        coarse = resize(self.coarse(self.high(high)), low.shape[2:])
        fused = self.activation(self.detail(self.low(low)).add_(coarse))
        logits: torch.Tensor = self.classify(self.second(fused))
        return logits


class SplitPyramid(nn.Module):
    """`eagrctl.network.blocks.PyramidPooling`.

    Of what the 3x3 bottleneck convolves, the pooled maps are bilinear images of 1 + 4 + 9 + 36 cells. Convolution is
    linear, so that it may as well act on the cells: each tap of the kernel turns a cell's C / 4 channels into O, and
    what remains is to resize these, shifted by the tap, and to sum over taps. Resizing is separable, so that columns
    come first, then rows. Shifted in are zeros, as the convolution pads with them.

    Shape letters: F cells along a side of one level, P = C / 4.
    """

    def __init__(self, pyramid: PyramidPooling) -> None:
        super().__init__()
        self.levels = nn.ModuleList(activated(level.get_submodule("1")) for level in pyramid.levels)  # "0" pools
        whole = folded(pyramid.bottleneck)
        prior = folded(pyramid.levels[0].get_submodule("1")).out_channels
        sizes = [prior] * len(FACTORS) + [whole.in_channels - prior * len(FACTORS)]
        *cells, own = whole.weight.split_with_sizes(sizes, dim=1)
        self.own = fastest(reweighted(whole, own, whole.bias))
        self.activation = activation(pyramid.bottleneck)
        for factor, weight in zip(FACTORS, cells, strict=True):
            # (O, P, rows of taps, columns of taps) -> (P, rows * columns * O)
            self.register_buffer(f"taps{factor}", weight.detach().permute(1, 2, 3, 0).flatten(1).contiguous())

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
        context = context.view(len(features), height, width, -1).permute(0, 3, 1, 2)
        convolved: torch.Tensor = self.activation(self.own(features).add_(context))
        return convolved


class VertexEAGR(nn.Module):
    """`eagrctl.network.reasoning.EAGR`.

    theta, phi and sigma are linear, and what follows theta and phi, and comes before sigma, is a product with a matrix
    of V rows. Products may be taken in any order, so that theta, phi and sigma act on V vertices, not on HW pixels:

    * the anchors, pool(phi(X) Y): pool X Y first; phi's bias comes in by the pooled Y
    * their similarity to phi(X): that to X of the anchors taken back through phi
    * the vertices, P theta(X): P X first; theta's bias comes in by the sums of P
    * reprojection, sigma(P^T X_G): sigma X_G first, its norm's shift included, as what a pixel has of all vertices
      sums to one
    """

    def __init__(self, module: EAGR) -> None:
        super().__init__()
        last = nn.Sequential(module.extend, module.norm)
        self.phi, self.theta, self.sigma = map(folded, (module.project.phi, module.project.theta, last))
        self.reason, self.activation = copy.deepcopy(module.reason), activation(last)
        self.pooling = module.project.pooling

    def forward(self, features: torch.Tensor, edge_logits: torch.Tensor | None) -> torch.Tensor:
        """Refine X, (B, C, H, W), guided by edge logits, (B, 2, h, w), or by none."""
        phi, of_phi, theta, of_theta, sigma, of_sigma = chain(*map(_linear, (self.phi, self.theta, self.sigma)))
        batch, _, height, width = features.shape
        pixels = features.permute(0, 2, 3, 1).flatten(1, 2)  # X, (B, HW, C)
        weights = _central(self.pooling, height, width, features.dtype, features.device).expand(batch, -1, -1)
        if edge_logits is not None:
            resized = F.interpolate(edge_logits, size=(height, width), mode="nearest")
            weights = weights * (resized[:, 1] - resized[:, 0]).sigmoid().flatten(1)[:, None]  # (B, V, HW)
        anchors = F.linear(weights @ pixels, phi) + weights.sum(2, keepdim=True) * of_phi  # (B, V, T)
        # The bias of phi on the pixels' side adds the same to all pixels, for each anchor its own.
        similarity = pixels @ (anchors @ phi).mT + (anchors @ of_phi)[:, None]  # (B, HW, V)
        projection = similarity.softmax(dim=2)  # P^T
        vertices = F.linear(projection.mT @ pixels, theta) + projection.sum(1)[:, :, None] * of_theta  # (B, V, K)
        extended = F.linear(self.reason(vertices), sigma, of_sigma)  # (B, V, C)
        refined: torch.Tensor = self.activation(projection @ extended).add_(pixels)
        return refined.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _linear(conv: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    """A 1x1 convolution as a linear map: weight, (O, C), and bias, (O,)."""
    assert conv.bias is not None
    return conv.weight.flatten(1), conv.bias


def kept(make: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """Keep what a function made for its last few arguments; except while torch traces, as tensors then hold nothing."""
    cached = lru_cache(maxsize=16)(make)

    @wraps(make)
    def made(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        if torch.compiler.is_compiling():
            return make(*args, **kwargs)
        return cached(*args, **kwargs)  # type: ignore[arg-type]  # they are hashable

    return made


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


@kept
def _central(cells: int, height: int, width: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Pooling to the central cells, (V, HW), its border ring dropped."""
    down, across = (pooling(cells, side)[1:-1] for side in (height, width))
    return torch.kron(down, across).to(device, dtype)


def pooling(cells: int, pixels: int) -> torch.Tensor:
    """What `torch.nn.AdaptiveAvgPool2d` does along one side, (cells, pixels) float64; rows sum to one."""
    matrix = torch.zeros(cells, pixels, dtype=torch.float64)
    for cell in range(cells):
        start, stop = cell * pixels // cells, -(-(cell + 1) * pixels // cells)
        matrix[cell, start:stop] = 1 / (stop - start)
    return matrix


def resizing(cells: int, pixels: int) -> torch.Tensor:
    """Bilinear resizing with aligned corners along one side, (pixels, cells) float64; rows sum to one."""
    places = torch.arange(pixels, dtype=torch.float64) * ((cells - 1) / max(pixels - 1, 1))
    distance = (places[:, None] - torch.arange(cells, dtype=torch.float64)).abs()
    return (1 - distance).clamp(min=0)


def shifted(matrix: torch.Tensor, by: int) -> torch.Tensor:
    """Row r of the result is row r + `by` of `matrix`, or zeros where there is none."""
    padded = F.pad(matrix, (0, 0, max(-by, 0), max(by, 0)))
    return padded[max(by, 0) :][: len(matrix)]
