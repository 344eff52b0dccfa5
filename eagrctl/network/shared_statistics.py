"""Batch norm over the images of all processes, on CPUs: `torch.nn.SyncBatchNorm` runs on accelerators only."""

from typing import Any

import torch
import torch.distributed as dist


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
        own = features.numel() // features.shape[1]
        totals = torch.cat([features.sum((0, 2, 3)), features.new_tensor([own])])
        dist.all_reduce(totals)
        count = totals[-1]
        mean = totals[:-1] / count
        # Deviations from the common mean, not the mean of squares less the squared mean, which loses digits.
        centred = features - _spread(mean)
        squares = centred.square().sum((0, 2, 3))
        dist.all_reduce(squares)
        variance = squares / count
        inverse = (variance + eps).rsqrt()
        ctx.save_for_backward(features, weight, mean, inverse, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return centred * _spread(inverse * weight) + _spread(bias), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient = gradients[0]
        features, weight, mean, inverse, count = ctx.saved_tensors
        normalised = (features - _spread(mean)) * _spread(inverse)
        of_bias = gradient.sum((0, 2, 3))
        of_weight = (gradient * normalised).sum((0, 2, 3))
        both = torch.stack([of_bias, of_weight])
        dist.all_reduce(both)
        shift, stretch = both / count
        of_features = (gradient - _spread(shift) - normalised * _spread(stretch)) * _spread(inverse * weight)
        return of_features, of_weight, of_bias, None


def _spread(per_channel: torch.Tensor) -> torch.Tensor:
    return per_channel.view(1, -1, 1, 1)
