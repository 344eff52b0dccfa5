"""Activated batch norm, and the convolution that comes before it everywhere.

The paper normalises with In-Place Activated Batch Norm [37]: batch norm, then a leaky ReLU of slope 0.01. This is the
same function from torch's own pieces. What the original is known for, memory, comes from `eagrctl.network.recompute`.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

LEAKY_SLOPE = 0.01


class ActivatedBatchNorm(nn.BatchNorm2d):
    """Batch norm followed by a leaky ReLU, (B, C, H, W) -> (B, C, H, W).

    Where training runs in several processes, the statistics are those of all their images. Every process of the default
    group then has to call it, with batches that may differ in size. GPUs use torch's `SyncBatchNorm`, which refuses
    CPUs, as torch's distributed training does any network on CPUs that has one.

    Args:
        channels: C.
        slope: of the activation below zero. 0 gives a plain ReLU, which is what a leaky ReLU followed by a ReLU is;
            1 gives no activation at all.
        ceiling: what a plain ReLU is cut off at, if at anything.
    """

    def __init__(self, channels: int, slope: float = LEAKY_SLOPE, ceiling: float | None = None) -> None:
        super().__init__(channels, eps=1e-5)
        self.slope, self.ceiling = slope, ceiling

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  # torch's name for it
        """Normalise, then activate."""
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        normalise = self._over_processes if self.training and several else super().forward
        normalised = normalise(input)
        if self.slope == 1:
            return normalised
        # In place: batch norm keeps its input for the backward pass, so its output is free to be overwritten.
        if self.ceiling is not None:
            return F.hardtanh(normalised, 0.0, self.ceiling, inplace=True)
        return F.leaky_relu(normalised, self.slope, inplace=True)

    def _over_processes(self, features: torch.Tensor) -> torch.Tensor:
        if features.device.type != "cpu":
            synchronised = nn.SyncBatchNorm(self.num_features, self.eps, self.momentum, device="meta")
            state = {**dict(self.named_parameters()), **dict(self.named_buffers())}
            found: torch.Tensor = functional_call(synchronised, state, (features,))
            return found
        normalised: torch.Tensor
        normalised, mean, variance, count = _SharedNorm.apply(  # type: ignore[no-untyped-call]  # as torch's stub has it
            features, self.weight, self.bias, self.eps
        )
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


class _SharedNorm(torch.autograd.Function):
    """Batch norm over the images of all processes, on CPUs.

    Takes features, (B, C, H, W), scale and shift, (C,), and what is added to the variance. Gives the normalised
    features; mean and biased variance, (C,); the number of values behind each, (). Gradients flow through the first
    alone. Those of scale and shift are of this process's images: averaging over processes is left to whoever averages
    all gradients.
    """

    @staticmethod
    def forward(
        ctx: Any, features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, ...]:
        own = torch.batch_norm_update_stats(features, None, None, 0.0)
        rows = _of_all(torch.cat([*own, own[0].new_tensor([features.numel() // features.shape[1]])]))
        means, variances = rows[:, :-1].chunk(2, dim=1)
        counts = rows[:, -1:]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        # Squared distances from the common mean, not a mean of squares less the squared mean, which loses digits.
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        ctx.save_for_backward(features, weight, mean, variance, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, count)
        # By given statistics, in one pass over memory: norms are bound by it on a CPU.
        return F.batch_norm(features, mean, variance, weight, bias, eps=eps), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient = gradients[0]
        features, weight, mean, variance, count = ctx.saved_tensors
        # With statistics taken as given, these two are the sums over this process's images.
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, features, weight, mean, variance, None, None, False, ctx.eps, [False, True, True]
        )
        sums = _of_all(torch.cat([of_weight, of_bias])).sum(0).view(2, -1)
        scale = weight * (variance + ctx.eps).rsqrt()
        stretch, shift = sums * (-scale / count)
        pulled = F.batch_norm(features, mean, variance, stretch, shift, eps=ctx.eps)
        return pulled.addcmul_(gradient, scale.view(1, -1, 1, 1)), of_weight, of_bias, None


def _of_all(row: torch.Tensor) -> torch.Tensor:
    """The rows that all processes have, (processes, length).

    A step has dozens of norms, and at each of them processes wait for one another. Messages from each to each take half
    the time of a collective operation, which passes through more threads.
    """
    rank, size = dist.get_rank(), dist.get_world_size()
    rows = row.expand(size, -1).contiguous()
    others = [other for other in range(size) if other != rank]
    pending = [dist.irecv(rows[other], other) for other in others] + [dist.isend(row, other) for other in others]
    for work in pending:
        assert work is not None
        work.wait()
    return rows


def convolution(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    dilation: int = 1,
    slope: float = LEAKY_SLOPE,
    groups: int = 1,
    ceiling: float | None = None,
) -> nn.Sequential:
    """A convolution without bias that keeps the size at stride 1, normalised and activated."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        ActivatedBatchNorm(outputs, slope, ceiling),
    )


def narrow(channels: int, width: float) -> int:
    """`channels` scaled by a recipe's `width`, to the nearest multiple of 8, at least 8."""
    return max(8, round(channels * width / 8) * 8)


def resize(features: torch.Tensor, size: tuple[int, int] | torch.Size) -> torch.Tensor:
    """Bilinear with aligned corners: 473 = 8 * 59 + 1, so the corners of all feature maps coincide."""
    return F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=True)
