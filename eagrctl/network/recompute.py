"""Training in the memory of In-Place ABN [37], by activation checkpointing.

Between two convolutions, batch norm keeps its input for the backward pass and the next convolution keeps its own, the
activated output: twice the memory of In-Place ABN, which keeps the output alone and inverts it. Inverting divides by
the scale, which therefore must not be small or change its sign. Here the norm's *input* is kept instead, and the
output is computed again when the next convolution needs it. That costs a norm and an activation, not a convolution:
recomputation stops as soon as the convolution has its input back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from eagrctl.network.norm import ActivatedBatchNorm


def worthwhile(module: nn.Module) -> bool:
    """Whether there will be a backward pass that needs activations."""
    return module.training and torch.is_grad_enabled()


def recomputed(
    function: Callable[..., torch.Tensor], *inputs: torch.Tensor, norms: Sequence[nn.Module]
) -> torch.Tensor:
    """`function(*inputs)`, of which only the inputs are kept; the rest is computed again in the backward pass.

    Args:
        function: nothing in it may be random.
        inputs: what it is given.
        norms: those that `function` runs; computing again leaves their running statistics alone.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_untouched(norms)

    result: torch.Tensor = checkpoint(
        function, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
    )
    return result


def before_last_norm(units: Sequence[nn.Sequential], features: torch.Tensor) -> torch.Tensor:
    """Run convolutions with their norms, up to and without the last norm, keeping no activated output.

    Args:
        units: as `eagrctl.network.norm.convolution` makes them.
        features: (B, C, H, W).
    """
    pending: torch.Tensor = units[0][0](features)
    for unit, following in pairwise(units):
        pending = recomputed(nn.Sequential(unit[1], following[0]), pending, norms=[unit[1]])
    return pending


@contextmanager
def _statistics_untouched(norms: Sequence[nn.Module]) -> Iterator[None]:
    touched = [norm for norm in norms if isinstance(norm, ActivatedBatchNorm)]
    kept = [list(norm.named_buffers(recurse=False)) for norm in touched]
    # Copies are updated instead. A norm told to track nothing would keep fewer tensors for the backward pass than it
    # did the first time, which torch's checkpoint refuses.
    for norm, buffers in zip(touched, kept, strict=True):
        for name, buffer in buffers:
            setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, buffers in zip(touched, kept, strict=True):
            for name, buffer in buffers:
                setattr(norm, name, buffer)
