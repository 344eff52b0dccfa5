"""How much memory the activations of a network take, counted tensor by tensor.

Counting needs shapes and no numbers, so networks are built and run on torch's meta device, where the full network takes
a second. The figures are a CPU's, to the byte. What kernels take on the side, as some convolutions do, is left out.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode  # torch documents it under this name alone

from eagrctl.network.eagrnet import EAGRNet
from eagrctl.network.loss import Weights, losses

BATCH = 2  # images of a training step; batch norm needs two


class ActivationMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own has no types
    """Counts the bytes of the tensors that operations make while it is on, for as long as these tensors live.

    Views, and results that are written in place, have no memory of their own. Tensors from before never count.

    Attributes:
        live: bytes of the tensors that are there now.
        peak: the most that `live` has been.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation, and look at the storages of its results."""
        kwargs = kwargs or {}
        given = {id(storage) for storage in _storages((args, kwargs))}
        results = func(*args, **kwargs)
        for storage in _storages(results):
            key = id(storage)  # torch keeps one object for each storage, as long as any tensor has it
            if key not in given and key not in self._sizes:
                self._sizes[key] = storage.nbytes()
                self.live += storage.nbytes()
                weakref.finalize(storage, self._forget, key).atexit = False
        self.peak = max(self.peak, self.live)
        return results

    def _forget(self, key: int) -> None:
        self.live -= self._sizes.pop(key)


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of activations per image in a training step, beside parameters, their gradients and the batch itself.

    Attributes:
        kept: held after the forward pass and the loss, for the backward pass.
        peak: the most there are at any moment of the step.
    """

    kept: int
    peak: int


def inference_memory(build: Callable[[], nn.Module], size: int) -> int:
    """The most bytes of activations at any moment while one image is parsed, beside parameters and the image.

    `build` makes the network, on torch's default device; `size` is the side of its square input, in pixels.
    """
    with torch.device("meta"):
        network = build().eval()
        image = torch.empty(1, 3, size, size)
    memory = ActivationMemory()
    with torch.inference_mode(), memory:
        network(image)
    return memory.peak


def training_memory(
    build: Callable[[], EAGRNet], size: int, edge_weight: float = 1.0, boundary_weight: float = 1.0
) -> TrainingMemory:
    """Bytes of activations per image in a step of two images: forward pass, loss (Eq. 7) and backward pass.

    The weights are the loss's lambda_1 and lambda_2; the rest is as in `inference_memory`.
    """
    with torch.device("meta"):
        network = build().train()
        images = torch.empty(BATCH, 3, size, size)
        labels = torch.empty(BATCH, size, size, dtype=torch.int64)
        edges = torch.empty(BATCH, size, size, dtype=torch.bool)
    # Gradients take as much however many images there are: made before, they do not count.
    for parameter in network.parameters():
        parameter.grad = torch.empty_like(parameter)
    memory = ActivationMemory()
    with memory:
        total = losses(network(images), labels, edges, Weights(edge_weight, boundary_weight)).total
        kept = memory.live
        torch.autograd.backward(total)
    return TrainingMemory(kept // BATCH, memory.peak // BATCH)


def _storages(values: Any) -> list[torch.UntypedStorage]:
    """Of the tensors among an operation's arguments or results, which may stand in lists."""
    if isinstance(values, torch.Tensor):
        return [values.untyped_storage()]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, (list, tuple)):
        return []
    return [storage for value in values for storage in _storages(value)]
