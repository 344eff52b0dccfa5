from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.errors import EagrctlError
from eagrctl.inference.visualise import Gallery, colourise, save_picture, side_by_side


def test_each_label_gets_its_colour() -> None:
    labels = np.array([[0, 1, 10, 255]], np.uint8)
    assert colourise(labels, HELEN)[0].tolist() == [*map(list, (HELEN.colours[n] for n in (0, 1, 10))), [255] * 3]


def test_a_sheet_shows_photo_truth_and_prediction_of_each_face() -> None:
    photo = np.full((40, 40, 3), (77, 3, 201), np.uint8)
    truth, prediction = np.full((40, 40), 1, np.uint8), np.full((40, 40), 10, np.uint8)
    sheet = np.asarray(side_by_side([(photo, truth, prediction)] * 3, HELEN, side=50, across=2))
    colours = {tuple(colour) for colour in sheet.reshape(-1, 3)}
    assert {(77, 3, 201), HELEN.colours[1], HELEN.colours[10]} <= colours
    assert (sheet == (77, 3, 201)).all(axis=2).sum() == 3 * 50 * 50


def test_a_gallery_keeps_faces_from_all_over_the_split(tiny_data: ShardIndex) -> None:
    gallery = Gallery(12, wanted=3)
    for number in range(12):
        face = tiny_data.read("train", number)
        gallery.look(face, face.source_labels)
    kept = gallery.draw(CELEBAMASK_HQ)
    expected = [tiny_data.read("train", number) for number in (0, 4, 8)]
    sheet = side_by_side([(face.image, face.labels, face.labels) for face in expected], CELEBAMASK_HQ)
    assert np.array_equal(np.asarray(kept), np.asarray(sheet))


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 4), "red")
    save_picture(picture, tmp_path / "red.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "red.png")), np.asarray(picture))
    with pytest.raises(EagrctlError, match="cannot write"):
        save_picture(picture, tmp_path / "missing" / "red.png")
    assert [path.name for path in tmp_path.iterdir()] == ["red.png"]
