import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.network.deployment import Deployment
from eagrctl.network.reasoning import EAGR


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
