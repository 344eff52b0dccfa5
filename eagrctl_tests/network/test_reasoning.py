import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eagrctl.network.reasoning import EAGR


def cells(size: int, count: int) -> list[tuple[int, int]]:
    """Where adaptive pooling's cells begin and end."""
    return [(math.floor(i * size / count), math.ceil((i + 1) * size / count)) for i in range(count)]


def naive(module: EAGR, features: torch.Tensor, edge_logits: torch.Tensor) -> torch.Tensor:
    """Equations 2 to 5 for one image, (C, H, W) and (2, h, w), pixel by pixel and vertex by vertex."""
    _, height, width = features.shape
    states, projections = module.project.theta.out_channels, module.project.phi.out_channels
    pixels = [(row, column) for row in range(height) for column in range(width)]
    y, theta, phi = {}, {}, {}
    for row, column in pixels:
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
    a, bias = module.reason.adjacency.weight, module.reason.adjacency.bias
    w = module.reason.weight.weight.T
    propagated = a @ x_g + bias[:, None]
    reasoned = ((x_g - propagated) @ w).clamp(min=0)

    refined = torch.empty_like(features)
    norm = module.norm
    for row, column in pixels:
        extended = module.extend.weight[:, :, 0, 0] @ (p[row, column] @ reasoned)
        scaled = (extended - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        refined[:, row, column] = features[:, row, column] + torch.where(scaled > 0, scaled, 0.01 * scaled)
    return refined


@settings(max_examples=8)
@given(
    height=st.integers(6, 11),
    width=st.integers(6, 11),
    pooling=st.integers(3, 6),
    edge_size=st.integers(5, 24),
)
def test_the_module_equals_equations_2_to_5_written_out(height: int, width: int, pooling: int, edge_size: int) -> None:
    torch.manual_seed(height * width)
    module = EAGR(channels=5, states=4, projections=3, pooling=pooling).eval()
    torch.nn.init.uniform_(module.norm.running_mean, -1, 1)
    torch.nn.init.uniform_(module.norm.running_var, 0.5, 2)
    torch.nn.init.uniform_(module.norm.weight, -1, 1)
    torch.nn.init.uniform_(module.norm.bias, -1, 1)
    features, edge_logits = torch.randn(2, 5, height, width), torch.randn(2, 2, edge_size, edge_size)
    with torch.no_grad():
        refined = module(features, edge_logits)
        for number in range(2):
            assert torch.allclose(refined[number], naive(module, features[number], edge_logits[number]), atol=1e-4)


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


def test_gradients_are_exact_in_double_precision() -> None:
    module = EAGR(channels=3, states=2, projections=2, pooling=4).double()
    features = torch.randn(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    edge_logits = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda each: module(each, edge_logits), features)


def test_a_pooling_that_leaves_no_vertex_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no vertex"):
        EAGR(channels=4, states=4, projections=4, pooling=2)
