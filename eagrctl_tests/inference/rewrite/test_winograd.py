import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.inference.rewrite import winograd
from eagrctl.inference.rewrite.folding import FoldedConvolution
from eagrctl.inference.rewrite.winograd import WinogradConvolution, fastest
from eagrctl_tests.inference.rewrite.conftest import ROUNDING, assert_equal


@given(
    height=st.integers(1, 23),
    width=st.integers(1, 23),
    batch=st.integers(1, 3),
    dilation=st.integers(1, 4),
    slope=st.sampled_from([0.0, 0.01, 1.0]),
    added=st.booleans(),
    dtype=st.sampled_from(list(ROUNDING)),
)
@torch.inference_mode()
def test_it_equals_the_direct_convolution(
    height: int, width: int, batch: int, dilation: int, slope: float, added: bool, dtype: torch.dtype
) -> None:
    weight, bias = torch.randn(5, 7, 3, 3, dtype=dtype), torch.randn(5, dtype=dtype)
    images = torch.randn(batch, 7, height, width, dtype=dtype)
    plus = torch.randn(batch, 5, height, width, dtype=dtype) if added else None
    around = (dilation, dilation)
    ours = WinogradConvolution(FoldedConvolution(weight, bias, slope, padding=around, dilation=around))
    expected = F.conv2d(images, weight, bias, padding=dilation, dilation=dilation)
    if plus is not None:
        expected = expected + plus
    untouched = images.clone()
    assert_equal(ours(images, plus), F.leaky_relu(expected, slope), before=expected)
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
    weight = torch.randn(channels, winograd.WORTHWHILE // 128, kernel, kernel)
    direct = FoldedConvolution(
        weight, torch.zeros(channels), 0.0, (stride, stride), (padding, padding), (dilation, dilation)
    )
    assert (fastest(direct) is direct) is not chosen
