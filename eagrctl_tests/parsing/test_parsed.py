import numpy as np

from eagrctl.parsing.parsed import ParsedFace, ParsedPhoto


def test_a_face_lies_in_the_photo_where_its_window_is() -> None:
    face = ParsedFace(np.eye(2, 3), (1, 2, 3, 5), np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    expected = [[0, 0, 0, 0, 0], [0, 0, 1, 2, 3], [0, 0, 4, 5, 6], [0, 0, 0, 0, 0]]
    assert face.in_photo((4, 5)).tolist() == expected


def test_shares_are_counted_over_the_whole_photo() -> None:
    labels = np.array([[0, 0, 1], [2, 1, 0], [0, 0, 0]], np.uint8)
    photo = ParsedPhoto(np.zeros((3, 3, 3), np.uint8), labels, ("background", "skin", "nose", "hair"))
    assert photo.shares == {"background": 6 / 9, "skin": 2 / 9, "nose": 1 / 9, "hair": 0.0}
