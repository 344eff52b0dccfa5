"""A run's curves and pictures in TensorBoard, which is an extra: `pip install 'eagrctl[tensorboard]'`."""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eagrctl.errors import TrainingError


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


class TensorBoardLog:
    """Hands a run's figures to TensorBoard, epoch by epoch.

    Its methods raise TrainingError where the folder cannot be written.

    Args:
        folder: where TensorBoard's files go; those of earlier sittings stay.
        step: the one that training goes on from. TensorBoard forgets what it was shown of later ones, because they are
            taken again.

    Raises:
        TrainingError: TensorBoard is not installed, or the folder cannot be written.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        with _explained(folder):
            self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def epoch(self, step: int, line: Mapping[str, Any], faces: Image.Image) -> None:
        """Write an epoch's scalars: `loss/total` and its terms, `val/mean_f1` and the other scores, and `rate`.

        Args:
            step: steps taken.
            line: what the run's metrics hold of the epoch: `rate`, and `loss` and `val` by name.
            faces: a picture of photos, truths and predictions on the validation split, shown as `val`.
        """
        scalars = {f"{group}/{name}": value for group in ("loss", "val") for name, value in line[group].items()}
        with _explained(self._folder):
            for name, value in {**scalars, "rate": line["rate"]}.items():
                self._writer.add_scalar(name, value, step)
            self._writer.add_image("val", np.asarray(faces.convert("RGB")), step, dataformats="HWC")
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
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
