from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.data.align import widened
from eagrctl.geometry import transform
from eagrctl.inference.predict import Segmenter
from eagrctl.parsing.frames import EDGE, WIDER, blended, reaches_out
from eagrctl.parsing.labelling import label_faces
from eagrctl.parsing.placing import Square, cut_out, window_of
from eagrctl.recipe import InputRecipe

SIZE = 33
SKIN, HAIR = 1, 2


def logits_of(labels: np.ndarray, classes: int = 3) -> torch.Tensor:
    """Logits that are sure of labels, (h, w)."""
    return 20 * torch.nn.functional.one_hot(torch.from_numpy(labels).long(), classes).permute(2, 0, 1).float()


@given(st.floats(-3, 3), st.floats(0.1, 5), st.floats(-100, 100), st.floats(-100, 100))
def test_a_wider_square_has_the_same_middle_and_twice_the_reach(
    turn: float, scale: float, across: float, down: float
) -> None:
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.column_stack([linear, [across, down]])
    place = np.random.default_rng(0).uniform(0, 100, (5, 2))
    middle = (SIZE - 1) / 2
    close, wide = transform(matrix, place) - middle, transform(widened(matrix, SIZE, WIDER), place) - middle
    assert np.allclose(close, 2 * wide)


@pytest.mark.parametrize(
    ("what", "rows", "columns", "expected"),
    [
        (HAIR, slice(3, 6), slice(0, 1), True),  # the left edge, inside the photo
        (HAIR, slice(3, 6), slice(1, 8), False),  # touches none
        (SKIN, slice(3, 6), slice(0, 1), False),  # is never larger than the square
        (HAIR, slice(8, 9), slice(3, 6), False),  # the lower edge, which is the photo's
    ],
)
def test_only_outer_parts_at_an_edge_inside_the_photo_reach_out(
    what: int, rows: slice, columns: slice, expected: bool
) -> None:
    labels = np.zeros((9, 9), np.uint8)
    labels[rows, columns] = what
    # The square's lower edge lies on that of a photo of 200 x 200; around its other edges there is more.
    matrix = np.array([[1.0, 0, -100], [0, 1.0, 32.5 - 199.5]])
    assert reaches_out(logits_of(labels), matrix, SIZE, (200, 200), [HAIR]) == expected


def test_the_close_look_decides_in_the_middle_and_the_wide_one_beyond() -> None:
    close, wide = torch.randn(3, 9, 9), torch.randn(3, 9, 9)
    wide[0] += 5  # nothing stands out that could be another head
    both = blended(close, wide, [SKIN, HAIR])
    assert both.shape == (3, 17, 17)
    assert torch.allclose(both[:, 8, 8], close.log_softmax(dim=0)[:, 4, 4])
    assert torch.allclose(both[:, ::2, ::2][:, 0], wide.log_softmax(dim=0)[:, 0], atol=1e-4)
    # On the inner square's very edge, it is the wide one alone, so that there is no step.
    assert torch.allclose(both[:, 4, 4:13:2], wide.log_softmax(dim=0)[:, 2, 2:7], atol=1e-4)
    assert 0 < EDGE < 0.5


def test_eyes_and_lips_are_not_found_beyond_the_close_look_nor_are_other_heads() -> None:
    close, wide = np.zeros((9, 9), np.uint8), np.zeros((17, 17), np.uint8)
    close[2:7, 2:7] = SKIN
    close[0:3, 4] = HAIR
    wide[0:8, 8] = HAIR  # hangs together with what the close look shows
    wide[12:, 12:] = HAIR  # does not
    wide[2, 0:5] = SKIN
    found = blended(logits_of(close), logits_of(wide), [HAIR]).argmax(dim=0).numpy()
    assert (found[0:5, 8] == HAIR).all()
    assert found[8, 8] == SKIN
    assert (found[13:, 13:] == 0).all()
    assert (found[2, 0:5] == 0).all()


@dataclass
class Colours:
    """Stands in for a network: green is skin, red is hair."""

    recipe: InputRecipe
    looks: int = 0

    def logits(self, images: list[np.ndarray]) -> torch.Tensor:
        self.looks += len(images)
        red, green = (np.stack(images)[..., channel][:, ::4, ::4] > 128 for channel in (0, 1))
        return torch.stack([logits_of(each) for each in np.where(red, HAIR, np.where(green, SKIN, 0))])


@pytest.mark.parametrize(("reach", "looks"), [(10, 1), (25, 2), (60, 3)])
def test_hair_is_followed_as_far_as_it_goes(reach: int, looks: int) -> None:
    photo = np.zeros((200, 200, 3), np.uint8)
    photo[90:110, 90:110, 1] = 255
    photo[95:105, 100 : 100 + reach] = [255, 0, 0]
    matrix = np.array([[1.0, 0, -84], [0, 1.0, -84]])
    square = Square(photo, cut_out(photo, matrix, SIZE), matrix, window_of(matrix, SIZE, photo.shape), "landmarks")
    segmenter = Colours(InputRecipe(SIZE, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
    (face,) = label_faces(cast_(segmenter), [square], outer=[HAIR])
    assert segmenter.looks == len(face.matrices) == looks
    assert np.array_equal(face.matrix, matrix)
    found = face.in_photo((200, 200)) == HAIR
    true = photo[..., 0] > 0
    assert (found & true).sum() / (found | true).sum() > 0.6
    assert abs(int(np.nonzero(found)[1].max()) - (99 + reach)) < 8
    (alone,) = label_faces(cast_(segmenter), [square])
    assert len(alone.matrices) == 1
    assert alone.window == square.window


def cast_(segmenter: Colours) -> Segmenter:
    return segmenter  # type: ignore[return-value]
