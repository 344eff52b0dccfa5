from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from eagrctl.checkpoint import build_network
from eagrctl.inference.rewrite import rewritten, winograd
from eagrctl.network.eagrnet import EAGRNet, Logits
from eagrctl.network.norm import convolution
from eagrctl.recipe import Recipe, find_recipe, load_recipe
from eagrctl_tests.conftest import TINY
from eagrctl_tests.inference.rewrite.conftest import ROUNDING, assert_equal, lived

VARIANTS = (
    "model.width=0.125",
    "model.edge=false",
    "model.graph=false",
    "model.reasoning=false",
    "model.sampling=false",
    *(f"model.deployment={number}" for number in (0, 1, 3)),
    *(f"model.pooling={number}" for number in (4, 8)),
    'model.residual="plain"',
    'model.stem="conv7x7"',
    'model.backbone="resnet50"',
    'model.backbone="efficientnet-lite0"',
    "train.checkpointing=true",
)


def network_of(*overrides: str, dtype: torch.dtype = torch.float64) -> EAGRNet:
    recipe = load_recipe(find_recipe("celebamask-hq-small"), [*TINY, *overrides])
    network = lived(build_network(recipe, 7), dtype)
    assert isinstance(network, EAGRNet)
    return network


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("override", VARIANTS)
@torch.inference_mode()
def test_every_variant_gives_the_same(override: str, dtype: torch.dtype) -> None:
    network = network_of(override, dtype=dtype)
    faster = rewritten(network)
    for size in ((49, 49), (64, 57)):
        images = torch.randn(2, 3, *size, dtype=dtype)
        assert_equal(faster(images).parsing, network(images).parsing)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("override", ["model.width=0.125", 'model.backbone="resnet50"', "model.graph=false"])
@torch.inference_mode()
def test_so_do_those_of_processors_that_prefer_winograd(
    override: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "WORTHWHILE", 64)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    network = network_of(override, dtype=dtype)
    faster = rewritten(network)
    # Of each block one at least, and the pyramid's.
    assert sum(isinstance(module, winograd.WinogradConvolution) for module in faster.modules()) > 8
    for size in ((49, 49), (64, 57)):
        images = torch.randn(2, 3, *size, dtype=dtype)
        assert_equal(faster(images).parsing, network(images).parsing)


@settings(max_examples=20)
@given(
    overrides=st.tuples(
        st.sampled_from([f"model.edge={each}" for each in ("true", "false")]),
        st.sampled_from([f"model.graph={each}" for each in ("true", "false")]),
        st.sampled_from([f"model.reasoning={each}" for each in ("true", "false")]),
        st.sampled_from([f"model.deployment={number}" for number in range(4)]),
        st.sampled_from([f"model.pooling={number}" for number in (3, 4, 6, 8)]),
        st.sampled_from(['model.residual="plain"', 'model.residual="activated"']),
        st.sampled_from(['model.stem="deep"', 'model.stem="conv7x7"']),
    ),
    size=st.tuples(st.integers(33, 90), st.integers(33, 90)),
)
@torch.inference_mode()
def test_so_do_variants_of_variants_at_any_size(overrides: tuple[str, ...], size: tuple[int, int]) -> None:
    network = network_of(*overrides)
    images = torch.randn(1, 3, *size, dtype=torch.float64)
    assert_equal(rewritten(network)(images).parsing, network(images).parsing)


@torch.inference_mode()
def test_at_the_paper_s_size_to_rounding() -> None:
    network = network_of(dtype=torch.float32)
    images = torch.randn(1, 3, 473, 473)
    assert_equal(rewritten(network)(images).parsing, network(images).parsing)


@pytest.mark.parametrize("override", ["model.graph=true", "model.graph=false", "model.sampling=false"])
@torch.inference_mode()
def test_edges_are_given_if_asked_for(override: str) -> None:
    network = network_of(override)
    images = torch.randn(1, 3, 49, 49, dtype=torch.float64)
    faster = rewritten(network)
    assert faster(images).edges is None
    ours, expected = faster(images, edges=True), network(images)
    assert_equal(ours.edges, expected.edges)
    assert_equal(ours.parsing, expected.parsing)
    assert rewritten(network_of("model.edge=false"))(images, edges=True).edges is None


@pytest.mark.parametrize("override", ["model.graph=false", "model.sampling=false", "model.deployment=0"])
@torch.inference_mode()
def test_an_edge_map_that_nothing_needs_is_not_computed(override: str) -> None:
    faster = rewritten(network_of(override))
    ran: list[nn.Module] = []
    edge = faster.get_submodule("edge")
    edge.register_forward_hook(lambda module, *_: ran.append(module))
    images = torch.randn(1, 3, 49, 49, dtype=torch.float64)
    faster(images)
    assert not ran
    faster(images, edges=True)
    assert ran == [edge]


@torch.inference_mode()
def test_the_network_stays_as_it_was_and_the_copy_as_it_is() -> None:
    network = network_of()
    images = torch.randn(1, 3, 49, 49, dtype=torch.float64)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    faster = rewritten(network)
    given = faster(images).parsing
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    for tensor in network.state_dict().values():
        tensor.zero_()
    assert torch.equal(faster(images).parsing, given)


class Other(nn.Module):
    """An unknown module around units that are known."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.unit = convolution(channels, channels)

    def forward(self, features: torch.Tensor, recompute: bool = False) -> torch.Tensor:
        assert isinstance(self.unit[0], nn.Conv2d)
        looked_at: torch.Tensor = 2 * self.unit(features)
        return looked_at


class Derived(EAGRNet):
    def forward(self, images: torch.Tensor) -> Logits:
        logits = super().forward(images)
        return Logits(-logits.parsing, logits.edges)


@torch.inference_mode()
def test_what_is_not_known_stays_as_it_is() -> None:
    images = torch.randn(1, 3, 49, 49, dtype=torch.float64)
    network = network_of()
    network.backbone.conv3.append(Other(network.backbone.channels[1]))
    lived(network)
    faster = rewritten(network)
    assert_equal(faster(images).parsing, network(images).parsing)
    (kept,) = (module for module in faster.modules() if isinstance(module, Other))
    assert kept is not network.backbone.conv3[-1]
    derived = network_of()
    derived.__class__ = Derived
    assert_equal(rewritten(derived)(images).parsing, derived(images).parsing)


def test_it_can_be_traced_and_later_still_runs(tiny_recipe: Callable[..., Recipe]) -> None:
    network = lived(build_network(tiny_recipe(), 5), torch.float32)
    assert isinstance(network, EAGRNet)
    images = torch.randn(1, 3, 49, 49)
    faster = rewritten(network)
    program = torch.export.export(faster, (images,)).module()
    with torch.inference_mode():
        assert_equal(program(images).parsing, network(images).parsing)
        assert_equal(faster(images).parsing, network(images).parsing)


@torch.inference_mode()
def test_half_precision_differs_by_its_rounding() -> None:
    network = network_of(dtype=torch.float32)
    images = torch.randn(2, 3, 49, 49)
    expected = network(images).parsing
    with torch.autocast("cpu", torch.bfloat16):
        ours = rewritten(network)(images).parsing
    assert float((ours - expected).abs().max() / expected.abs().max()) < 0.1
