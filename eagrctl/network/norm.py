"""Activated batch norm, and the convolution that comes before it everywhere.

The paper normalises with In-Place Activated Batch Norm [37]: batch norm, then a leaky ReLU of slope 0.01. This is the
same function from torch's own pieces. What the original is known for, memory, comes from `eagrctl.network.recompute`.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from eagrctl.network.shared_statistics import normalise_over_processes

LEAKY_SLOPE = 0.01


class ActivatedBatchNorm(nn.BatchNorm2d):
    """Batch norm followed by a leaky ReLU, (B, C, H, W) -> (B, C, H, W).

    Where training runs in several processes, the statistics are those of all their images: on GPUs by the forward pass
    of torch's `SyncBatchNorm`, on CPUs, which it refuses, by `normalise_over_processes`. This is no `SyncBatchNorm`
    itself, because torch's distributed training refuses networks on CPUs that have one.

    Args:
        channels: C.
        slope: of the activation below zero. 0 gives a plain ReLU, which is what a leaky ReLU followed by a ReLU is;
            1 gives no activation at all.
    """

    def __init__(self, channels: int, slope: float = LEAKY_SLOPE) -> None:
        super().__init__(channels, eps=1e-5)
        self.slope = slope

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  # torch's name for it
        """Normalise, then activate."""
        normalised = self._normalise(input)
        if self.slope == 1:
            return normalised
        # In place: batch norm keeps its input for the backward pass, so its output is free to be overwritten.
        return F.leaky_relu(normalised, self.slope, inplace=True)

    # What the forward pass of `SyncBatchNorm` asks of its module beside what every batch norm has.
    process_group = None
    _check_non_zero_input_channels = nn.SyncBatchNorm._check_non_zero_input_channels

    def _normalise(self, features: torch.Tensor) -> torch.Tensor:
        if not (self.training and _several_processes()):
            alone: torch.Tensor = super().forward(features)
            return alone
        if features.device.type != "cpu":
            return nn.SyncBatchNorm.forward(self, features)  # type: ignore[arg-type]
        normalised, mean, variance, count = normalise_over_processes(features, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(mean, self.momentum)
                # As torch's own: the running variance is the unbiased one.
                self.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), self.momentum)
        return normalised


def _several_processes() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1, slope: float = LEAKY_SLOPE
) -> nn.Sequential:
    """A convolution without bias that keeps the size at stride 1, normalised and activated."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False),
        ActivatedBatchNorm(outputs, slope),
    )


def narrow(channels: int, width: float) -> int:
    """`channels` scaled by a recipe's `width`, to the nearest multiple of 8, at least 8."""
    return max(8, round(channels * width / 8) * 8)


def resize(features: torch.Tensor, size: tuple[int, int] | torch.Size) -> torch.Tensor:
    """Bilinear with aligned corners: 473 = 8 * 59 + 1, so the corners of all feature maps coincide."""
    return F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=True)
