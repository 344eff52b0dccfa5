from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.drawing.pictures import contact_sheet, save_picture, sheet
from eagrctl.errors import EagrctlError

TITLES = ("photo", "truth", "prediction")


def test_a_sheet_shows_photo_truth_and_prediction_of_each_face() -> None:
    photo = np.full((40, 40, 3), (77, 3, 201), np.uint8)
    truth, prediction = np.full((40, 40), 1, np.uint8), np.full((40, 40), 10, np.uint8)
    drawn = np.asarray(sheet(TITLES, [(photo, truth, prediction)] * 3, HELEN, side=50, across=2))
    colours = {tuple(colour) for colour in drawn.reshape(-1, 3)}
    assert {(77, 3, 201), HELEN.colours[1], HELEN.colours[10]} <= colours
    assert (drawn == (77, 3, 201)).all(axis=2).sum() == 3 * 50 * 50


def test_names_stand_below_their_groups() -> None:
    blank = np.zeros((20, 20, 3), np.uint8)
    drawn = np.asarray(sheet(["photo"], [[blank]] * 2, HELEN, side=50, across=1, names=["one", ""]))
    left, right = 8, 58
    tops = np.flatnonzero((drawn[:, left:right] == 0).all(axis=(1, 2)))[[0, 50]]
    below = [(drawn[top + 50 : top + 70] < 255).any() for top in tops]
    assert below == [True, False]


def test_a_contact_sheet_shows_stored_edges_in_white(tiny_data: ShardIndex) -> None:
    face = tiny_data.read("train", 0)
    bare = replace(face, edges=np.zeros_like(face.edges))
    edged = replace(face, edges=np.full_like(face.edges, 255))
    plain, white = (np.asarray(contact_sheet([each], CELEBAMASK_HQ))[30:150, 180:330] for each in (bare, edged))
    assert (white == 255).all()
    assert (plain < 255).any()


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 4), "red")
    save_picture(picture, tmp_path / "red.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "red.png")), np.asarray(picture))
    with pytest.raises(EagrctlError, match="cannot write"):
        save_picture(picture, tmp_path / "missing" / "red.png")
    assert [path.name for path in tmp_path.iterdir()] == ["red.png"]
