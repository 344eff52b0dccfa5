import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eagrctl.drawing.pictures import MARGIN
from eagrctl.paper.response_figure import BLUE, PALEST_BLACK, response_figure, shade
from eagrctl.paper.responses import Responses

SIZE = 49
GREY = 128
PALE = round(PALEST_BLACK + (255 - PALEST_BLACK) * GREY / 255)


def plain(level: int = GREY) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def responses(maps: torch.Tensor, edges: torch.Tensor | None = None) -> Responses:
    return Responses(maps, edges, 6, SIZE)


def draw(faces: int, vertices: list[int], edges: bool, side: int = SIZE) -> np.ndarray:
    maps = torch.full((faces, 16, 13, 13), 1 / 16)
    made = responses(maps, torch.zeros(faces, 13, 13) if edges else None)
    return np.asarray(response_figure(["a"] * faces, [plain()] * faces, made, vertices, side))


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels of a colour; the last two lie inside."""
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def panel(sheet: np.ndarray, below: int, side: int = SIZE) -> np.ndarray:
    """The first face's photo, which is plain, or what stands `below` it, up to the first response map."""
    plain_rows = np.lib.stride_tricks.sliding_window_view((sheet == GREY).all(axis=2), side, axis=1).all(axis=2)
    top, left = np.argwhere(plain_rows)[0]
    top += below * (side + MARGIN)
    return sheet[top : top + side, left : left + side].astype(int)


def panels(sheet: np.ndarray) -> int:
    """How many pictures of a plain photo there are, the photo itself or what lies under a flat response map."""
    return round((((sheet == GREY) | (sheet == PALE)).all(axis=2)).sum() / SIZE**2)


def test_there_is_a_column_per_face_and_a_row_per_vertex() -> None:
    one, two, three = draw(1, [5], False), draw(2, [5], False), draw(2, [5, 6], False)
    assert (panels(one), panels(two), panels(three)) == (2, 4, 6)
    assert two.shape[0] == one.shape[0]
    assert two.shape[1] - one.shape[1] > SIZE
    assert three.shape[1] == two.shape[1]
    assert three.shape[0] - two.shape[0] > SIZE
    with_edges = draw(2, [5, 6], True)
    assert three.shape[0] + SIZE < with_edges.shape[0] < three.shape[0] + 2 * SIZE
    assert panels(draw(1, [], True)) == 1


def test_the_rectangle_lies_around_the_anchors_cell() -> None:
    picture = panel(draw(1, [6], False), 1)
    # Of 13 pixels, four input pixels apart, vertex 6 has columns 6 to 8 and rows 4 to 6: from 5.5 * 4 to 8.5 * 4, and
    # from 3.5 * 4 to 6.5 * 4, which lie on pixels. Three pixels of outline come around the cell.
    left, top, right, bottom = where(picture, BLUE)
    assert (left + 2, top + 2) == (21, 13)
    assert (right - 2, bottom - 2) == (34, 26)
    assert (picture[16 - 2 : 24 + 2, 24 - 2 : 32 + 2] == PALE).all()
    assert (picture == BLUE).all(axis=2).sum() == (right - left + 1) * (bottom - top + 1) - 12 * 12


def test_the_rectangle_grows_with_the_figure() -> None:
    picture = panel(draw(1, [6], False, side=4 * SIZE), 1, 4 * SIZE)
    # Counted from the corner of the first pixel, the cell reaches from 22.5 to 34.5 and from 14.5 to 26.5 of 49.
    assert where(picture, BLUE) == (90 - 3, 58 - 3, 138 + 2, 106 + 2)


def test_a_rectangle_at_the_frame_stays_inside_it() -> None:
    made = responses(torch.full((1, 16, 3, 3), 1 / 16))
    blue = (panel(np.asarray(response_figure(["a"], [plain()], made, [0], SIZE)), 1) == BLUE).all(axis=2)
    # The cell is the first of three pixels that are 24 apart: it ends at 12, or at 12.5 from the frame's corner.
    rows, columns = np.nonzero(blue)
    assert (rows.min(), columns.min(), rows.max(), columns.max()) == (0, 0, 14, 14)
    assert blue.sum() == 15 * 15 - 9 * 9


def test_where_the_response_is_higher_the_photo_is_darker() -> None:
    maps = torch.zeros(1, 16, 13, 13)
    maps[0, 15] = torch.linspace(0.1, 0.3, 13).expand(13, 13)
    picture = panel(np.asarray(response_figure(["a"], [plain()], responses(maps), [15], SIZE)), 1)
    assert (np.diff(picture[: SIZE // 2].sum(axis=2), axis=1) < 0).all()
    assert picture[0, 0].tolist() == [PALE] * 3


@given(level=st.integers(0, 255), low=st.floats(0, 1), step=st.floats(0.02, 1))
def test_on_any_grey_higher_is_darker_in_no_channel_brighter(level: int, low: float, step: float) -> None:
    photo = Image.new("L", (2, 1), level).convert("RGB")
    pixels = shade(photo, np.array([[low, min(low + step, 1)]], np.float32)).astype(int)[0]
    assert (pixels[1] <= pixels[0]).all()
    assert low > 0.98 or pixels[1].sum() < pixels[0].sum()


def test_a_map_is_stretched_with_aligned_corners() -> None:
    maps = torch.zeros(1, 16, 13, 13)
    maps[0, 15, 0, 3] = 0.01  # at column 12, row 0 of the input
    picture = panel(np.asarray(response_figure(["a"], [plain()], responses(maps), [15], SIZE)), 1)
    darkness = 3 * PALE - picture.sum(axis=2)
    darkness[27:, 27:] = 0  # the rectangle
    assert np.unravel_index(darkness.argmax(), darkness.shape) == (0, 12)
    rows, columns = np.nonzero(darkness)
    assert set(rows) == set(range(4))
    assert set(columns) == set(range(9, 16))


def test_edges_are_black_where_they_are_likely() -> None:
    edges = torch.zeros(1, 13, 13)
    edges[0, :, 6] = 1
    edges[0, :, 9] = 0.4
    made = responses(torch.full((1, 16, 13, 13), 1 / 16), edges)
    picture = panel(np.asarray(response_figure(["a"], [plain()], made, [5], SIZE)), 1)
    assert [picture[20, column].tolist() for column in (24, 36, 12)] == [[0] * 3, [153] * 3, [255] * 3]


def test_a_long_name_stays_above_its_photo() -> None:
    made = responses(torch.full((2, 16, 13, 13), 1 / 16))
    names = ["a\nvery " + "long " * 50 + "name.jpg", "b"]
    sheet = np.asarray(response_figure(names, [plain()] * 2, made, [5], 100))
    plain_columns = (sheet == GREY).all(axis=2).sum(axis=0) >= 100
    columns = np.flatnonzero(plain_columns)
    assert len(columns) == 200
    top = np.flatnonzero((sheet == GREY).all(axis=2).sum(axis=1) >= 100)[0]
    written = np.nonzero((sheet[:top] < 255).any(axis=(0, 2)))[0]
    assert len(written) > 60
    # Letters may overhang their place by a pixel.
    assert all(np.abs(columns - column).min() <= 1 for column in written)
