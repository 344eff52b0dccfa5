"""Each box of the network beside its faster form."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eagrctl.inference.rewrite.blocks import EarlyDecoder, SplitPyramid, VertexEAGR, kept, pooling, resizing, shifted
from eagrctl.network.blocks import Decoder, PyramidPooling
from eagrctl.network.reasoning import EAGR
from eagrctl_tests.inference.rewrite.conftest import ROUNDING, assert_equal, lived

DTYPES = st.sampled_from(list(ROUNDING))
SIDES = st.integers(6, 20)


@hypothesis_settings(max_examples=25)
@given(height=st.integers(1, 20), width=st.integers(1, 20), dtype=DTYPES)
@torch.inference_mode()
def test_the_pyramid_convolves_cells_as_if_they_were_images(height: int, width: int, dtype: torch.dtype) -> None:
    pyramid = lived(PyramidPooling(8, 6), dtype)
    assert isinstance(pyramid, PyramidPooling)
    features = torch.randn(2, 8, height, width, dtype=dtype)
    assert_equal(SplitPyramid(pyramid)(features), pyramid(features))


@hypothesis_settings(max_examples=25)
@given(
    height=SIDES,
    width=SIDES,
    pooling=st.sampled_from([3, 4, 6, 8]),
    reasoning=st.booleans(),
    edges=st.sampled_from([None, (9, 7), (20, 20)]),
    dtype=DTYPES,
)
@torch.inference_mode()
def test_projections_of_vertices_are_those_of_pixels(
    height: int, width: int, pooling: int, reasoning: bool, edges: tuple[int, int] | None, dtype: torch.dtype
) -> None:
    module = lived(EAGR(7, 6, 5, pooling, reasoning), dtype)
    assert isinstance(module, EAGR)
    features = torch.randn(2, 7, height, width, dtype=dtype)
    before = features.clone()
    logits = None if edges is None else torch.randn(2, 2, *edges, dtype=dtype)
    assert_equal(VertexEAGR(module)(features, logits), module(features, logits))
    assert torch.equal(features, before)


@hypothesis_settings(max_examples=25)
@given(high=SIDES, low=SIDES, dtype=DTYPES)
@torch.inference_mode()
def test_the_decoder_may_convolve_before_it_resizes(high: int, low: int, dtype: torch.dtype) -> None:
    decoder = lived(Decoder(9, 7, 8, 3, 5), dtype)
    assert isinstance(decoder, Decoder)
    coarse, fine = torch.randn(2, 9, high, high + 1, dtype=dtype), torch.randn(2, 7, low, low + 2, dtype=dtype)
    assert_equal(EarlyDecoder(decoder)(coarse, fine), decoder(coarse, fine))


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
