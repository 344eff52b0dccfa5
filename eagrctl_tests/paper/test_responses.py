from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st

from eagrctl.checkpoint import build_network
from eagrctl.data.dataset import normalise
from eagrctl.data.index import ShardIndex
from eagrctl.errors import CheckpointError, EagrctlError
from eagrctl.events import Notice, Progress
from eagrctl.inference.predict import Segmenter
from eagrctl.network.reasoning import GraphProjection
from eagrctl.paper.responses import anchor_cell, central_vertices, find_module, respond
from eagrctl.recipe import Recipe

MakePredictor = Callable[..., Segmenter]


@pytest.fixture
def predictor(tiny_recipe: Callable[..., Recipe]) -> MakePredictor:
    """An untrained network on inputs of 65 x 65, as the faces are stored."""

    def make(*overrides: str) -> Segmenter:
        recipe = tiny_recipe("input.size=65", *overrides)
        return Segmenter(build_network(recipe, 19), recipe.input, torch.device("cpu"))

    return make


@pytest.fixture
def faces(tiny_data: ShardIndex) -> list[np.ndarray]:
    return [tiny_data.read("val", number).image for number in range(3)]


def tensors(faces: list[np.ndarray], predictor: Segmenter) -> torch.Tensor:
    pixels = torch.stack([torch.from_numpy(face).permute(2, 0, 1) for face in faces])
    return normalise(pixels, predictor.recipe.mean, predictor.recipe.std)


@pytest.mark.parametrize(("module", "deployment"), [("high", 2), ("low", 2), ("both", 1), ("both", 3)])
def test_maps_are_what_the_projection_gives_for_its_inputs(
    predictor: MakePredictor, faces: list[np.ndarray], module: str, deployment: int
) -> None:
    ours = predictor(f"model.deployment={deployment}")
    responses = respond(ours, faces, module, batch=2)
    project = getattr(ours.network.reason, module).project
    seen: list[tuple[torch.Tensor, ...]] = []
    project.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    with torch.no_grad():
        ours.network(tensors(faces, ours))
        _, expected = project(*seen[0])
    height, width = seen[0][0].shape[2:]
    assert responses.maps.shape == (3, 16, height, width)
    torch.testing.assert_close(responses.maps.flatten(2), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(responses.maps.sum(dim=1), torch.ones(3, height, width))


def test_edges_are_the_probability_of_the_edge_channel(predictor: MakePredictor, faces: list[np.ndarray]) -> None:
    ours = predictor()
    edges = respond(ours, faces, "high").edges
    with torch.no_grad():
        logits = ours.network(tensors(faces, ours)).edges
    assert logits is not None
    torch.testing.assert_close(edges, 1 / (1 + (logits[:, 0] - logits[:, 1]).exp()))
    assert respond(predictor("model.edge=false"), faces, "high").edges is None


def test_the_network_stays_as_it_was(predictor: MakePredictor, faces: list[np.ndarray]) -> None:
    ours = predictor()
    before = {name: tensor.clone() for name, tensor in ours.network.state_dict().items()}
    respond(ours, faces, "low")
    with pytest.raises(TypeError, match="str"):
        respond(ours, [faces[0], "no face"], "low", batch=1)  # type: ignore[list-item]
    assert not any(module._forward_hooks for module in ours.network.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in ours.network.state_dict().items())


def test_progress_counts_faces(predictor: MakePredictor, faces: list[np.ndarray]) -> None:
    events: list[Progress | Notice] = []
    respond(predictor(), faces, "high", batch=2, listener=events.append)
    assert events == [Progress("Faces", 2, 3), Progress("Faces", 3, 3)]


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("model.graph=false", "the network has no graph modules"),
        ("model.deployment=0", "the network has no graph modules"),
        ("model.sampling=false", "the network has non-local blocks"),
    ],
)
def test_a_network_without_vertices_is_refused(predictor: MakePredictor, override: str, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=rf"{complaint}.*: name a checkpoint"):
        find_module(predictor(override).network)


@pytest.mark.parametrize(
    ("deployment", "module", "there"),
    [(1, "high", "but both"), (2, "both", "but high and low"), (3, "all", "but high and low and both")],
)
def test_a_module_that_is_not_there_names_those_that_are(
    predictor: MakePredictor, faces: list[np.ndarray], deployment: int, module: str, there: str
) -> None:
    with pytest.raises(EagrctlError, match=rf"has no module '{module}', {there}: choose"):
        respond(predictor(f"model.deployment={deployment}"), faces, module)


@pytest.mark.parametrize(("deployment", "first"), [(1, "both"), (2, "high"), (3, "high")])
def test_unless_named_the_module_is_the_high_one_where_it_exists(
    predictor: MakePredictor, deployment: int, first: str
) -> None:
    network = predictor(f"model.deployment={deployment}").network
    name, module = find_module(network)
    assert name == first
    assert module is getattr(network.reason, first)


@pytest.mark.parametrize(
    ("pooling", "vertices"), [(3, [0]), (4, [0, 1, 2, 3]), (5, [1, 3, 4, 5, 7]), (6, [5, 6, 9, 10])]
)
def test_central_vertices(pooling: int, vertices: list[int]) -> None:
    assert central_vertices(pooling) == vertices


def test_cells_of_the_papers_network() -> None:
    # Low-level features are 119 x 119, four input pixels apart; a sixth of 119 is 19.83, so that row 2 of the cells
    # holds pixels 39 to 59 and column 3 pixels 59 to 79.
    assert anchor_cell(6, 6, (119, 119), 473) == (58.5 * 4, 38.5 * 4, 79.5 * 4, 59.5 * 4)
    # High-level features are 60 x 60, eight input pixels apart, and divide without rest.
    assert anchor_cell(0, 6, (60, 60), 473) == (9.5 * 8, 9.5 * 8, 19.5 * 8, 19.5 * 8)


@given(pooling=st.integers(4, 8), height=st.integers(8, 19), width=st.integers(8, 19), place=st.integers(0, 10**6))
@example(pooling=4, height=9, width=9, place=40)  # in the middle of four cells
def test_a_cell_holds_the_pixels_that_its_anchor_depends_on(pooling: int, height: int, width: int, place: int) -> None:
    project = GraphProjection(1, 1, 1, pooling)
    torch.nn.init.ones_(project.phi.weight)
    torch.nn.init.zeros_(project.phi.bias)
    row, column = divmod(place % (height * width), width)
    features = torch.zeros(1, 1, height, width)
    features[..., row, column] = 2
    touched = F.adaptive_avg_pool2d(features, pooling)[0, 0, 1:-1, 1:-1].flatten() > 0
    with torch.no_grad():
        _, projection = project(features, None)
    # All anchors are zero but those that were pooled from this pixel, and only they are like it. One in all cells, as
    # cells overlap, is like all anchors, and answers to none of them more than to the others.
    answers = projection[0, :, row * width + column]
    assert torch.equal(answers > answers.min() + 1e-4, touched & ~touched.all())
    size = 129
    x, y = column * (size - 1) / (width - 1), row * (size - 1) / (height - 1)
    for vertex in range((pooling - 2) ** 2):
        left, top, right, bottom = anchor_cell(vertex, pooling, (height, width), size)
        assert (left < x < right and top < y < bottom) == touched[vertex], (vertex, row, column)


def test_cells_of_a_map_smaller_than_the_pooling_end_at_the_frame() -> None:
    # Of 3 pixels, 0, 32 and 64 of the input, the first cell inside the ring has the first alone; it reaches half way.
    assert anchor_cell(0, 6, (3, 3), 65) == (-0.5, -0.5, 16, 16)
    assert anchor_cell(15, 6, (3, 3), 65) == (48, 48, 64.5, 64.5)


@pytest.mark.parametrize("vertex", [-1, 16])
def test_a_vertex_that_is_not_there_names_those_that_are(
    predictor: MakePredictor, faces: list[np.ndarray], vertex: int
) -> None:
    responses = respond(predictor(), faces, "high")
    with pytest.raises(EagrctlError, match=rf"no vertex {vertex}: they are numbered 0 to 15"):
        responses.draw(["face"] * len(faces), faces, [5, vertex])
