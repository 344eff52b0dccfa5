"""Predictions as label PNGs, for `eagrctl score` and anybody else."""

from pathlib import Path

from eagrctl.arrays import Pixels
from eagrctl.data.labels import LabelSet
from eagrctl.data.shards import Stored
from eagrctl.drawing.formats import save_labels
from eagrctl.errors import EagrctlError
from eagrctl.files import replacing


class PredictionFolder:
    """Writes FOLDER/NAME.png for each face that passes by: ids of the dataset, in the source frame.

    The PNGs have a palette of the classes' colours, so that a viewer shows more than black; a pixel's value is its id.

    Args:
        folder: is made if it is not there.
        labels: the classes.

    Raises:
        EagrctlError: the folder holds something already, or cannot be made.
    """

    def __init__(self, folder: Path, labels: LabelSet) -> None:
        self.folder, self._labels = folder, labels
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise EagrctlError(f"{folder} holds something already: name another folder for the predictions")
        except OSError as error:
            raise EagrctlError(f"cannot write predictions to {folder}: {error.strerror or error}") from error

    def look(self, face: Stored, prediction: Pixels) -> None:
        """A face passes by, with its prediction in the source frame, (H, W) uint8; EagrctlError on a full disk."""
        path = self.folder / f"{face.name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                save_labels(prediction, self._labels, temporary, software="eagrctl evaluate")
        except OSError as error:
            raise EagrctlError(f"cannot write {path}: {error.strerror or error}") from error
