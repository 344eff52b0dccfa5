import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.inference.rewrite.folding import FoldedConvolution, folded, is_foldable
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
    assert_equal(folded(unit)(images), unit(images))


@DTYPES
@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0])
@torch.inference_mode()
def test_what_is_added_comes_before_the_activation(slope: float, dtype: torch.dtype) -> None:
    weight, bias = torch.randn(7, 5, 3, 3, dtype=dtype), torch.randn(7, dtype=dtype)
    images, plus = torch.randn(2, 5, 9, 8, dtype=dtype), torch.randn(2, 7, 9, 8, dtype=dtype)
    before = plus.clone()
    ours = FoldedConvolution(weight, bias, slope, padding=(1, 1))(images, plus)
    assert_equal(ours, F.leaky_relu(F.conv2d(images, weight, bias, padding=1) + plus, slope))
    assert torch.equal(plus, before)


def test_results_have_channels_last() -> None:
    unit = lived(convolution(5, 7), torch.float32)
    assert isinstance(unit, nn.Sequential)
    assert folded(unit)(torch.randn(2, 5, 9, 8)).is_contiguous(memory_format=torch.channels_last)


class Other(ActivatedBatchNorm):
    pass


def test_only_what_is_known_exactly_is_folded() -> None:
    norm = ActivatedBatchNorm(4)
    assert is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3, bias=True), norm))
    assert not is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), norm))
    assert not is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3, padding="same"), norm))
    assert not is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), norm))
    assert not is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3), Other(4)))
    assert not is_foldable(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)))
    assert not is_foldable(nn.ConvTranspose2d(4, 4, 3))


@torch.inference_mode()
def test_a_bias_before_the_norm_is_folded_too() -> None:
    unit = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), ActivatedBatchNorm(6))
    lived(unit)
    images = torch.randn(1, 4, 7, 7, dtype=torch.float64)
    assert_equal(folded(unit)(images), unit(images))


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_bare_convolution_takes_the_same_way(bias: bool) -> None:
    conv = nn.Conv2d(4, 6, 3, padding=1, bias=bias)
    images = torch.randn(1, 4, 7, 7)
    assert_equal(folded(conv)(images), conv(images))
