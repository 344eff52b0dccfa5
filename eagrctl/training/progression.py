"""How far a run has come, which its last checkpoint holds beside the network; and how fast it goes."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from eagrctl.checkpoint import Checkpoint, load_checkpoint
from eagrctl.documents import Count, Number, Versioned, check
from eagrctl.errors import CheckpointError
from eagrctl.events import Listener, Notice, ignore
from eagrctl.network.loss import Losses
from eagrctl.recipe import Recipe
from eagrctl.training.run import Run
from eagrctl.training.step import Stepper

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

WINDOW = 10.0  # seconds that a rate is an average over, at least


@dataclass
class Progression(Versioned):
    """How far a run has come; all of it is in its last checkpoint.

    No random state is among it: whatever is drawn follows from seed, epoch and sample.

    Attributes:
        step: steps taken.
        validated: epochs validated.
        best: mean F1 of the best checkpoint on the validation split, or -1.
        seconds: spent training, validation left out, over all sittings.
        waited: those of them that went by waiting for data.
        line: what the metrics hold of the latest epoch that was validated; None before any.
        terms: sums of the terms of `Losses` over the current epoch's steps, float64.
    """

    step: Count = 0
    validated: Count = 0
    best: Number = -1.0
    seconds: Number = 0.0
    waited: Number = 0.0
    line: Mapping[str, Any] | None = None
    terms: torch.Tensor = field(default_factory=lambda: torch.zeros(len(Losses._fields), dtype=torch.float64))

    def as_dict(self, stepper: Stepper) -> dict[str, Any]:
        """The `training` entry of a checkpoint: plain types and tensors."""
        return {
            "optimiser": stepper.optimiser.state_dict(),
            "average": None if stepper.average is None else stepper.average.state_dict(),
            **vars(self),
        }

    @classmethod
    def restored(cls, training: Mapping[str, Any], stepper: Stepper) -> Self:
        """What `as_dict` wrote, the optimiser's state and the averaged weights put back into the stepper.

        Raises:
            CheckpointError: something else.
        """
        remedy = "start a new run"
        state = check(training, cls, "the checkpoint's training", CheckpointError, remedy)
        try:
            stepper.optimiser.load_state_dict(training["optimiser"])
            if stepper.average is not None:
                stepper.average.load_state_dict(training["average"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint cannot be resumed from ({error}): {remedy}") from None
        return state


def resumed(
    run: Run, recipe: Recipe, classes: tuple[str, ...], stepper: Stepper, listener: Listener = ignore
) -> Progression:
    """Put a run's last checkpoint back into the stepper; where it is damaged, the one before.

    Raises:
        CheckpointError: there is none, none can be read, or it is of another recipe or dataset.
    """
    checkpoint = _last(run, listener)
    if checkpoint.training is None or checkpoint.recipe != recipe or checkpoint.classes != classes:
        raise CheckpointError(f"{run.last} belongs to another recipe or dataset: start a new run")
    try:
        stepper.network.load_state_dict(dict(checkpoint.network))
    except RuntimeError:
        raise CheckpointError(f"{run.last} does not fit its own recipe: start a new run") from None
    return Progression.restored(checkpoint.training, stepper)


def _last(run: Run, listener: Listener) -> Checkpoint:
    newest, *others = run.saved or [run.last]
    try:
        return load_checkpoint(newest)
    except CheckpointError as error:
        for path in others:
            with suppress(CheckpointError):
                checkpoint = load_checkpoint(path)
                listener(Notice(f"{error}. Going on from {path}, step {checkpoint.step:,}.", warning=True))
                return checkpoint
        raise


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
