import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.data.augment import augment, draw_transforms
from eagrctl.data.edges import edge_mask
from eagrctl.data.labels import IGNORE


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (2, 3, 21, 21), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 19, (2, 21, 21), generator=generator, dtype=torch.uint8)
    return images, labels


def transform(angle: float, scale: float) -> torch.Tensor:
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    return torch.tensor([[cosine, -sine, 0], [sine, cosine, 0]]).expand(2, 2, 3)


def test_no_rotation_and_no_scale_change_nothing() -> None:
    images, labels = batch()
    moved, targets = augment(images, labels, draw_transforms(0, 0, [0, 1], 0.0, (1.0, 1.0)))
    assert torch.allclose(moved, images.float(), atol=1e-2)
    assert torch.equal(targets, labels.long())


def test_a_quarter_turn_turns_photo_and_labels_alike() -> None:
    images, labels = batch()
    moved, targets = augment(images, labels, transform(math.pi / 2, 1))
    turned = [
        turns
        for turns in (1, 3)
        if torch.equal(targets, torch.rot90(labels.long(), turns, (1, 2)))
        and torch.allclose(moved, torch.rot90(images.float(), turns, (2, 3)), atol=1e-2)
    ]
    assert len(turned) == 1


def test_pixels_from_outside_are_black_and_ignored() -> None:
    images, labels = batch()
    moved, targets = augment(images.clamp(min=1), labels, transform(0, 0.5))
    outside = targets == IGNORE
    assert 0.7 < outside.float().mean() < 0.8
    assert not moved.movedim(1, 3)[outside].any()
    assert (targets[:, 6:15, 6:15] != IGNORE).all()


@given(st.floats(-1, 1), st.floats(0.7, 1.4))
def test_labels_stay_labels_and_make_no_edge_with_the_outside(angle: float, scale: float) -> None:
    labels = torch.full((2, 21, 21), 7, dtype=torch.uint8)
    _, targets = augment(torch.zeros(2, 3, 21, 21, dtype=torch.uint8), labels, transform(angle, scale))
    assert set(targets.unique().tolist()) <= {7, IGNORE}
    assert not edge_mask(targets).any()


def test_draws_are_uniform_within_their_bounds() -> None:
    drawn = draw_transforms(1, 2, range(2000), 30.0, (0.75, 1.25)).numpy()
    scale = 1 / np.hypot(drawn[:, 0, 0], drawn[:, 1, 0])
    angle = np.degrees(np.arctan2(drawn[:, 1, 0], drawn[:, 0, 0]))
    for values, low, high in ((scale, 0.75, 1.25), (angle, -30, 30)):
        assert low <= values.min()
        assert values.max() <= high
        counts, _ = np.histogram(values, bins=10, range=(low, high))
        assert counts.min() > 150
        assert counts.max() < 250


def test_a_draw_depends_on_seed_epoch_and_sample_alone() -> None:
    together = draw_transforms(5, 3, [4, 9, 2], 30.0, (0.75, 1.25))
    assert torch.equal(together[1], draw_transforms(5, 3, [9], 30.0, (0.75, 1.25))[0])
    for other in ((6, 3, [9]), (5, 4, [9]), (5, 3, [8])):
        assert not torch.equal(together[1], draw_transforms(*other, 30.0, (0.75, 1.25))[0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_results_have_the_promised_types(dtype: torch.dtype) -> None:
    images, labels = batch()
    moved, targets = augment(images.to(dtype), labels, transform(0.3, 1.1))
    assert (moved.dtype, targets.dtype) == (torch.float32, torch.int64)
    assert moved.min() >= 0
    assert moved.max() <= 255
