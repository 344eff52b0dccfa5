from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.drawing.pictures import Gallery, colourise, in_columns, save_picture, side_by_side
from eagrctl.errors import EagrctlError


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


def test_columns_hold_photos_and_label_maps_a_face_to_a_row() -> None:
    photo = np.full((40, 40, 3), (77, 3, 201), np.uint8)
    skin, hair = np.full((40, 40), 1, np.uint8), np.full((40, 40), 10, np.uint8)
    sheet = np.asarray(in_columns(["photo", "what it sees"], [[photo, photo], [skin, hair]], HELEN, side=50))
    assert sheet.shape[1] == 8 + 2 * 58
    top = int(np.nonzero((sheet == (77, 3, 201)).all(axis=2))[0].min())
    for colour, left, down in (
        ((77, 3, 201), 8, 0),
        ((77, 3, 201), 8, 58),
        (HELEN.colours[1], 66, 0),
        (HELEN.colours[10], 66, 58),
    ):
        assert (sheet[top + down : top + down + 50, left : left + 50] == colour).all()
        assert (sheet[top + down + 50, left : left + 50] == 255).all()


def test_a_title_too_wide_for_its_column_takes_more_lines_and_stays_in_it() -> None:
    blank = np.zeros((20, 20), np.uint8)
    titles = ["Edge, Graph, Reasoning", ""]
    sheet = np.asarray(in_columns(titles, [[blank], [blank]], HELEN, side=90))
    one_line = in_columns(["Edge", ""], [[blank], [blank]], HELEN, side=90)
    added = sheet.shape[0] - one_line.height
    assert added > 0
    heading = sheet[: 18 + added]
    assert (heading[:, 8:98].min(axis=(1, 2)) < 128).sum() > 18
    assert (heading[:, 98:] == 255).all()


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 4), "red")
    save_picture(picture, tmp_path / "red.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "red.png")), np.asarray(picture))
    with pytest.raises(EagrctlError, match="cannot write"):
        save_picture(picture, tmp_path / "missing" / "red.png")
    assert [path.name for path in tmp_path.iterdir()] == ["red.png"]
