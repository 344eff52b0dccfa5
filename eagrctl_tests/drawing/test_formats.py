import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.drawing.formats import is_ours, save_labels
from eagrctl.readers.images import read_labels
from eagrctl_tests.parsing.photos import parsed_photo


@given(height=st.integers(1, 80), width=st.integers(1, 80), seed=st.integers(0, 99))
def test_labels_come_back_as_ids_and_as_colours(height: int, width: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 19, (height, width), dtype=np.uint8)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "labels.png"
        save_labels(labels, CELEBAMASK_HQ, file)
        picture = Image.open(io.BytesIO(file.read_bytes()))
    with picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), labels)
        assert np.array_equal(np.asarray(picture.convert("RGB")), np.array(CELEBAMASK_HQ.colours)[labels])


def test_a_label_map_is_one_that_score_reads_and_that_is_known_as_ours(tmp_path: Path) -> None:
    labels = parsed_photo().labels
    save_labels(labels, CELEBAMASK_HQ, tmp_path / "ours.png")
    assert np.array_equal(read_labels(tmp_path / "ours.png", 19), labels)
    assert is_ours(tmp_path / "ours.png")


def test_pictures_of_others_are_not_ours(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "grey.png")
    (tmp_path / "text.png").write_text("dear diary")
    for name in ("grey.png", "text.png", "missing.png"):
        assert not is_ours(tmp_path / name)
