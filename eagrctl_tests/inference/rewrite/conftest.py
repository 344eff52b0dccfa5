"""Networks whose norms do something, and how far two results are apart."""

import torch
from torch import nn

from eagrctl.network.norm import ActivatedBatchNorm

# What rounding may make of a result, relative to its largest value.
ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-9}


def lived(module: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A module in evaluation mode with norms as training may leave them: scales of both signs, any statistics."""
    for norm in module.modules():
        if isinstance(norm, ActivatedBatchNorm):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            nn.init.uniform_(norm.weight, -1.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.3, 2.0)
    return module.to(dtype).eval()


def assert_equal(ours: torch.Tensor, expected: torch.Tensor) -> None:
    """Check that two results are equal to rounding."""
    assert ours.shape == expected.shape
    assert ours.dtype == expected.dtype
    largest = expected.abs().max()
    assert float((ours - expected).abs().max()) <= ROUNDING[expected.dtype] * float(largest)
