"""What torch's exporter does not write as every runtime reads it: pooling and resizing, as products with matrices."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from eagrctl.inference.rewrite.blocks import pooling


def translations() -> dict[Any, Callable[..., Any]]:
    """For a graph whose sizes are known: torch's operators, and what writes them as ONNX."""
    aten = torch.ops.aten
    return {
        aten.adaptive_avg_pool2d.default: _pool,
        aten.upsample_bilinear2d.vec: _bilinear,
        aten.upsample_nearest2d.vec: _nearest,
    }


def decompositions() -> dict[Any, Callable[..., Any]]:
    """For a graph of any size: torch's operators in others, which make their matrices of the size that comes.

    What torch itself writes for adaptive pooling holds for the size that it was traced at, and is wrong elsewhere.
    """
    return {torch.ops.aten.adaptive_avg_pool2d.default: pooled}


def pooled(features: torch.Tensor, output_size: Sequence[int]) -> torch.Tensor:
    """`torch.nn.functional.adaptive_avg_pool2d` as two products."""
    down, across = (_cells(cells, side) for cells, side in zip(output_size, features.shape[2:], strict=True))
    return down @ (features @ across.T)


def _cells(cells: int, pixels: int) -> torch.Tensor:
    """As `eagrctl.inference.rewrite.blocks.pooling`, of a number of pixels that need not be known: (cells, pixels)."""
    place, cell = torch.arange(pixels)[None], torch.arange(cells)[:, None]
    start = torch.div(cell * pixels, cells, rounding_mode="floor")
    stop = torch.div((cell + 1) * pixels + (cells - 1), cells, rounding_mode="floor")
    inside = ((place >= start) & (place < stop)).float()
    return inside / inside.sum(dim=1, keepdim=True)


def _product(features: Any, output_size: Any, matrix: Callable[[int, int], torch.Tensor]) -> Any:
    """What is linear along rows and columns, as two products; `matrix` makes it, (outputs, inputs), for each."""
    from onnxscript import ir, opset18

    (high, wide), (down, across) = features.shape[2:], output_size
    matrices = matrix(int(across), int(wide)).T, matrix(int(down), int(high))
    columns, rows = (opset18.Constant(value=ir.tensor(each.float().contiguous().numpy())) for each in matrices)
    return opset18.MatMul(rows, opset18.MatMul(features, columns))


def _pool(features: Any, output_size: Any) -> Any:
    """Adaptive average pooling, of which ONNX has no operator; torch writes 50 others in its place."""
    return _product(features, output_size, pooling)


def _bilinear(features: Any, output_size: Any, align_corners: bool, scale_factors: Any = None) -> Any:
    """Bilinear resizing: OpenCV 4 reads no operator of ONNX that does this to a given size."""
    return _product(features, output_size, partial(_interpolation, mode="linear", align_corners=align_corners))


def _nearest(features: Any, output_size: Any, scale_factors: Any = None) -> Any:
    """Resizing by the nearest."""
    return _product(features, output_size, partial(_interpolation, mode="nearest"))


def _interpolation(outputs: int, inputs: int, **how: Any) -> torch.Tensor:
    """(outputs, inputs): how a row of so many values is resized."""
    return F.interpolate(torch.eye(inputs)[None], outputs, **how)[0].T
