"""How far a run has come: what its last checkpoint holds beside the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from eagrctl.checkpoint import Checkpoint, load_checkpoint
from eagrctl.errors import CheckpointError
from eagrctl.events import Listener, Notice, ignore
from eagrctl.recipe import Recipe
from eagrctl.training.run import Run
from eagrctl.training.step import Stepper


@dataclass
class Progression:
    """How far a run has come; all of it is in its last checkpoint.

    No random state is among it: whatever is drawn follows from seed, epoch and sample.

    Attributes:
        step: steps taken.
        validated: epochs validated.
        best: mean F1 of the best checkpoint on the validation split, or -1.
        seconds: spent training, validation left out, over all sittings.
        waited: those of them that went by waiting for data.
        terms: sums of total, parsing, edge and boundary loss over the current epoch's steps, float64.
    """

    step: int = 0
    validated: int = 0
    best: float = -1.0
    seconds: float = 0.0
    waited: float = 0.0
    terms: torch.Tensor = field(default_factory=lambda: torch.zeros(4, dtype=torch.float64))

    def as_dict(self, stepper: Stepper) -> dict[str, Any]:
        """The `training` entry of a checkpoint: plain types and tensors."""
        return {
            "optimiser": stepper.optimiser.state_dict(),
            "average": None if stepper.average is None else stepper.average.state_dict(),
            "step": self.step,
            "validated": self.validated,
            "best": self.best,
            "seconds": self.seconds,
            "waited": self.waited,
            "terms": self.terms,
        }

    @classmethod
    def restored(cls, training: Mapping[str, Any], stepper: Stepper) -> Self:
        """What `as_dict` wrote, the optimiser's state and the averaged weights put back into the stepper.

        Raises:
            CheckpointError: something else.
        """
        try:
            stepper.optimiser.load_state_dict(training["optimiser"])
            if stepper.average is not None:
                stepper.average.load_state_dict(training["average"])
            return cls(
                step=training["step"],
                validated=training["validated"],
                best=training["best"],
                seconds=training["seconds"],
                waited=training["waited"],
                terms=training["terms"],
            )
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint cannot be resumed from ({error}): start a new run") from None


def resumed(
    run: Run, recipe: Recipe, classes: tuple[str, ...], stepper: Stepper, listener: Listener = ignore
) -> Progression:
    """Put a run's last checkpoint back into the stepper; where it is damaged, the one before.

    Raises:
        CheckpointError: neither can be read, or it is of another recipe or dataset.
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
    try:
        return load_checkpoint(run.last)
    except CheckpointError as error:
        if not run.previous.is_file():
            raise
        checkpoint = load_checkpoint(run.previous)
        listener(Notice(f"{error}. Going on from {run.previous}, step {checkpoint.step:,}.", warning=True))
        return checkpoint
