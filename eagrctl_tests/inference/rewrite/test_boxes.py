"""Each box of the network beside its faster form."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eagrctl.inference.rewrite.decoder import EarlyDecoder
from eagrctl.inference.rewrite.pyramid import SplitPyramid
from eagrctl.inference.rewrite.reasoning import VertexEAGR
from eagrctl.inference.rewrite.residual import FoldedBlock
from eagrctl.network.backbone import RESIDUALS, STRIDES, BasicBlock, Block, Bottleneck, Form
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


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("place", STRIDES)
@pytest.mark.parametrize(("inputs", "stride", "dilation"), [(16, 1, 1), (8, 1, 2), (8, 2, 1)])
@torch.inference_mode()
def test_a_block_is_the_same_in_one_pass(
    inputs: int, stride: int, dilation: int, place: str, residual: str, dtype: torch.dtype
) -> None:
    blocks: list[Block] = [Bottleneck(inputs, 4, stride, dilation, Form(stride=place, residual=residual))]
    if place == "3x3":
        blocks.append(BasicBlock(inputs, 16, stride, dilation, Form(residual=residual)))
    for block in blocks:
        lived(block, dtype)
        features = torch.randn(2, inputs, 11, 9, dtype=dtype)
        before = features.clone()
        assert_equal(FoldedBlock(block)(features), block(features))
        assert torch.equal(features, before)
