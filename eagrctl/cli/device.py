"""`--gpus` -> a device."""

from typing import TYPE_CHECKING

import typer

from eagrctl.errors import EagrctlError

if TYPE_CHECKING:
    import torch


def count_gpus(gpus: str | None, cpu_processes: int | None, own: bool) -> tuple[bool, int]:
    """What `train` is asked to run on: whether on GPUs, and in how many processes on this machine.

    Args:
        gpus: a number, "all", or None for one GPU if there is one.
        cpu_processes: processes on the CPU, which excludes GPUs.
        own: whether the processes are this command's to start; else somebody else has decided how many there are.

    Raises:
        EagrctlError: more GPUs than there are, or both kinds.
    """
    import torch

    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cpu_processes is not None:
        if gpus not in (None, "0"):
            raise EagrctlError(f"--cpu-processes trains on the CPU: drop it, or --gpus {gpus}")
        return False, cpu_processes
    if gpus is None:
        return present > 0, 1
    if gpus == "all":
        if not present:
            raise EagrctlError("--gpus all, but no GPU is visible to torch: --gpus 0 runs on the CPU")
        return True, present
    if not gpus.isdigit():
        raise typer.BadParameter(f"--gpus {gpus} is neither a number nor 'all'")
    wanted = int(gpus)
    if own and wanted > present:
        raise EagrctlError(_too_few(wanted, present))
    return wanted > 0, max(1, wanted)


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
        raise EagrctlError(_too_few(gpus, present))
    if gpus > 1:
        raise EagrctlError(f"--gpus {gpus}: this command uses one; use --gpus 1")
    return torch.device("cuda" if gpus else "cpu")


def _too_few(wanted: int, present: int) -> str:
    found = f"only {present} GPU{'s are' if present > 1 else ' is'} visible" if present else "no GPU is visible"
    what = "what is there" if present else "the CPU"
    return f"--gpus {wanted}, but {found} to torch: --gpus {present} runs on {what}"
