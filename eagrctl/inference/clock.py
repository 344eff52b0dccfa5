"""How long the parts of a piece of work take."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Clock:
    """Sums of seconds by part, in `seconds`.

    Args:
        parts: their names.
        device: on which they run; its work counts where it was asked for.
    """

    def __init__(self, parts: Sequence[str], device: torch.device) -> None:
        self.seconds = dict.fromkeys(parts, 0.0)
        self._device = device

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the block to a part."""
        start = time.perf_counter()
        yield
        wait_for(self._device)
        self.seconds[name] += time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was told; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
