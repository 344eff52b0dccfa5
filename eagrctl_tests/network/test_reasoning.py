import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from eagrctl.network.reasoning import EAGR, NonLocal


def cells(size: int, count: int) -> list[tuple[int, int]]:
    """Where adaptive pooling's cells begin and end."""
    return [(math.floor(i * size / count), math.ceil((i + 1) * size / count)) for i in range(count)]


def naive(
    module: EAGR, features: torch.Tensor, edge_logits: torch.Tensor | None, reasoning: bool = True
) -> torch.Tensor:
    """Equations 2 to 5 for one image, (C, H, W) and (2, h, w), pixel by pixel and vertex by vertex.

    Without edges all pixels weigh the same; without reasoning Equation 4 is left out.
    """
    _, height, width = features.shape
    states, projections = module.project.theta.out_channels, module.project.phi.out_channels
    pixels = [(row, column) for row in range(height) for column in range(width)]
    y, theta, phi = {}, {}, {}
    for row, column in pixels:
        y[row, column] = torch.tensor(1.0)
        if edge_logits is not None:
            at = edge_logits[:, row * edge_logits.shape[1] // height, column * edge_logits.shape[2] // width]
            y[row, column] = at[1].exp() / at.exp().sum()
        x = features[:, row, column]
        theta[row, column] = module.project.theta.weight[:, :, 0, 0] @ x + module.project.theta.bias
        phi[row, column] = module.project.phi.weight[:, :, 0, 0] @ x + module.project.phi.bias

    anchors = []
    down, across = cells(height, module.project.pooling), cells(width, module.project.pooling)
    for top, bottom in down[1:-1]:
        for left, right in across[1:-1]:
            inside = [(row, column) for row in range(top, bottom) for column in range(left, right)]
            anchors.append(sum((phi[at] * y[at] for at in inside), torch.zeros(projections)) / len(inside))

    p = {}
    for at in pixels:
        likeness = torch.stack([anchor @ phi[at] for anchor in anchors])
        p[at] = likeness.exp() / likeness.exp().sum()  # over the vertices
    x_g = torch.stack(
        [sum((p[at][vertex] * theta[at] for at in pixels), torch.zeros(states)) for vertex in range(len(anchors))]
    )
    reasoned = x_g
    if reasoning:
        a, bias = module.reason.adjacency.weight, module.reason.adjacency.bias
        w = module.reason.weight.weight.T
        propagated = a @ x_g + bias[:, None]
        reasoned = ((x_g - propagated) @ w).clamp(min=0)

    refined = torch.empty_like(features)
    for row, column in pixels:
        refined[:, row, column] = added(module, features[:, row, column], p[row, column] @ reasoned)
    return refined


def added(module: EAGR | NonLocal, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """X + sigma(...) at one pixel, (C,) and (K,)."""
    norm = module.norm
    extended = module.extend.weight[:, :, 0, 0] @ state
    scaled = (extended - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    return x + torch.where(scaled > 0, scaled, 0.01 * scaled)


def evaluated(module: EAGR | NonLocal) -> EAGR | NonLocal:
    """With a norm that does something."""
    nn.init.uniform_(module.norm.running_mean, -1, 1)
    nn.init.uniform_(module.norm.running_var, 0.5, 2)
    nn.init.uniform_(module.norm.weight, -1, 1)
    nn.init.uniform_(module.norm.bias, -1, 1)
    return module.eval()


@settings(max_examples=8)
@given(
    height=st.integers(6, 11),
    width=st.integers(6, 11),
    pooling=st.integers(3, 6),
    edge_size=st.integers(5, 24),
)
def test_the_module_equals_equations_2_to_5_written_out(height: int, width: int, pooling: int, edge_size: int) -> None:
    torch.manual_seed(height * width)
    module = evaluated(EAGR(channels=5, states=4, projections=3, pooling=pooling))
    features, edge_logits = torch.randn(2, 5, height, width), torch.randn(2, 2, edge_size, edge_size)
    with torch.no_grad():
        refined = module(features, edge_logits)
        for number in range(2):
            assert torch.allclose(refined[number], naive(module, features[number], edge_logits[number]), atol=1e-4)


@pytest.mark.parametrize("guided", [True, False], ids=["edges", "no edges"])
@pytest.mark.parametrize("reasoning", [True, False], ids=["reasoning", "no reasoning"])
def test_without_reasoning_or_edges_the_rest_of_the_equations_is_left(reasoning: bool, guided: bool) -> None:
    module = evaluated(EAGR(channels=5, states=4, projections=3, pooling=4, reasoning=reasoning))
    features = torch.randn(2, 5, 7, 6)
    edge_logits = torch.randn(2, 2, 7, 6) if guided else None
    with torch.no_grad():
        refined = module(features, edge_logits)
        for number in range(2):
            expected = naive(module, features[number], None if edge_logits is None else edge_logits[number], reasoning)
            assert torch.allclose(refined[number], expected, atol=1e-4)


def test_without_reasoning_vertices_go_back_to_the_pixels_as_they_came() -> None:
    module = EAGR(channels=6, states=4, projections=3, pooling=5, reasoning=False).eval()
    features, edge_logits = torch.randn(2, 6, 8, 9), torch.randn(2, 2, 8, 9)
    vertices, projection = module.project(features, edge_logits.softmax(dim=1)[:, 1:])
    back = torch.einsum("bvk,bvp->bkp", vertices, projection).view(2, 4, 8, 9)
    assert torch.allclose(module(features, edge_logits), features + module.norm(module.extend(back)), atol=1e-5)
    assert not list(module.reason.parameters())


def test_without_edges_all_pixels_weigh_the_same() -> None:
    module = EAGR(channels=6, states=4, projections=3, pooling=5)
    features = torch.randn(2, 6, 8, 9)
    alike = module.project(features, torch.ones(2, 1, 8, 9))
    for found, wanted in zip(module.project(features, None), alike, strict=True):
        assert torch.equal(found, wanted)
    # An edge map that says the same of both classes everywhere has a weight of one half, which is not none.
    halved = module.project(features, torch.full((2, 1, 8, 9), 0.5))
    assert not torch.allclose(halved[1], alike[1])


@settings(max_examples=8)
@given(height=st.integers(1, 5), width=st.integers(1, 5), projections=st.integers(1, 4))
def test_the_non_local_block_equals_equation_1_written_out(height: int, width: int, projections: int) -> None:
    torch.manual_seed(height * width)
    module = evaluated(NonLocal(channels=5, states=4, projections=projections))
    features = torch.randn(2, 5, height, width)
    pixels = [(row, column) for row in range(height) for column in range(width)]

    def at(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        return layer.weight[:, :, 0, 0] @ x + layer.bias

    with torch.no_grad():
        refined = module(features, None)
        for number, (row, column) in ((number, pixel) for number in range(2) for pixel in pixels):
            image, x = features[number], features[number, :, row, column]
            likeness = [at(module.theta, x) @ at(module.phi, image[:, other[0], other[1]]) for other in pixels]
            whole = sum(each.exp() for each in likeness)
            state = sum(
                each.exp() / whole * at(module.gamma, image[:, other[0], other[1]])
                for each, other in zip(likeness, pixels, strict=True)
            )
            assert torch.allclose(refined[number, :, row, column], added(module, x, state), atol=1e-5)


def test_the_non_local_block_does_not_look_at_the_edge_map() -> None:
    module = NonLocal(channels=4, states=4, projections=3).eval()
    features = torch.randn(2, 4, 6, 5)
    assert torch.equal(module(features, torch.randn(2, 2, 6, 5)), module(features, None))


def test_each_pixel_shares_itself_out_among_the_vertices() -> None:
    module = EAGR(channels=6, states=4, projections=4, pooling=6)
    vertices, projection = module.project(torch.randn(2, 6, 9, 9), torch.rand(2, 1, 9, 9))
    assert vertices.shape == (2, 16, 4)
    assert projection.shape == (2, 16, 81)
    assert torch.allclose(projection.sum(dim=1), torch.ones(2, 81))


def test_the_border_ring_of_anchors_sees_no_vertex() -> None:
    # With the edge map zero everywhere but in one corner cell of 6 x 6, every anchor that is kept is zero, so that
    # all vertices are alike.
    module = EAGR(channels=4, states=4, projections=4, pooling=6)
    edges = torch.zeros(1, 1, 12, 12)
    edges[..., :2, :2] = 1
    _, projection = module.project(torch.randn(1, 4, 12, 12), edges)
    assert torch.allclose(projection, torch.full_like(projection, 1 / 16))


def test_no_gradient_reaches_the_edge_branch() -> None:
    module = EAGR(channels=4, states=4, projections=4, pooling=6)
    features = torch.randn(2, 4, 8, 8, requires_grad=True)
    edge_logits = torch.randn(2, 2, 8, 8, requires_grad=True)
    module(features, edge_logits).sum().backward()
    assert features.grad is not None
    assert edge_logits.grad is None


@pytest.mark.parametrize("guided", [True, False], ids=["edges", "no edges"])
@pytest.mark.parametrize(
    "module",
    [
        pytest.param(lambda: EAGR(channels=3, states=2, projections=2, pooling=4), id="EAGR"),
        pytest.param(lambda: EAGR(channels=3, states=2, projections=2, pooling=4, reasoning=False), id="no reasoning"),
        pytest.param(lambda: NonLocal(channels=3, states=2, projections=2), id="non-local"),
    ],
)
def test_gradients_are_exact_in_double_precision(module: Callable[[], nn.Module], guided: bool) -> None:
    refiner = module().double()
    features = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    edge_logits = torch.randn(2, 2, 5, 5, dtype=torch.float64) if guided else None
    assert torch.autograd.gradcheck(lambda each: refiner(each, edge_logits), features)


def test_a_pooling_that_leaves_no_vertex_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no vertex"):
        EAGR(channels=4, states=4, projections=4, pooling=2)
