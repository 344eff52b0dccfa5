"""How fast training goes, and what it takes."""

import time

import torch

from eagrctl.training.progression import Progression

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

WINDOW = 10.0  # seconds that a rate is an average over, at least


class Pace:
    """Tells images a second and the share of the time spent waiting for data, over the last while.

    Args:
        state: how far the run has come.
        batch: images a step.
        device: whose memory is told.
    """

    def __init__(self, state: Progression, batch: int, device: torch.device) -> None:
        self._state, self._batch, self._device = state, batch, device
        self.restart()

    def restart(self) -> None:
        """Count from now on: something else than steps took time."""
        self._since = time.monotonic(), self._state.step, self._state.waited

    def told(self) -> str:
        """In words, such as "31.4 images/s, 2% waiting, 1.2 GB"; every ten seconds or so, a new while begins."""
        then, step, waited = self._since
        seconds = max(time.monotonic() - then, 1e-9)
        images = (self._state.step - step) * self._batch / seconds
        waiting = (self._state.waited - waited) / seconds
        if seconds > WINDOW:
            self.restart()
        return f"{images:.1f} images/s, {waiting:.0%} waiting, {peak_memory(self._device) / 1e9:.1f} GB"


def peak_memory(device: torch.device) -> int:
    """The most memory this process has had, in bytes: of its GPU, or of the machine. 0 where nobody tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
