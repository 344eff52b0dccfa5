from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.index import ShardIndex
from eagrctl.errors import EagrctlError
from eagrctl.scoring.prediction_files import PredictionFolder


def test_values_are_ids_and_colours_are_for_the_eye(tiny_data: ShardIndex, tmp_path: Path) -> None:
    face = tiny_data.read("val", 0)
    labels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8) % 19
    PredictionFolder(tmp_path / "made" / "here", tiny_data.labels).look(face, labels)
    with Image.open(tmp_path / "made" / "here" / f"{face.name}.png") as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), labels)
        colours = np.asarray(picture.convert("RGB"))
    assert np.array_equal(colours[0, 13], tiny_data.labels.colours[13])
    assert [path.name for path in (tmp_path / "made" / "here").iterdir()] == [f"{face.name}.png"]


def test_a_folder_with_something_in_it_is_refused(tiny_data: ShardIndex, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(EagrctlError, match="holds something already"):
        PredictionFolder(tmp_path, tiny_data.labels)
    with pytest.raises(EagrctlError, match="cannot write predictions"):
        PredictionFolder(tmp_path / "mine.txt" / "deeper", tiny_data.labels)
