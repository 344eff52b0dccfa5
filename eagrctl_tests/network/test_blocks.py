import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.network.backbone import Features
from eagrctl.network.blocks import FACTORS, Deployment, EdgePerceiving, PyramidPooling
from eagrctl.network.reasoning import EAGR


def test_pooled_maps_stand_before_the_input_in_the_order_of_their_factors() -> None:
    pyramid = PyramidPooling(32, 8).eval()
    features = torch.randn(2, 32, 13, 13)
    seen: list[torch.Tensor] = []
    pyramid.bottleneck.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    output = pyramid(features)
    assert output.shape == (2, 8, 13, 13)
    (stacked,) = seen
    assert stacked.shape[1] == 4 * 8 + 32
    assert torch.equal(stacked[:, 32:], features)
    for number, (factor, level) in enumerate(zip(FACTORS, pyramid.levels, strict=True)):
        pooled = level[1](F.adaptive_avg_pool2d(features, factor))
        grown = F.interpolate(pooled, size=(13, 13), mode="bilinear", align_corners=True)
        assert torch.allclose(stacked[:, 8 * number : 8 * number + 8], grown, atol=1e-6)


def test_the_coarsest_level_says_the_same_everywhere() -> None:
    pyramid = PyramidPooling(16, 8).eval()
    whole = pyramid.levels[0](torch.randn(1, 16, 9, 9))
    assert whole.shape == (1, 4, 1, 1)


def test_three_maps_of_one_shared_convolution_are_fused_at_the_first_ones_size() -> None:
    module = EdgePerceiving((8, 16, 24), middle=8).eval()
    features = Features(torch.randn(2, 8, 13, 13), torch.randn(2, 16, 7, 7), torch.randn(2, 24, 7, 7), torch.empty(0))
    maps = [module.predict(reduce(stage)) for reduce, stage in zip(module.reduce, features[:3], strict=True)]
    grown = [F.interpolate(each, size=(13, 13), mode="bilinear", align_corners=True) for each in maps]
    expected = torch.einsum("oc,bchw->bohw", module.fuse.weight[:, :, 0, 0], torch.cat(grown, 1))
    expected = expected + module.fuse.bias.view(1, 2, 1, 1)
    assert module(features).shape == (2, 2, 13, 13)
    assert torch.allclose(module(features), expected, atol=1e-5)


def test_conv5_plays_no_part() -> None:
    module = EdgePerceiving((8, 8, 8), middle=8).eval()
    stages = [torch.randn(1, 8, 5, 5) for _ in range(3)]
    one = module(Features(*stages, torch.zeros(1, 8, 5, 5)))
    assert torch.equal(one, module(Features(*stages, torch.ones(1, 8, 5, 5))))


class Refiner(nn.Module):
    """Tells its channels apart, and shows whether it was given the edges."""

    def __init__(self, channels: int, on_low: bool) -> None:
        super().__init__()
        self.channels, self.on_low = channels, on_low
        self.scale = nn.Parameter(torch.randn(channels, 1, 1))

    def forward(self, features: torch.Tensor, edge_logits: torch.Tensor | None) -> torch.Tensor:
        # The last term crosses channels: on both maps, one map learns of the other.
        seen = 0 if edge_logits is None else edge_logits.mean()
        return features * self.scale + seen + features.mean(dim=1, keepdim=True)


def maps() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(2, 6, 5, 4), torch.randn(2, 3, 9, 7), torch.randn(2, 2, 9, 7)


def test_without_modules_both_maps_pass_as_they_are() -> None:
    deployment = Deployment(0, 6, 3, Refiner)
    high, low, edges = maps()
    found = deployment(high, low, edges)
    assert found[0] is high
    assert found[1] is low
    assert not list(deployment.parameters())


@pytest.mark.parametrize("guided", [True, False])
def test_two_modules_each_refine_their_own_map(guided: bool) -> None:
    deployment = Deployment(2, 6, 3, Refiner)
    assert (deployment.high.channels, deployment.high.on_low) == (6, False)
    assert (deployment.low.channels, deployment.low.on_low) == (3, True)
    assert deployment.both is None
    high, low, edges = maps()
    edges = edges if guided else None
    found = deployment(high, low, edges)
    assert torch.equal(found[0], deployment.high(high, edges))
    assert torch.equal(found[1], deployment.low(low, edges))


@pytest.mark.parametrize("guided", [True, False])
def test_one_module_refines_both_maps_at_the_low_level_size(guided: bool) -> None:
    deployment = Deployment(1, 6, 3, Refiner)
    assert (deployment.both.channels, deployment.both.on_low) == (9, False)
    assert deployment.high is deployment.low is None
    high, low, edges = maps()
    edges = edges if guided else None
    grown = F.interpolate(high, size=(9, 7), mode="bilinear", align_corners=True)
    refined = deployment.both(torch.cat([grown, low], dim=1), edges)
    found = deployment(high, low, edges)
    assert torch.equal(found[0], refined[:, :6])
    assert torch.equal(found[1], refined[:, 6:])


def test_three_modules_are_two_and_then_one() -> None:
    three, two, one = (Deployment(modules, 6, 3, Refiner) for modules in (3, 2, 1))
    two.high, two.low, one.both = three.high, three.low, three.both
    high, low, edges = maps()
    expected = one(*two(high, low, edges), edges)
    for found, wanted in zip(three(high, low, edges), expected, strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize(("modules", "size"), [(0, (5, 4)), (1, (9, 7)), (2, (5, 4)), (3, (9, 7))])
def test_channels_stay_and_a_shared_module_makes_the_sizes_one(modules: int, size: tuple[int, int]) -> None:
    deployment = Deployment(modules, 6, 3, lambda channels, _: EAGR(channels, states=4, projections=2, pooling=4))
    high, low = deployment(*maps())
    assert high.shape == (2, 6, *size)
    assert low.shape == (2, 3, 9, 7)


@pytest.mark.parametrize("modules", [-1, 4])
def test_another_number_of_modules_is_refused(modules: int) -> None:
    with pytest.raises(ValueError, match=f"0, 1, 2 or 3 times, not {modules}"):
        Deployment(modules, 6, 3, Refiner)
