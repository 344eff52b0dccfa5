"""Batch norm over the images of all processes, on CPUs: `torch.nn.SyncBatchNorm` runs on accelerators only."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F


def normalise_over_processes(
    features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normalise by the mean and variance of all processes' features, and scale.

    Every process of the default group has to call it, each with a batch of its own, which may differ in size.

    Args:
        features: (B, C, H, W).
        weight: scale, (C,).
        bias: shift, (C,).
        eps: added to the variance.

    Returns:
        The normalised features; mean and biased variance, (C,); the number of values behind each, (). Gradients flow
        through the first alone, and those of `weight` and `bias` are of this process's images: averaging over
        processes is left to whoever averages all gradients.
    """
    found: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor] = _Normalise.apply(  # type: ignore[no-untyped-call]  # as torch's stub has it
        features, weight, bias, eps
    )
    return found


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, ...]:
        own = torch.batch_norm_update_stats(features, None, None, 0.0)
        rows = _of_all(torch.cat([*own, features.new_tensor([features.numel() // features.shape[1]])]))
        means, variances = rows[:, :-1].chunk(2, dim=1)
        counts = rows[:, -1:]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        # Squared distances from the common mean, not a mean of squares less the squared mean, which loses digits.
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        ctx.save_for_backward(features, weight, mean, variance, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, count)
        return _scaled(features, mean, variance, weight, bias, eps), mean, variance, count

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
        pulled = _scaled(features, mean, variance, stretch, shift, ctx.eps)
        return pulled.addcmul_(gradient, scale.view(1, -1, 1, 1)), of_weight, of_bias, None


def _scaled(
    features: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    eps: float,
) -> torch.Tensor:
    """Normalise by given statistics, in one pass over memory: norms are bound by it on a CPU."""
    return F.batch_norm(features, mean, variance, scale, shift, training=False, eps=eps)


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
