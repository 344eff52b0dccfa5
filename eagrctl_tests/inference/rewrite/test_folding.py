import pytest
import torch
from torch import nn

from eagrctl.inference.rewrite.folding import FoldedBlock, activated, folded, is_foldable
from eagrctl.network.backbone import RESIDUALS, STRIDES, BasicBlock, Block, Bottleneck, Form
from eagrctl.network.norm import ActivatedBatchNorm, convolution
from eagrctl_tests.inference.rewrite.conftest import ROUNDING, assert_equal, lived

DTYPES = pytest.mark.parametrize("dtype", ROUNDING)


@DTYPES
@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2), (7, 2, 1), (1, 2, 1)]
)
@torch.inference_mode()
def test_one_step_equals_convolution_norm_and_activation(
    kernel: int, stride: int, dilation: int, slope: float, dtype: torch.dtype
) -> None:
    unit = lived(convolution(5, 19, kernel, stride, dilation, slope), dtype)
    assert isinstance(unit, nn.Sequential)
    images = torch.randn(2, 5, 13, 18, dtype=dtype)
    assert_equal(activated(unit)(images), unit(images))


def test_results_have_channels_last() -> None:
    unit = lived(convolution(5, 7), torch.float32)
    assert isinstance(unit, nn.Sequential)
    assert activated(unit)(torch.randn(2, 5, 9, 8)).is_contiguous(memory_format=torch.channels_last)


class Other(ActivatedBatchNorm):
    pass


def test_only_what_is_known_exactly_is_folded() -> None:
    assert is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3), ActivatedBatchNorm(4)))
    assert not is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3), Other(4)))
    assert not is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)))
    assert not is_foldable(nn.ConvTranspose2d(4, 4, 3))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1, bias=True),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Conv2d(4, 6, 3, padding="same"),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    ],
)
@torch.inference_mode()
def test_any_convolution_keeps_what_it_does(conv: nn.Conv2d) -> None:
    unit = nn.Sequential(conv, ActivatedBatchNorm(6))
    lived(unit)
    images = torch.randn(1, 4, 7, 7, dtype=torch.float64)
    assert_equal(activated(unit)(images), unit(images))


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_bare_convolution_takes_the_same_way(bias: bool) -> None:
    conv = nn.Conv2d(4, 6, 3, padding=1, bias=bias)
    images = torch.randn(1, 4, 7, 7)
    assert_equal(folded(conv)(images), conv(images))


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("place", STRIDES)
@pytest.mark.parametrize(("inputs", "stride", "dilation"), [(16, 1, 1), (8, 1, 2), (8, 2, 1)])
@torch.inference_mode()
def test_a_block_is_the_same_folded(
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
