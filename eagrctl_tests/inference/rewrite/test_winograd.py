import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from eagrctl.inference.rewrite import winograd
from eagrctl.inference.rewrite.winograd import WinogradConvolution, fastest
from eagrctl_tests.inference.rewrite.conftest import ROUNDING, assert_equal


@given(
    height=st.integers(1, 23),
    width=st.integers(1, 23),
    batch=st.integers(1, 3),
    dilation=st.integers(1, 4),
    dtype=st.sampled_from(list(ROUNDING)),
)
@torch.inference_mode()
def test_it_equals_the_direct_convolution(
    height: int, width: int, batch: int, dilation: int, dtype: torch.dtype
) -> None:
    direct = nn.Conv2d(7, 5, 3, padding=dilation, dilation=dilation, dtype=dtype)
    images = torch.randn(batch, 7, height, width, dtype=dtype)
    untouched = images.clone()
    assert_equal(WinogradConvolution(direct)(images), direct(images))
    assert torch.equal(images, untouched)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "channels", "processor", "chosen"),
    [
        (3, 1, 1, 1, 128, "AVX2", True),
        (3, 1, 2, 2, 128, "AVX2", True),
        (3, 1, 1, 1, 128, "AVX512", False),
        (3, 1, 1, 1, 127, "AVX2", False),
        (3, 2, 1, 1, 128, "AVX2", False),
        (3, 1, 0, 1, 128, "AVX2", False),
        (1, 1, 0, 1, 128, "AVX2", False),
    ],
)
def test_it_is_chosen_where_it_is_right_and_wins(
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    channels: int,
    processor: str,
    chosen: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
    direct = nn.Conv2d(winograd.WORTHWHILE // 128, channels, kernel, stride, padding, dilation)
    assert (fastest(direct) is direct) is not chosen
