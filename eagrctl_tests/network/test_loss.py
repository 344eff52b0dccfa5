import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eagrctl.network.eagrnet import Logits
from eagrctl.network.loss import Weights, class_weights, dice_losses, losses, lovasz_losses, totals

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
    found = losses(Logits(parsing, edge_logits), labels, edges, Weights(edge=0.5, boundary=3.0))
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
    found = losses(Logits(parsing, None), labels, edges, Weights(edge=7.0, boundary=3.0))
    whole = losses(Logits(parsing, torch.randn(2, 2, 4, 4)), labels, edges)
    assert found.edge == 0
    assert torch.equal(found.parsing, whole.parsing)
    assert torch.equal(found.boundary, whole.boundary)
    assert torch.isclose(found.total, found.parsing + 3.0 * found.boundary)
    found.total.backward()
    assert parsing.grad.any()


def test_dice_by_hand() -> None:
    # Two classes, four pixels, the last of them without a label.
    probabilities = torch.tensor([[[0.75, 0.5, 0.25, 0.9], [0.25, 0.5, 0.75, 0.1]]])
    own = torch.tensor([[0.75, 0.5, 0.75, 0.9]])
    dice = [1 - 2 * 0.75 / (1.5 + 1), 1 - 2 * 1.25 / (1.5 + 2)]
    assert dice_losses(probabilities, own, torch.tensor([[0, 1, 1, 255]])).tolist() == pytest.approx([sum(dice) / 2])


def test_lovasz_by_hand() -> None:
    # Wrong by 0.5 (of the class), 0.4 (not) and 0.2 (of it). Got wrong one after the other, IoU falls from 1 to 1/2,
    # to 1/3 and to 0.
    # The fourth has no label.
    probabilities = torch.tensor([[[0.5, 0.4, 0.8, 0.7], [0.5, 0.6, 0.2, 0.3]]])
    found = lovasz_losses(probabilities, torch.tensor([[0, 1, 0, 255]]))
    first = 0.5 * 1 / 2 + 0.4 * (1 / 2 - 1 / 3) + 0.2 * (1 / 3)
    # Of the other class: wrong by 0.5 (not), 0.4 (of it) and 0.2 (not): IoU falls to 1/2, to 0, and stays there.
    second = 0.5 * 1 / 2 + 0.4 * 1 / 2
    assert found.tolist() == pytest.approx([(first + second) / 2])


@given(st.integers(0, 1000))
def test_of_sure_answers_lovasz_is_what_is_lost_of_the_iou_and_dice_of_f1(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels, answers = torch.randint(0, 4, (2, 2, 5, 6), generator=generator)
    labels[:, 0, 0] = 255
    sure = torch.nn.functional.one_hot(answers, 4).permute(0, 3, 1, 2) * 60.0
    found = losses(Logits(sure, None), labels, labels == 9, Weights(dice=1, lovasz=1))
    ious, dices = [], []
    for given_, answer in zip(labels.flatten(1), answers.flatten(1), strict=True):
        known = given_ != 255
        of_image = []
        for number in given_[known].unique():
            one, other = (given_ == number) & known, (answer == number) & known
            shared = (one & other).sum().item()
            of_image.append(
                (1 - shared / (one | other).sum().item(), 1 - 2 * shared / (one.sum() + other.sum()).item())
            )
        iou, dice = zip(*of_image, strict=True)
        ious.append(sum(iou) / len(iou))
        dices.append(sum(dice) / len(dice))
    assert found.lovasz.item() == pytest.approx(sum(ious) / 2, abs=1e-5)
    assert found.dice.item() == pytest.approx(sum(dices) / 2, abs=1e-5)
    assert found.total.item() == pytest.approx((found.parsing + found.boundary + found.dice + found.lovasz).item())


def test_the_shares_of_a_batch_add_up_to_it_whatever_the_terms() -> None:
    logits = Logits(torch.randn(5, 3, 4, 4), torch.randn(5, 2, 4, 4))
    labels, edges = torch.randint(0, 3, (5, 4, 4)), torch.rand(5, 4, 4) > 0.5
    weights = Weights(dice=1.5, lovasz=0.5, classes=(1.0, 2.0, 0.25))
    whole = losses(logits, labels, edges, weights)
    parts = [
        losses(
            Logits(logits.parsing[part], logits.edges[part]), labels[part], edges[part], weights, totals(labels, edges)
        )
        for part in (slice(0, 2), slice(2, 5))
        if logits.edges is not None
    ]
    for term, *shares in zip(whole, *parts, strict=True):
        assert torch.isclose(term, sum(shares, torch.zeros(())))


def test_classes_weigh_by_rarity_and_the_average_pixel_weighs_one() -> None:
    assert class_weights([90, 9, 1, 0], 0.0, [1.0] * 4) == pytest.approx([1, 1, 1, 0])
    assert class_weights([90, 9, 1, 0], 1.0, [1.0] * 4) == pytest.approx([100 / 270, 100 / 27, 100 / 3, 0])
    weights = class_weights([90, 9, 1], 0.5, [1.0, 2.0, 1.0])
    assert weights[1] / weights[0] == pytest.approx(2 * 10**0.5)
    assert sum(count * weight for count, weight in zip([90, 9, 1], weights, strict=True)) == pytest.approx(100)


def test_weights_of_classes_act_on_the_parsing_term_alone() -> None:
    parsing, labels = torch.randn(1, 2, 1, 4), torch.tensor([[[0, 1, 1, 255]]])
    edges = torch.tensor([[[True, True, False, False]]])
    plain = losses(Logits(parsing, None), labels, edges)
    weighed = losses(Logits(parsing, None), labels, edges, Weights(classes=(3.0, 0.5)))
    each = torch.nn.functional.cross_entropy(parsing, labels, ignore_index=255, reduction="none")[0, 0]
    assert weighed.parsing.item() == pytest.approx(((3 * each[0] + 0.5 * (each[1] + each[2])) / 3).item())
    assert weighed.boundary == plain.boundary


def test_partial_labels_by_hand() -> None:
    # Three classes, one row of four pixels: 0; "1 or 2"; "0 or 1"; no label. The set of a pixel that has a class, or no
    # label, plays no part.
    parsing = logits_of([[[0.5, 0.25, 0.25], [0.5, 0.125, 0.375], [0.125, 0.625, 0.25], [0.2, 0.3, 0.5]]])
    sets = torch.tensor([[False, True, True], [True, True, False]])
    labels = torch.tensor([[[0, 3, 4, 255]]])
    edges = torch.tensor([[[True, True, False, False]]])
    edge_logits = logits_of([[[0.25, 0.75], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]])
    found = losses(
        Logits(parsing, edge_logits), labels, edges, Weights(dice=1, lovasz=1, classes=(1, 5, 5)), None, sets
    )
    assert found.parsing.item() == pytest.approx((LOG2 - math.log(0.5) - math.log(0.75)) / 3)
    # What needs to know the class has the first pixel alone: one edge pixel of one, which then weighs nothing.
    assert found.boundary.item() == pytest.approx(LOG2)
    assert found.edge == 0
    assert found.dice.item() == pytest.approx(1 - 2 * 0.5 / (0.5 + 1))
    assert found.lovasz.item() == pytest.approx(0.5)


@given(st.integers(0, 1000))
def test_a_set_of_one_class_is_that_class_and_a_set_of_all_says_nothing(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    parsing = (torch.randn(2, 4, 3, 5, generator=generator) * 30).requires_grad_()
    labels = torch.randint(0, 4, (2, 3, 5), generator=generator)
    edges = torch.zeros(2, 3, 5, dtype=torch.bool)
    sets = torch.cat([torch.eye(4, dtype=torch.bool), torch.ones(1, 4, dtype=torch.bool)])
    known = losses(Logits(parsing, None), labels, edges)
    partial = losses(Logits(parsing, None), labels + 4, edges, sets=sets)
    assert torch.isclose(partial.parsing, known.parsing)
    nothing = losses(Logits(parsing, None), torch.full_like(labels, 8), edges, sets=sets)
    assert nothing.parsing.item() == pytest.approx(0, abs=1e-5)
    (gradient,) = torch.autograd.grad(partial.parsing, parsing)
    (expected,) = torch.autograd.grad(known.parsing, parsing)
    assert torch.allclose(gradient, expected, atol=1e-6)
