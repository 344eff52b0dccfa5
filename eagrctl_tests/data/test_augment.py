import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.data.augment import Augmentation, Drawn, augment, draw, side_swaps
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, IGNORE, LabelSet, edge_mask

PAPER = Augmentation("uniform", 30.0, 1.0, (0.75, 1.25), mirror=False, colour=0.0)
RELEASED = Augmentation("normal", 30.0, 0.6, (0.75, 1.25), mirror=False, colour=0.0)
STILL = Augmentation("uniform", 0.0, 1.0, (1.0, 1.0), mirror=False, colour=0.0)
SWAPS = side_swaps(CELEBAMASK_HQ)


def batch(count: int = 2, side: int = 21, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 19, (count, side, side), generator=generator, dtype=torch.uint8)
    return images, labels


def moves(angle: float, scale: float) -> Drawn:
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    matrix = torch.tensor([[cosine, -sine, 0], [sine, cosine, 0]]).expand(2, 2, 3)
    return Drawn(matrix, torch.zeros(2, dtype=torch.bool), torch.ones(2, 3))


def mirrors(count: int) -> Drawn:
    matrix = torch.tensor([[-1.0, 0, 0], [0, 1, 0]]).expand(count, 2, 3)
    return Drawn(matrix, torch.ones(count, dtype=torch.bool), torch.ones(count, 3))


def colours(count: int, brightness: float, contrast: float, saturation: float) -> Drawn:
    still = draw(0, 0, range(count), STILL)
    return still._replace(colours=torch.tensor([[brightness, contrast, saturation]]).expand(count, 3))


def angles_and_factors(drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Degrees and scale factors, read back from transforms without mirroring."""
    columns = drawn.transforms.double().numpy()[:, :, 0]
    return np.degrees(np.arctan2(columns[:, 1], columns[:, 0])), 1 / np.hypot(columns[:, 0], columns[:, 1])


def earlier_draw(seed: int, epoch: int, positions: list[int], rotation: float, scale: tuple[float, float]) -> list:
    """What was drawn before there were distributions, mirroring and colour."""
    transforms = []
    for position in positions:
        generator = np.random.default_rng((seed, epoch, position))
        angle = np.deg2rad(generator.uniform(-rotation, rotation))
        factor = generator.uniform(*scale)
        cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
        transforms.append([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    return transforms


def earlier_warp(images: torch.Tensor, labels: torch.Tensor, transforms: torch.Tensor) -> tuple[torch.Tensor, ...]:
    grid = F.affine_grid(transforms, list(images.shape), align_corners=False)
    warped = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    shifted = labels[:, None].float() - 255
    moved = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return warped, (moved[:, 0] + 255).round().long()


def swapped(labels: np.ndarray, classes: LabelSet) -> np.ndarray:
    result = labels.astype(np.int64)
    for place, label in np.ndenumerate(labels):
        for one, other in classes.mirrored:
            if label == one:
                result[place] = other
            elif label == other:
                result[place] = one
    return result


@given(st.integers(0, 2**31), st.integers(0, 500), st.lists(st.integers(0, 30000), min_size=1, max_size=5))
def test_uniform_draws_are_those_of_earlier_runs_to_the_last_bit(seed: int, epoch: int, positions: list[int]) -> None:
    earlier = torch.tensor(earlier_draw(seed, epoch, positions, 30.0, (0.75, 1.25)), dtype=torch.float32)
    drawn = draw(seed, epoch, positions, PAPER)
    assert torch.equal(drawn.transforms, earlier)
    assert not drawn.mirrored.any()
    assert torch.equal(drawn.colours, torch.ones(len(positions), 3))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_without_colour_and_mirroring_results_are_those_of_earlier_runs_to_the_last_bit(dtype: torch.dtype) -> None:
    images, labels = batch(count=16)
    photos = images.to(dtype) if dtype is torch.uint8 else images / 255 * 254.9
    drawn = draw(4, 2, range(16), PAPER)
    warped, targets = augment(photos, labels, drawn, SWAPS)
    earlier = earlier_warp(photos, labels, drawn.transforms)
    assert torch.equal(warped, earlier[0])
    assert torch.equal(targets, earlier[1])


def test_no_rotation_and_no_scale_change_nothing() -> None:
    images, labels = batch()
    moved, targets = augment(images, labels, draw(0, 0, [0, 1], STILL), SWAPS)
    assert torch.allclose(moved, images.float(), atol=1e-2)
    assert torch.equal(targets, labels.long())


def test_a_quarter_turn_turns_photo_and_labels_alike() -> None:
    images, labels = batch()
    moved, targets = augment(images, labels, moves(math.pi / 2, 1), SWAPS)
    turned = [
        turns
        for turns in (1, 3)
        if torch.equal(targets, torch.rot90(labels.long(), turns, (1, 2)))
        and torch.allclose(moved, torch.rot90(images.float(), turns, (2, 3)), atol=1e-2)
    ]
    assert len(turned) == 1


def test_pixels_from_outside_are_black_and_ignored() -> None:
    images, labels = batch()
    moved, targets = augment(images.clamp(min=1), labels, moves(0, 0.5), SWAPS)
    outside = targets == IGNORE
    assert 0.7 < outside.float().mean() < 0.8
    assert not moved.movedim(1, 3)[outside].any()
    assert (targets[:, 6:15, 6:15] != IGNORE).all()


@given(st.floats(-1, 1), st.floats(0.7, 1.4))
def test_labels_stay_labels_and_make_no_edge_with_the_outside(angle: float, scale: float) -> None:
    labels = torch.full((2, 21, 21), 7, dtype=torch.uint8)
    _, targets = augment(torch.zeros(2, 3, 21, 21, dtype=torch.uint8), labels, moves(angle, scale), SWAPS)
    assert set(targets.unique().tolist()) <= {7, IGNORE}
    assert not edge_mask(targets).any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_results_have_the_promised_types(dtype: torch.dtype) -> None:
    images, labels = batch()
    given_images = images.to(dtype)
    before = given_images.clone()
    drawn = draw(0, 0, [0, 1], replace(RELEASED, mirror=True, colour=0.5))
    assert [each.dtype for each in drawn] == [torch.float32, torch.bool, torch.float32]
    assert [each.shape for each in drawn] == [(2, 2, 3), (2,), (2, 3)]
    moved, targets = augment(given_images, labels, drawn, SWAPS)
    assert (moved.dtype, targets.dtype) == (torch.float32, torch.int64)
    assert moved.min() >= 0
    assert moved.max() <= 255 + 1e-3  # the weights of bilinear sampling add up to 1 but for rounding
    assert torch.equal(given_images, before)


def test_draws_are_uniform_within_their_bounds() -> None:
    angles, factors = angles_and_factors(draw(1, 2, range(2000), PAPER))
    for values, low, high in ((factors, 0.75, 1.25), (angles, -30, 30)):
        assert low <= values.min()
        assert values.max() <= high
        counts, _ = np.histogram(values, bins=10, range=(low, high))
        assert counts.min() > 150
        assert counts.max() < 250


def test_normal_draws_follow_their_law_and_are_cut_off() -> None:
    drawn = draw(1, 2, range(4000), replace(RELEASED, rotated=1.0, scale=(0.5, 1.3)))
    angles, factors = angles_and_factors(drawn)
    for values, law, low, high in (
        (angles, NormalDist(0, 30), -60, 60),
        (factors, NormalDist(0.9, 0.4), 0.5, 1.3),
    ):
        ordered = np.sort(values)
        lowest, highest = np.isclose(ordered, low, atol=1e-4), np.isclose(ordered, high, atol=1e-4)
        inside = ~lowest & ~highest
        assert low - 1e-4 < ordered[0]
        assert ordered[-1] < high + 1e-4
        # Kolmogorov and Smirnov's distance: above 0.031 for one set of 4,000 true draws in a thousand.
        share = np.arange(1, 4001) / 4000
        expected = np.array([law.cdf(value) for value in ordered])
        assert np.abs(share - expected)[inside].max() < 0.031
        beyond = law.cdf(low)
        for cut_off in (lowest, highest):
            assert abs(cut_off.mean() - beyond) < 4 * math.sqrt(beyond * (1 - beyond) / 4000)


@pytest.mark.parametrize("augmentation", [PAPER, RELEASED], ids=["uniform", "normal"])
def test_the_given_share_of_samples_turns_and_the_others_are_scaled_alone(augmentation: Augmentation) -> None:
    angles, factors = angles_and_factors(draw(8, 0, range(4000), replace(augmentation, rotated=0.6)))
    all_angles, all_factors = angles_and_factors(draw(8, 0, range(4000), replace(augmentation, rotated=1.0)))
    turned = angles != 0
    assert abs(turned.mean() - 0.6) < 0.025  # 0.0077 is the deviation
    assert np.array_equal(angles[turned], all_angles[turned])
    assert np.allclose(factors, all_factors, rtol=1e-6)
    # Whether a sample turns does not depend on how far it would.
    assert abs(np.abs(all_angles[turned]).mean() - np.abs(all_angles[~turned]).mean()) < 2.5


def test_none_turns_at_a_share_of_0() -> None:
    assert not angles_and_factors(draw(0, 0, range(200), replace(PAPER, rotated=0.0)))[0].any()


def test_half_of_the_samples_are_mirrored_and_their_matrices_say_so() -> None:
    drawn = draw(2, 1, range(4000), replace(PAPER, mirror=True))
    assert abs(drawn.mirrored.float().mean() - 0.5) < 0.025
    assert torch.equal(torch.linalg.det(drawn.transforms[:, :, :2]) < 0, drawn.mirrored)
    angles, _ = angles_and_factors(draw(2, 1, range(4000), PAPER))
    assert abs(angles[drawn.mirrored.numpy()].mean()) < 2
    assert not draw(2, 1, range(4000), PAPER).mirrored.any()


def test_colours_are_uniform_about_1_and_independent() -> None:
    factors = draw(2, 1, range(2000), replace(PAPER, colour=0.4)).colours.numpy()
    assert factors.min() >= np.float32(0.6)
    assert factors.max() <= np.float32(1.4)
    for values in factors.T:
        counts, _ = np.histogram(values, bins=10, range=(0.6, 1.4))
        assert counts.sum() >= 1999
        assert counts.min() > 150
        assert counts.max() < 250
    assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.08


@pytest.mark.parametrize("base", [PAPER, RELEASED], ids=["uniform", "normal"])
def test_mirroring_and_colour_change_nothing_else_that_is_drawn(base: Augmentation) -> None:
    plain, every = draw(7, 3, range(50), base), draw(7, 3, range(50), replace(base, mirror=True, colour=0.3))
    restored = every.transforms.clone()
    restored[every.mirrored, 0] *= -1
    assert torch.equal(restored, plain.transforms)
    assert torch.equal(every.mirrored, draw(7, 3, range(50), replace(base, mirror=True)).mirrored)
    assert torch.equal(every.colours, draw(7, 3, range(50), replace(base, colour=0.3)).colours)


@given(
    st.integers(0, 1000), st.integers(0, 200), st.lists(st.integers(0, 20000), min_size=1, max_size=6), st.booleans()
)
def test_a_sample_draws_the_same_whatever_its_batch(seed: int, epoch: int, positions: list[int], normal: bool) -> None:
    augmentation = replace(RELEASED if normal else PAPER, mirror=True, colour=0.3)
    together = draw(seed, epoch, positions, augmentation)
    for place, position in enumerate(positions):
        alone = draw(seed, epoch, [position], augmentation)
        for one, many in zip(alone, together, strict=True):
            assert torch.equal(one[0], many[place])


def test_a_draw_depends_on_seed_epoch_and_sample() -> None:
    augmentation = replace(PAPER, colour=0.3)
    first = draw(5, 3, [9], augmentation)
    for other in ((6, 3, [9]), (5, 4, [9]), (5, 3, [8])):
        second = draw(*other, augmentation)
        assert not torch.equal(first.transforms, second.transforms)
        assert not torch.equal(first.colours, second.colours)


def test_another_distribution_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'gaussian'"):
        replace(PAPER, distribution="gaussian")


@given(
    st.integers(2, 24),
    st.integers(0, 1000),
    st.sampled_from([HELEN, CELEBAMASK_HQ]),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_mirrored_samples_are_flipped_and_their_labels_swapped(
    side: int, seed: int, classes: LabelSet, which: list[bool]
) -> None:
    images, labels = batch(3, side, seed)
    labels[:, 0, 0] = IGNORE
    still, flipped, mirrored = draw(0, 0, range(3), STILL), mirrors(3), torch.tensor(which)
    drawn = Drawn(torch.where(mirrored[:, None, None], flipped.transforms, still.transforms), mirrored, flipped.colours)
    moved, targets = augment(images, labels, drawn, side_swaps(classes))
    for sample, flips in enumerate(which):
        photo, ids = images[sample].permute(1, 2, 0).numpy(), labels[sample].numpy()
        if flips:
            photo, ids = np.fliplr(photo), swapped(np.fliplr(ids), classes)
        assert np.allclose(moved[sample].permute(1, 2, 0).numpy(), photo, atol=1e-2)
        assert np.array_equal(targets[sample].numpy(), ids)


@given(st.integers(2, 24), st.integers(0, 1000), st.sampled_from([HELEN, CELEBAMASK_HQ]))
def test_mirroring_twice_changes_nothing(side: int, seed: int, classes: LabelSet) -> None:
    images, labels = batch(2, side, seed)
    labels[:, 0, 0] = IGNORE
    once = augment(images, labels, mirrors(2), side_swaps(classes))
    twice = augment(*once, mirrors(2), side_swaps(classes))
    assert torch.allclose(twice[0], images.float(), atol=1e-2)
    assert torch.equal(twice[1], labels.long())


def test_a_mirrored_sample_is_mirrored_first_and_then_turned_and_scaled() -> None:
    images, labels = batch(count=32)
    plain, drawn = draw(1, 1, range(32), PAPER), draw(1, 1, range(32), replace(PAPER, mirror=True))
    flips = drawn.mirrored
    assert 0 < flips.sum() < 32
    before = torch.where(flips[:, None, None, None], images.flip(3), images)
    ids = torch.from_numpy(swapped(labels.flip(2).numpy(), CELEBAMASK_HQ).astype(np.uint8))
    expected = augment(before, torch.where(flips[:, None, None], ids, labels), plain, SWAPS)
    found = augment(images, labels, drawn, SWAPS)
    assert torch.allclose(found[0], expected[0], atol=1e-1)
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize(
    ("classes", "on_the_images_left", "on_the_images_right", "in_the_middle"),
    [
        # Sides of the subject, whose right eye lies on the image's left.
        (CELEBAMASK_HQ, ("r_eye", "r_brow", "r_ear"), ("l_eye", "l_brow", "l_ear"), ("u_lip", "l_lip", "ear_r")),
        # Sides of the viewer.
        (HELEN, ("left eye", "left brow"), ("right eye", "right brow"), ("upper lip", "lower lip")),
    ],
    ids=["CelebAMask-HQ", "Helen"],
)
def test_left_and_right_swap_so_that_a_mirrored_face_is_labelled_like_any_other(
    classes: LabelSet,
    on_the_images_left: tuple[str, ...],
    on_the_images_right: tuple[str, ...],
    in_the_middle: tuple[str, ...],
) -> None:
    labels = torch.full((1, 33, 33), classes.id("skin"), dtype=torch.uint8)
    for row, (left, right) in enumerate(zip(on_the_images_left, on_the_images_right, strict=True)):
        labels[0, 4 * row + 1 : 4 * row + 4, 3:9] = classes.id(left)
        labels[0, 4 * row + 1 : 4 * row + 4, 24:26] = classes.id(right)  # narrower than its fellow
    for row, name in enumerate(in_the_middle):
        labels[0, 18 + 4 * row : 20 + 4 * row, 10:20] = classes.id(name)
    _, targets = augment(torch.zeros(1, 3, 33, 33, dtype=torch.uint8), labels, mirrors(1), side_swaps(classes))
    found = targets[0]
    for left, right in zip(on_the_images_left, on_the_images_right, strict=True):
        assert (found == classes.id(left)).nonzero()[:, 1].unique().tolist() == [7, 8]
        assert (found == classes.id(right)).nonzero()[:, 1].unique().tolist() == list(range(24, 30))
    for name in in_the_middle:
        assert torch.equal(found == classes.id(name), (labels[0] == classes.id(name)).flip(1))


@pytest.mark.parametrize("classes", [HELEN, CELEBAMASK_HQ], ids=["Helen", "CelebAMask-HQ"])
def test_only_mirrored_pairs_are_swapped(classes: LabelSet) -> None:
    swaps = side_swaps(classes)
    assert (swaps.shape, swaps.dtype) == ((256,), torch.int64)
    assert torch.equal(swaps, torch.from_numpy(swapped(np.arange(256), classes)))
    assert swaps[IGNORE] == IGNORE
    assert torch.equal(side_swaps(replace(classes, mirrored=())), torch.arange(256))


@given(
    st.integers(1, 9),
    st.integers(0, 1000),
    st.floats(0, 2, width=32),
    st.floats(0, 2, width=32),
    st.floats(0, 2, width=32),
)
def test_colour_equals_three_steps_in_numpy(
    side: int, seed: int, brightness: float, contrast: float, saturation: float
) -> None:
    images, labels = batch(2, side, seed)
    moved, targets = augment(images, labels, colours(2, brightness, contrast, saturation), SWAPS)
    for sample in range(2):
        photo = images[sample].permute(1, 2, 0).numpy().astype(np.float64)
        photo = photo * brightness
        mean = (photo @ [0.299, 0.587, 0.114]).mean()
        photo = mean + contrast * (photo - mean)
        grey = (photo @ [0.299, 0.587, 0.114])[:, :, None]
        photo = np.clip(grey + saturation * (photo - grey), 0, 255)
        assert np.allclose(moved[sample].permute(1, 2, 0).numpy(), photo, atol=2e-2)
    assert torch.equal(targets, labels.long())


def test_each_photo_gets_its_own_colours() -> None:
    images = torch.full((2, 3, 5, 5), 100, dtype=torch.uint8)
    drawn = draw(0, 0, [0, 1], STILL)._replace(colours=torch.tensor([[0.5, 1, 1], [2, 1, 1]]))
    moved, _ = augment(images, torch.zeros(2, 5, 5, dtype=torch.uint8), drawn, SWAPS)
    assert np.allclose(moved.numpy(), np.array([50, 200])[:, None, None, None], atol=1e-2)


def test_the_outside_stays_black_whatever_the_colours() -> None:
    images, labels = batch()
    drawn = moves(0, 0.5)._replace(colours=torch.tensor([[1.3, 0.4, 0.7]]).expand(2, 3))
    moved, targets = augment(images.clamp(min=200), labels, drawn, SWAPS)
    outside = targets == IGNORE
    assert not moved.movedim(1, 3)[outside].any()
    assert (moved.movedim(1, 3)[:, 6:15, 6:15] > 100).all()


def test_no_step_asks_the_device_for_a_value() -> None:
    # Tensors on the meta device have none: whatever needed one on the host would fail.
    images, labels = batch()
    drawn = draw(0, 0, [0, 1], replace(RELEASED, mirror=True, colour=0.3))
    moved, targets = augment(
        images.to("meta"), labels.to("meta"), Drawn(*(each.to("meta") for each in drawn)), SWAPS.to("meta")
    )
    assert (moved.shape, targets.shape) == ((2, 3, 21, 21), (2, 21, 21))


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_gpu_gives_what_the_cpu_gives_and_is_never_waited_for() -> None:
    images, labels = batch(count=16)
    drawn = draw(0, 0, range(16), replace(RELEASED, mirror=True, colour=0.3))
    expected = augment(images, labels, drawn, SWAPS)
    there = images.cuda(), labels.cuda(), Drawn(*(each.cuda() for each in drawn)), SWAPS.cuda()
    augment(*there)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = augment(*there)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.allclose(found[0].cpu(), expected[0], atol=1e-1)
    assert (found[1].cpu() != expected[1]).float().mean() < 1e-3


def test_a_smaller_frame_shows_the_same() -> None:
    images, labels = batch(side=65)
    images[:], labels[:] = 0, 0
    images[:, :, 16:48, 8:56], labels[:, 16:48, 8:56] = 200, 13
    drawn = draw(0, 0, range(2), replace(PAPER, scale=(0.8, 1.2)))
    whole, whole_labels = augment(images, labels, drawn, SWAPS)
    small, small_labels = augment(images, labels, drawn, SWAPS, 33)
    assert small.shape == (2, 3, 33, 33)
    assert small_labels.shape == (2, 33, 33)
    for label in (13, IGNORE):
        shares = [(each == label).float().mean().item() for each in (whole_labels, small_labels)]
        assert shares[0] == pytest.approx(shares[1], abs=0.02)
    assert F.interpolate(whole, 33, mode="area").sub(small).abs().mean() < 6
