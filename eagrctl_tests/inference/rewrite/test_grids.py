import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.inference.rewrite.grids import kept, pooling, resizing, shifted


@given(cells=st.integers(1, 9), pixels=st.integers(1, 40))
def test_pooling_is_adaptive_average_pooling(cells: int, pixels: int) -> None:
    values = torch.randn(2, pixels, dtype=torch.float64)
    assert torch.allclose(values @ pooling(cells, pixels).T, F.adaptive_avg_pool1d(values, cells))


@given(cells=st.integers(1, 9), pixels=st.integers(1, 40))
def test_resizing_is_bilinear_with_aligned_corners(cells: int, pixels: int) -> None:
    values = torch.randn(1, 1, cells, 1, dtype=torch.float64)
    expected = F.interpolate(values, size=(pixels, 1), mode="bilinear", align_corners=True)
    assert torch.allclose(resizing(cells, pixels) @ values[0, 0], expected[0, 0])


@pytest.mark.parametrize(
    ("by", "rows"), [(0, [1, 2, 3]), (1, [2, 3, 0]), (-1, [0, 1, 2]), (3, [0, 0, 0]), (-5, [0] * 3)]
)
def test_shifting_brings_in_zeros(by: int, rows: list[int]) -> None:
    assert shifted(torch.tensor([[1], [2], [3]]), by).flatten().tolist() == rows


def test_what_was_made_is_kept() -> None:
    made: list[int] = []
    make = kept(lambda number: made.append(number) or torch.zeros(number))
    assert make(2) is make(2)
    assert made == [2]
