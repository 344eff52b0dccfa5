from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.drawing.chart import Chart, save_chart
from eagrctl.drawing.figures import SIDE, VertexMaps, enlarged, label_figure, response_figure, shade

SIZE = 49
CELL = (22.0, 14.0, 34.0, 26.0)
FLAT = np.full((2, 13, 13), 1 / 16, np.float32)


def plain(level: int = 128) -> Pixels:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def draw(faces: int, vertices: Sequence[int], edges: bool = False, maps: np.ndarray = FLAT) -> Chart:
    rows = [VertexMaps(vertex, maps[:faces], CELL) for vertex in vertices]
    return response_figure(["a"] * faces, [plain()] * faces, FLAT[:faces] if edges else None, rows, SIZE)


def pixels(axes: Axes) -> np.ndarray:
    """The picture in one place of a figure."""
    (image,) = axes.images
    return np.asarray(image.get_array())


def placed(chart: Chart) -> list[Axes]:
    """Where a figure has pictures, row by row."""
    return [axes for axes in chart.axes if axes.images]


def test_there_is_a_column_per_face_and_a_row_per_vertex(tmp_path: Path) -> None:
    assert [len(placed(draw(faces, vertices))) for faces, vertices in ((1, [5]), (2, [5]), (2, [5, 6]))] == [2, 4, 6]
    assert len(placed(draw(2, [5, 6], edges=True))) == 8
    chart = draw(2, [5, 6], edges=True)
    assert [axes.get_ylabel() for axes in placed(chart)[::2]] == ["photo", "edges", "vertex 5", "vertex 6"]
    save_chart(chart, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as picture:
        assert 2 * SIDE < picture.width < 3 * SIDE
        assert 4 * SIDE < picture.height < 5.5 * SIDE


def test_the_rectangle_lies_around_the_anchors_cell_in_pixels_of_the_input() -> None:
    photo, response = placed(draw(1, [6]))
    assert not photo.patches
    (rectangle,) = response.patches
    left, top, right, bottom = rectangle.get_extents().transformed(response.transData.inverted()).extents
    assert sorted((left, right)) == pytest.approx([22, 34])
    assert sorted((top, bottom)) == pytest.approx([14, 26])
    assert response.get_xlim() == (-0.5, SIZE - 0.5)
    assert response.get_ylim() == (SIZE - 0.5, -0.5)


def test_where_the_response_is_higher_the_photo_is_darker_and_its_range_stands_below() -> None:
    rising = np.broadcast_to(np.linspace(0.1, 0.3, 13, dtype=np.float32), (1, 13, 13))
    (_, response) = placed(draw(1, [15], maps=rising))
    assert (np.diff(pixels(response).sum(axis=2), axis=1) < 0).all()
    assert response.get_xlabel() == "response 10 to 30 %"


@given(level=st.integers(0, 255), low=st.floats(0, 1), step=st.floats(0.02, 1))
def test_on_any_grey_higher_is_darker_in_no_channel_brighter(level: int, low: float, step: float) -> None:
    photo = np.full((1, 2, 3), level, np.uint8)
    shaded = shade(photo, np.array([[low, min(low + step, 1)]]))[0]
    assert (shaded[1] <= shaded[0]).all()
    assert low > 0.98 or shaded[1].sum() < shaded[0].sum()


@given(height=st.integers(1, 20), width=st.integers(1, 20), size=st.integers(20, 60), seed=st.integers(0, 99))
def test_maps_are_enlarged_with_corners_aligned(height: int, width: int, size: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((height, width), np.float32)
    expected = F.interpolate(
        torch.from_numpy(values)[None, None], size=(size, size), mode="bilinear", align_corners=True
    )
    assert np.abs(enlarged(values, size, size) - expected[0, 0].numpy()).max() < 1e-5


def test_maps_are_resized_as_the_photo_is() -> None:
    across = np.tile(np.linspace(0, SIZE - 1, 13, dtype=np.float32), (13, 1))  # each pixel's place in the input
    # Two pixels of the photo lie in one of the input, a quarter of it from its centre; the outermost lie in its frame.
    expected = [0, *np.arange(0.25, SIZE - 1, 0.5), SIZE - 1]
    assert enlarged(across, SIZE, 2 * SIZE)[7] == pytest.approx(expected, abs=1e-5)


def test_edges_are_dark_where_they_are_likely() -> None:
    edges = np.zeros((1, 13, 13), np.float32)
    edges[0, :, 6], edges[0, :, 9] = 1, 0.4
    chart = response_figure(["a"], [plain()], edges, [], SIZE)
    _, axes = placed(chart)
    (image,) = axes.images
    shown = image.to_rgba(image.get_array())
    assert shown[20, [24, 36, 12], 0] == pytest.approx([0, 0.6, 1], abs=0.01)


def test_a_long_name_stays_above_its_photo(tmp_path: Path) -> None:
    name = "a\nvery_" + "long_" * 50 + "name.jpg"
    chart = response_figure([name, "b"], [plain()] * 2, None, [VertexMaps(5, FLAT, CELL)], SIZE)
    save_chart(chart, tmp_path / "figure.png")
    axes = placed(chart)[0]
    title, box = axes.title.get_window_extent(), axes.get_window_extent()
    assert axes.get_title().startswith("a very_long")
    assert axes.get_title().endswith("name.jpg")
    assert box.x0 <= title.x0 < title.x1 <= box.x1


def test_columns_hold_photos_and_label_maps_a_face_to_a_row() -> None:
    photo = np.full((40, 40, 3), (77, 3, 201), np.uint8)
    skin, hair = np.full((40, 40), 1, np.uint8), np.full((40, 40), 10, np.uint8)
    chart = label_figure(["photo", "what it sees"], [[photo, photo], [skin, hair]], HELEN)
    places = placed(chart)
    assert [axes.get_title(loc="left") for axes in places] == ["photo", "what it sees", "", ""]
    colours = [tuple(pixels(axes)[20, 20].tolist()) for axes in places]
    assert colours == [(77, 3, 201), HELEN.colours[1], (77, 3, 201), HELEN.colours[10]]


def test_titles_stay_in_their_columns_and_classes_are_named_in_words(tmp_path: Path) -> None:
    blank = np.zeros((20, 20), np.uint8)
    chart = label_figure(["Edge, Graph, Reasoning, BA-loss", "Edge, Graph, BA-loss"], [[blank]] * 2, CELEBAMASK_HQ)
    save_chart(chart, tmp_path / "figure.png")
    for axes in placed(chart):
        (title,) = [text for text in axes.get_children() if getattr(text, "get_text", str)().startswith("Edge")]
        assert title.get_window_extent().x1 <= axes.get_window_extent().x1
    (legend,) = chart.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert len(named) == 19
    assert {"background", "earring", "necklace"} <= set(named)
