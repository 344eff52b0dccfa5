"""How far a run has come: what its last checkpoint holds beside the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch

from eagrctl.errors import CheckpointError


@dataclass
class Progression:
    """How far a run has come; all of it is in its last checkpoint.

    Attributes:
        step: steps taken.
        validated: epochs validated.
        best: mean F1 of the best checkpoint on the validation split, or -1.
        seconds: spent training, validation left out, over all sittings.
        terms: sums of total, parsing, edge and boundary loss over the current epoch's steps.
    """

    step: int
    validated: int
    best: float
    seconds: float
    terms: torch.Tensor

    @classmethod
    def beginning(cls, device: torch.device) -> Self:
        """Nothing is done yet."""
        return cls(0, 0, -1.0, 0.0, torch.zeros(4, device=device))

    def as_dict(self, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """The `training` entry of a checkpoint: plain types and tensors."""
        return {
            "optimiser": optimiser.state_dict(),
            "step": self.step,
            "validated": self.validated,
            "best": self.best,
            "seconds": self.seconds,
            "terms": self.terms.cpu(),
        }

    @classmethod
    def restored(cls, training: Mapping[str, Any], optimiser: torch.optim.Optimizer, device: torch.device) -> Self:
        """What `as_dict` wrote, the optimiser's state put back into it.

        Raises:
            CheckpointError: something else.
        """
        try:
            optimiser.load_state_dict(training["optimiser"])
            return cls(
                step=training["step"],
                validated=training["validated"],
                best=training["best"],
                seconds=training["seconds"],
                terms=training["terms"].to(device),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"the checkpoint cannot be resumed from ({error}): start a new run") from None
