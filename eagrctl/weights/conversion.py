"""Converting a state dict key by key: each tensor exactly, and none lost in silence."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from eagrctl.errors import CheckpointError

BOOKKEEPING = "num_batches_tracked"  # how many batches a norm has seen; what it computes does not depend on it

Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Entry:
    """Where one tensor goes.

    Attributes:
        theirs, ours: its key in the file, and in our network.
        change: what makes their tensor ours.
    """

    theirs: str
    ours: str
    change: Change = torch.Tensor.clone


@dataclass(frozen=True)
class Conversion:
    """What became of a state dict.

    Attributes:
        tensors: ours.
        taken: keys of theirs that are in it.
        left: keys of theirs that our network has no use for, such as a classifier of ImageNet's classes.
        missing: keys that the file lacks and our network does without: counters of batches, which start at 0.
    """

    tensors: Mapping[str, torch.Tensor]
    taken: tuple[str, ...]
    left: tuple[str, ...]
    missing: tuple[str, ...]


def layer(theirs: str, ours: str, bias: bool = False) -> list[Entry]:
    """A convolution or linear map."""
    names = ("weight", "bias") if bias else ("weight",)
    return [Entry(f"{theirs}.{name}", f"{ours}.{name}") for name in names]


def norm(theirs: str, ours: str, scale: Change = torch.Tensor.clone) -> list[Entry]:
    """A batch norm, whose scale may need a change."""
    names = ("bias", "running_mean", "running_var", BOOKKEEPING)
    return [
        Entry(f"{theirs}.weight", f"{ours}.weight", scale),
        *(Entry(f"{theirs}.{name}", f"{ours}.{name}") for name in names),
    ]


def convert(
    state: Mapping[str, torch.Tensor],
    entries: Iterable[Entry],
    target: Mapping[str, torch.Tensor],
    source: str,
    droppable: tuple[str, ...] = (),
) -> Conversion:
    """Convert a state dict.

    Args:
        state: theirs.
        entries: one for each tensor of `target`.
        target: our network's state dict; only its shapes and dtypes count.
        source: the file, for messages.
        droppable: beginnings of keys that may be left.

    Raises:
        CheckpointError: a key that is missing or that nothing is known about, another shape, or a value that float32
            cannot hold.
    """
    converted: dict[str, torch.Tensor] = {}
    taken, missing = [], []
    for entry in entries:
        wanted = target[entry.ours]
        if entry.theirs not in state:
            if not entry.theirs.endswith(BOOKKEEPING):
                raise CheckpointError(f"{source} lacks {entry.theirs}: it is cut short, or of another network")
            missing.append(entry.theirs)
            converted[entry.ours] = torch.zeros((), dtype=wanted.dtype)
            continue
        tensor = entry.change(_exact(state[entry.theirs], wanted.dtype, entry.theirs, source))
        if tensor.shape != wanted.shape:
            raise CheckpointError(
                f"{source}: {entry.theirs} has the shape {list(state[entry.theirs].shape)}, which EAGRNet cannot "
                f"represent (it needs {list(wanted.shape)}): the file is of another network"
            )
        converted[entry.ours] = tensor.contiguous()
        taken.append(entry.theirs)
    lost = sorted(set(target) - set(converted))
    assert not lost, f"no entry for {lost}"
    rest = sorted(set(state) - set(taken))
    unknown = [key for key in rest if not key.startswith(droppable)] if droppable else rest
    if unknown:
        raise CheckpointError(
            f"{source} holds {unknown[0]}{f' and {len(unknown) - 1} keys more' if unknown[1:] else ''}, which EAGRNet "
            "has no place for; leaving it out would change the result, so nothing was imported"
        )
    return Conversion(converted, tuple(taken), tuple(rest), tuple(missing))


def _exact(tensor: torch.Tensor, dtype: torch.dtype, key: str, source: str) -> torch.Tensor:
    """The same values in another dtype."""
    cast = tensor.to(dtype)
    if not torch.equal(cast.to(tensor.dtype), tensor):
        raise CheckpointError(f"{source}: {key} holds values that {dtype} cannot hold exactly, or that are no numbers")
    if key.endswith("running_var") and bool((cast < 0).any()):
        raise CheckpointError(f"{source}: {key} holds a negative variance; the file is damaged")
    return cast
