"""`--gpus` -> a device."""

from typing import TYPE_CHECKING

from eagrctl.errors import EagrctlError

if TYPE_CHECKING:
    import torch


def choose_device(gpus: int | None) -> "torch.device":
    """The device that `--gpus` asks for; None takes a GPU if there is one.

    Raises:
        EagrctlError: more GPUs than there are, or more than one.
    """
    import torch

    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus is None:
        return torch.device("cuda" if present else "cpu")
    if gpus > present:
        found = f"only {present} GPU{'s are' if present > 1 else ' is'} visible" if present else "no GPU is visible"
        raise EagrctlError(
            f"--gpus {gpus}, but {found} to torch: --gpus {present} runs on {'what is there' if present else 'the CPU'}"
        )
    if gpus > 1:
        raise EagrctlError(f"--gpus {gpus}: this version trains in one process; use --gpus 1")
    return torch.device("cuda" if gpus else "cpu")
