from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet, in_full, in_words, label_set_of
from eagrctl.drawing.overlay import (
    COLOUR,
    LONGEST,
    SHORTEST,
    coloured,
    legend,
    palette,
)
from eagrctl.drawing.overlay import (
    overlay as drawn_overlay,
)
from eagrctl.parsing.parsed import ParsedPhoto
from eagrctl_tests.parsing.photos import parsed_photo

AROUND = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))


def overlay(parsed: ParsedPhoto, label_set: LabelSet, boxed: bool = True) -> Image.Image:
    boxes = [face.box for face in parsed.faces] if boxed else []
    return drawn_overlay(parsed.image, parsed.labels, label_set, boxes)


def photo_of(labels: np.ndarray, grey: int = 100) -> ParsedPhoto:
    return ParsedPhoto(np.full((*labels.shape, 3), grey, np.uint8), labels, CELEBAMASK_HQ.names)


def test_each_label_gets_its_colour() -> None:
    labels = np.array([[0, 1, 10, 255]], np.uint8)
    assert palette(HELEN)[labels][0].tolist() == [*map(list, (HELEN.colours[n] for n in (0, 1, 10))), [255] * 3]


def test_classes_show_their_colours_through_and_background_is_the_photo_itself() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[:, :30] = 13
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    shown = coloured(photo, labels, CELEBAMASK_HQ)
    assert shown.shape == (40, 60, 3)
    assert np.array_equal(shown[:, 31:], photo[:, 31:])
    expected = COLOUR * np.array(CELEBAMASK_HQ.colours[13]) + (1 - COLOUR) * photo[:, :29].astype(float)
    assert np.abs(shown[:, :29] - expected).max() <= 2


def test_borders_between_classes_are_white_lines_two_pixels_wide_at_most() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[:, 10:] = 1
    shown = coloured(np.zeros((20, 20, 3), np.uint8), labels, CELEBAMASK_HQ).astype(int)
    bright = np.flatnonzero(shown[10].min(axis=1) > 88)  # half of skin's blue is 85
    assert set(bright) <= {9, 10}
    assert bright.size


@given(
    height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 99), scale=st.sampled_from([0.4, 1, 2.3])
)
def test_any_shape_can_be_drawn_at_any_size(height: int, width: int, seed: int, scale: float) -> None:
    labels = np.random.default_rng(seed).integers(0, 19, (height, width), dtype=np.uint8)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    assert coloured(np.zeros((height, width, 3), np.uint8), labels, CELEBAMASK_HQ, size).shape == (*size, 3)


@pytest.mark.parametrize(
    ("shape", "width"), [((2000, 4000), LONGEST), ((50, 100), SHORTEST), ((100, 50), SHORTEST // 2), ((700, 900), 900)]
)
def test_an_overlay_is_moderate_in_size_and_has_its_legend_below(shape: tuple[int, int], width: int) -> None:
    picture = overlay(photo_of(np.ones(shape, np.uint8)), CELEBAMASK_HQ)
    assert picture.width == width
    assert round(width * shape[0] / shape[1]) < picture.height < round(width * shape[0] / shape[1]) + 80


def test_the_legend_names_the_classes_that_occur_and_no_others() -> None:
    labels = np.zeros((80, 640), np.uint8)
    labels[:40, :300], labels[40:, :300] = 2, 14
    pixels = np.asarray(overlay(photo_of(labels), CELEBAMASK_HQ))[80:]
    colours = {tuple(colour) for colour in pixels.reshape(-1, 3)}
    for number, colour in enumerate(CELEBAMASK_HQ.colours[1:], 1):
        assert (colour in colours) == (number in (2, 14)), CELEBAMASK_HQ.names[number]


def test_a_photo_without_a_class_has_no_legend() -> None:
    assert overlay(photo_of(np.zeros((640, 640), np.uint8)), CELEBAMASK_HQ).height < 660


def test_rows_of_a_legend_are_added_where_a_picture_is_narrow() -> None:
    classes = range(1, 19)
    wide, narrow = (legend(CELEBAMASK_HQ, classes, width).height for width in (640, 320))
    assert narrow > wide


def test_several_faces_are_numbered_in_boxes_and_a_single_one_is_not() -> None:
    def framed(faces: int) -> bool:
        photo = parsed_photo(1, faces)
        scale = SHORTEST / max(photo.labels.shape)
        drawn, plain = (np.asarray(overlay(photo, CELEBAMASK_HQ, boxed)) for boxed in (True, False))
        assert photo.faces[0].box is not None
        left, top, right, bottom = (round(edge * scale) for edge in photo.faces[0].box)
        inside = slice(top + 3, bottom - 3), slice(left + 3, right - 3)
        assert np.array_equal(drawn[inside], plain[inside])
        corner = drawn[bottom - 1 : bottom + 1, right - 1 : right + 1]
        return not np.array_equal(drawn, plain) and bool((corner == 255).all(axis=2).any())

    assert framed(2)
    assert not framed(1)


def test_faces_without_a_box_are_left_alone() -> None:
    photo = parsed_photo(1, 2)
    bare = replace(photo, faces=tuple(replace(face, box=None) for face in photo.faces))
    assert np.array_equal(*(np.asarray(overlay(bare, CELEBAMASK_HQ, boxed)) for boxed in (True, False)))


def test_colours_are_the_datasets_where_its_classes_are_the_networks() -> None:
    assert label_set_of("lapa", HELEN.names) is HELEN
    assert label_set_of("celebamask-hq", CELEBAMASK_HQ.names) is CELEBAMASK_HQ
    for dataset, names in (("mine", ("background", "ear")), ("helen", ("background", "skin"))):
        made = label_set_of(dataset, names)
        assert made.names == names
        assert len(set(made.colours)) == 2


def test_short_names_are_put_into_words() -> None:
    assert (in_words("neck_l"), in_words("hair")) == ("necklace", "hair")
    assert (in_full("neck_l"), in_full("hair")) == ("neck_l (necklace)", "hair")
    # All short names are known.
    assert not any("_" in in_words(name) for name in CELEBAMASK_HQ.names)


@given(seed=st.integers(0, 999), height=st.integers(1, 40), width=st.integers(1, 40))
def test_only_what_has_a_class_or_lies_beside_it_is_changed(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    labels = (random.random((height, width)) < 0.03).astype(np.uint8)
    photo = random.integers(0, 200, (height, width, 3), dtype=np.uint8)
    changed = (coloured(photo, labels, CELEBAMASK_HQ) != photo).any(axis=2)
    wide = np.pad(labels, 1)
    near = sum(wide[1 + down : 1 + down + height, 1 + across : 1 + across + width] for down, across in AROUND)
    assert not (changed & (near == 0)).any()
    assert changed[labels == 1].all()
