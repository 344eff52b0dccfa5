from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from eagrctl.network.norm import ActivatedBatchNorm, convolution, resize

SLOPES = (0.01, 0.0, 1.0)


def norm_with_any_scale(channels: int, slope: float) -> ActivatedBatchNorm:
    """Negative scales too: In-Place ABN has none, this one may."""
    norm = ActivatedBatchNorm(channels, slope).double()
    for each, low in ((norm.weight, -1.0), (norm.bias, -1.0), (norm.running_mean, -1.0), (norm.running_var, 0.5)):
        nn.init.uniform_(each, low, 2.0)
    return norm


def written_out(
    features: torch.Tensor, norm: ActivatedBatchNorm, mean: torch.Tensor, var: torch.Tensor
) -> torch.Tensor:
    def spread(each: torch.Tensor) -> torch.Tensor:
        return each[None, :, None, None]

    scaled = spread(norm.weight) * (features - spread(mean)) / (spread(var) + 1e-5).sqrt() + spread(norm.bias)
    return torch.where(scaled > 0, scaled, norm.slope * scaled)


@settings(max_examples=20)
@given(st.sampled_from(SLOPES), st.integers(2, 4), st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
def test_in_training_it_is_batch_norm_and_a_leaky_relu(slope: float, batch: int, channels: int, h: int, w: int) -> None:
    torch.manual_seed(batch * h * w)
    norm = norm_with_any_scale(channels, slope)
    running_mean, running_var = norm.running_mean.clone(), norm.running_var.clone()
    for step in range(1, 3):
        features = torch.randn(batch, channels, h, w, dtype=torch.float64, requires_grad=True)
        pull = torch.randn_like(features)
        mean, var = features.mean((0, 2, 3)), features.var((0, 2, 3), unbiased=False)
        expected = written_out(features, norm, mean, var)
        learned = (features, norm.weight, norm.bias)
        wanted = torch.autograd.grad(expected, learned, pull)

        found = norm(features)
        assert torch.allclose(found, expected, atol=1e-12)
        for one, other in zip(torch.autograd.grad(found, learned, pull), wanted, strict=True):
            assert torch.allclose(one, other, rtol=1e-6, atol=1e-9)
        count = batch * h * w
        running_mean = 0.9 * running_mean + 0.1 * mean.detach()
        running_var = 0.9 * running_var + 0.1 * var.detach() * count / (count - 1)
        assert torch.allclose(norm.running_mean, running_mean, atol=1e-12)
        assert torch.allclose(norm.running_var, running_var, atol=1e-12)
        assert norm.num_batches_tracked == step


@pytest.mark.parametrize("slope", SLOPES)
def test_in_evaluation_it_uses_the_running_statistics_and_leaves_them_alone(slope: float) -> None:
    norm = norm_with_any_scale(4, slope).eval()
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    features = torch.randn(1, 4, 5, 3, dtype=torch.float64)
    expected = written_out(features, norm, norm.running_mean, norm.running_var)
    assert torch.allclose(norm(features), expected, atol=1e-12)
    assert all(torch.equal(buffer, before[name]) for name, buffer in norm.named_buffers())


@pytest.mark.parametrize("training", [True, False])
def test_a_slope_of_one_is_no_activation(training: bool) -> None:
    norm = ActivatedBatchNorm(3, slope=1.0).train(training)
    plain = nn.BatchNorm2d(3).train(training)
    features = torch.randn(2, 3, 4, 4)
    found = norm(features)
    assert torch.equal(found, plain(features))
    assert (found < -0.5).any()


@pytest.mark.parametrize("slope", SLOPES)
def test_what_is_overwritten_is_not_the_input(slope: float) -> None:
    features = torch.randn(2, 3, 4, 4)
    before = features.clone()
    ActivatedBatchNorm(3, slope)(features)
    ActivatedBatchNorm(3, slope).eval()(features)
    assert torch.equal(features, before)


def test_a_group_of_one_process_trains_as_no_group_does(tmp_path: Path) -> None:
    alone, grouped = ActivatedBatchNorm(3), ActivatedBatchNorm(3)
    features = torch.randn(2, 3, 4, 4)
    expected = alone(features)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        found = grouped(features)
    finally:
        dist.destroy_process_group()
    assert torch.equal(found, expected)
    assert torch.equal(grouped.running_var, alone.running_var)
    assert grouped.num_batches_tracked == 1


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 2), (7, 1)])
def test_a_convolution_keeps_the_size_and_has_no_bias(kernel: int, dilation: int) -> None:
    layer, norm = convolution(3, 8, kernel, dilation=dilation, slope=0.25)
    assert layer(torch.randn(1, 3, 11, 9)).shape == (1, 8, 11, 9)
    assert layer.bias is None
    assert norm.slope == 0.25


def test_resizing_keeps_the_corners() -> None:
    features = torch.arange(9.0).view(1, 1, 3, 3)
    grown = resize(features, (5, 9))
    assert torch.allclose(grown[0, 0, ::2, ::4], features[0, 0])
    assert torch.allclose(grown[0, 0, 0], torch.linspace(0, 2, 9))
