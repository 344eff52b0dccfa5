"""A run's curves and pictures in TensorBoard, which is an extra: `pip install 'eagrctl[tensorboard]'`."""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from eagrctl.errors import TrainingError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def require_tensorboard() -> None:
    """Refuse, before any work is done, what needs TensorBoard where there is none.

    Raises:
        TrainingError: it is not installed. Says how to get it.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise TrainingError(
            "TensorBoard is an extra that is not installed: pip install 'eagrctl[tensorboard]', or train without "
            "--tensorboard"
        )


def tensorboard_log(folder: Path, enabled: bool, step: int = 0) -> "TensorBoardLog":
    """Open the log of a run, or one that writes nothing.

    Args:
        folder: where TensorBoard's files go; those of earlier sittings stay.
        enabled: whether to write at all; where several processes train, the first alone does.
        step: the one that training goes on from. TensorBoard forgets what it was shown of later ones, because they are
            taken again.

    Raises:
        TrainingError: TensorBoard is not installed, or the folder cannot be written.
    """
    if not enabled:
        return TensorBoardLog(None, folder)
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    with _explained(folder):
        return TensorBoardLog(SummaryWriter(str(folder), purge_step=step + 1 if step else None), folder)


class TensorBoardLog:
    """Hands a run's figures to TensorBoard, epoch by epoch. `tensorboard_log` makes one.

    Its methods raise TrainingError where the folder cannot be written.

    Args:
        writer: None writes nothing.
        folder: where it writes, for messages.
    """

    def __init__(self, writer: "SummaryWriter | None", folder: Path) -> None:
        self._writer, self._folder = writer, folder

    def epoch(self, step: int, line: Mapping[str, Any]) -> None:
        """Write an epoch's scalars: `loss/total` and its terms, `val/mean_f1` and the other scores, and `rate`.

        Args:
            step: steps taken.
            line: what the run's metrics hold of the epoch: `rate`, and `loss` and `val` by name.
        """
        if self._writer is None:
            return
        scalars = {f"{group}/{name}": value for group in ("loss", "val") for name, value in line[group].items()}
        with _explained(self._folder):
            for name, value in {**scalars, "rate": line["rate"]}.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def pictures(self, step: int, sheet: Image.Image) -> None:
        """Write a picture of photos, truths and predictions on the validation split."""
        if self._writer is None:
            return
        with _explained(self._folder):
            self._writer.add_image("val", np.asarray(sheet.convert("RGB")), step, dataformats="HWC")
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is None:
            return
        with _explained(self._folder):
            self._writer.close()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into one that the user can mend."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"cannot write {folder} ({error.strerror or error}): make room, or train without --tensorboard"
        ) from error
