"""Pooling and bilinear resizing of grids as matrices, made once for each size."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


def kept(make: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """Keep what a function made for its last few arguments; except while torch traces, as tensors then hold nothing."""
    cached = lru_cache(maxsize=16)(make)

    @wraps(make)
    def made(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        if torch.compiler.is_compiling():
            return make(*args, **kwargs)
        return cached(*args, **kwargs)  # type: ignore[arg-type]  # they are hashable

    return made


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
    result = torch.zeros_like(matrix)
    rows = len(matrix)
    if abs(by) < rows:
        result[max(-by, 0) : rows - max(by, 0)] = matrix[max(by, 0) : rows - max(-by, 0)]
    return result
