import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eagrctl.network.eagrnet import Logits
from eagrctl.network.loss import losses

LOG2 = math.log(2)


def logits_of(probabilities: list[list[list[float]]]) -> torch.Tensor:
    """(B, pixels, N) probabilities -> (B, N, 1, pixels) logits."""
    return torch.tensor(probabilities).log().permute(0, 2, 1)[:, :, None]


def test_hand_computed_values() -> None:
    # Two images of one row of four pixels, two classes. The probability of each pixel's own label:
    # 1/2, 1/2, 1/2, 1/4 and, in the second image, 1/2, 1/2, 1/2, 3/4.
    parsing = logits_of(
        [
            [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.25, 0.75]],
            [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.25, 0.75]],
        ]
    )
    labels = torch.tensor([[[0, 0, 1, 0]], [[1, 1, 1, 1]]])
    edges = torch.tensor([[[False, True, True, True]], [[False] * 4]])  # the second image has no edge pixel
    edge_logits = logits_of([[[0.5, 0.5], [0.5, 0.5], [0.25, 0.75], [0.5, 0.5]], [[0.5, 0.5]] * 4])
    found = losses(Logits(parsing, edge_logits), labels, edges)

    log4, log43 = math.log(4), math.log(4 / 3)
    assert found.parsing.item() == pytest.approx((6 * LOG2 + log4 + log43) / 8)
    # The first image's mean over its three edge pixels; the second adds nothing.
    assert found.boundary.item() == pytest.approx(((LOG2 + LOG2 + log4) / 3 + 0) / 2)
    # Three edge pixels of eight: each weighs 5/8, each other one 3/8.
    weighted = 5 / 8 * (LOG2 + log43 + LOG2) + 3 / 8 * 5 * LOG2
    assert found.edge.item() == pytest.approx(weighted / (3 * 5 / 8 + 5 * 3 / 8))
    assert found.total.item() == pytest.approx(sum(term.item() for term in found[1:]))


def test_weights_of_equation_7() -> None:
    parsing, edge_logits = torch.randn(2, 3, 4, 4), torch.randn(2, 2, 4, 4)
    labels, edges = torch.randint(0, 3, (2, 4, 4)), torch.rand(2, 4, 4) > 0.5
    found = losses(Logits(parsing, edge_logits), labels, edges, edge_weight=0.5, boundary_weight=3.0)
    expected = found.parsing + 0.5 * found.edge + 3.0 * found.boundary
    assert torch.isclose(found.total, expected)


def test_ignored_pixels_change_nothing() -> None:
    parsing, edge_logits = torch.randn(1, 3, 1, 6), torch.randn(1, 2, 1, 6)
    labels = torch.tensor([[[0, 1, 2, 255, 255, 255]]])
    edges = torch.tensor([[[False, True, True, False, False, False]]])
    found = losses(Logits(parsing, edge_logits), labels, edges)
    cut = losses(Logits(parsing[..., :3], edge_logits[..., :3]), labels[..., :3], edges[..., :3])
    # Resizing is the identity here, so that the pixels that are left are the same.
    for whole, part in zip(found, cut, strict=True):
        assert torch.isclose(whole, part)


@pytest.mark.parametrize("labels", [torch.zeros(2, 4, 4).long(), torch.full((2, 4, 4), 255)], ids=["one class", "none"])
def test_without_edges_or_labels_the_loss_and_its_gradient_are_finite(labels: torch.Tensor) -> None:
    parsing = torch.randn(2, 3, 2, 2, requires_grad=True)
    edge_logits = torch.randn(2, 2, 2, 2, requires_grad=True)
    found = losses(Logits(parsing, edge_logits), labels, torch.zeros(2, 4, 4, dtype=torch.bool))
    found.total.backward()
    assert all(torch.isfinite(term) for term in found)
    assert found.boundary == 0
    assert torch.isfinite(parsing.grad).all()
    assert torch.isfinite(edge_logits.grad).all()


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(2, 6))
def test_a_naive_loop_gives_the_same(seed: int, images: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    parsing = torch.randn(images, classes, 5, 4, generator=generator)
    edge_logits = torch.randn(images, 2, 5, 4, generator=generator)
    labels = torch.randint(0, classes, (images, 5, 4), generator=generator)
    labels[torch.rand(images, 5, 4, generator=generator) < 0.2] = 255
    edges = (torch.rand(images, 5, 4, generator=generator) < 0.4) & (labels != 255)

    every, per_image, edge_terms = [], [], []
    known = [(b, i, j) for b in range(images) for i in range(5) for j in range(4) if labels[b, i, j] != 255]
    share = sum(bool(edges[at]) for at in known) / max(1, len(known))
    for b in range(images):
        border = []
        for _, i, j in (at for at in known if at[0] == b):
            nll = -parsing[b, :, i, j].log_softmax(0)[labels[b, i, j]].item()
            every.append(nll)
            edge = bool(edges[b, i, j])
            if edge:
                border.append(nll)
            weight = 1 - share if edge else share
            edge_terms.append((weight, -edge_logits[b, :, i, j].log_softmax(0)[int(edge)].item()))
        per_image.append(sum(border) / len(border) if border else 0.0)
    found = losses(Logits(parsing, edge_logits), labels, edges)
    total_weight = sum(weight for weight, _ in edge_terms)
    expected_edge = sum(weight * nll for weight, nll in edge_terms) / total_weight if total_weight > 0 else 0.0
    assert found.parsing.item() == pytest.approx(sum(every) / max(1, len(every)), abs=1e-5)
    assert found.boundary.item() == pytest.approx(sum(per_image) / images, abs=1e-5)
    assert found.edge.item() == pytest.approx(expected_edge, abs=1e-5)


def test_logits_of_another_size_are_resized_with_aligned_corners() -> None:
    parsing, edge_logits = torch.randn(1, 3, 4, 4), torch.randn(1, 2, 4, 4)
    labels = torch.randint(0, 3, (1, 13, 13))
    edges = torch.zeros(1, 13, 13, dtype=torch.bool)
    edges[0, 0, 0] = True
    found = losses(Logits(parsing, edge_logits), labels, edges)
    corner = -parsing[0, :, 0, 0].log_softmax(0)[labels[0, 0, 0]]
    assert found.boundary.item() == pytest.approx(corner.item(), abs=1e-5)


def test_a_network_without_an_edge_module_has_no_edge_term() -> None:
    parsing = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels, edges = torch.randint(0, 3, (2, 4, 4)), torch.rand(2, 4, 4) > 0.5
    found = losses(Logits(parsing, None), labels, edges, edge_weight=7.0, boundary_weight=3.0)
    whole = losses(Logits(parsing, torch.randn(2, 2, 4, 4)), labels, edges)
    assert found.edge == 0
    assert torch.equal(found.parsing, whole.parsing)
    assert torch.equal(found.boundary, whole.boundary)
    assert torch.isclose(found.total, found.parsing + 3.0 * found.boundary)
    found.total.backward()
    assert parsing.grad.any()
