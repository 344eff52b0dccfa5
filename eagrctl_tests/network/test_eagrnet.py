import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from eagrctl.network.eagrnet import EAGRNet, Logits
from eagrctl.network.loss import Losses, Weights, losses
from eagrctl.network.reasoning import EAGR, GraphReasoning, NonLocal

# The networks behind the rows of Tables 1 and 2 and the bars of Fig. 4: what is switched off, or set otherwise.
NETWORKS: dict[str, dict[str, Any]] = {
    "whole": {},
    "baseline": {"edge": False, "graph": False},
    "edge": {"graph": False},
    "graph": {"edge": False},
    "no reasoning": {"reasoning": False},
    "no sampling": {"sampling": False},
    "0-module": {"deployment": 0},
    "1-module": {"deployment": 1},
    "3-modules": {"deployment": 3},
    "4 x 4": {"pooling": 4},
    "8 x 8": {"pooling": 8},
}
# Variant -> its network, and whether the BA loss is on. Several are one and the same.
VARIANTS = {
    "Table 1, row 1": ("baseline", False),
    "Table 1, row 2": ("edge", False),
    "Table 1, row 3": ("graph", False),
    "Table 1, row 4": ("whole", False),
    "Table 1, row 5": ("no reasoning", True),
    "Table 1, row 6": ("whole", True),
    "Table 2, 0-module": ("0-module", True),
    "Table 2, 1-module": ("1-module", True),
    "Table 2, 2-modules": ("whole", True),
    "Table 2, 3-modules": ("3-modules", True),
    "Table 2, 4 x 4": ("4 x 4", True),
    "Table 2, 6 x 6": ("whole", True),
    "Table 2, 8 x 8": ("8 x 8", True),
    "Fig. 4, Baseline": ("baseline", True),
    "Fig. 4, Without sampling": ("no sampling", True),
    "Fig. 4, Without graph": ("no reasoning", True),
    "Fig. 4, Ours": ("whole", True),
}


def narrow_network(name: str, **others: Any) -> EAGRNet:
    return EAGRNet(5, "resnet18", width=0.125, **NETWORKS[name], **others)


def loss_of(network: EAGRNet, images: torch.Tensor, boundary: bool = True) -> Losses:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 5, (len(images), 49, 49), generator=generator)
    edges = torch.rand(labels.shape, generator=generator) < 0.3
    return losses(network(images), labels, edges, Weights(boundary=float(boundary)))


def test_parameters_and_flops_are_the_released_networks() -> None:
    with torch.device("meta"):
        network = EAGRNet(11, high=(128, 128), low=(64, 64)).eval()
        images = torch.empty(1, 3, 473, 473)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        logits = network(images)
    assert sum(parameter.numel() for parameter in network.parameters()) == 66_722_523
    assert counter.get_total_flops() / 1e9 == pytest.approx(472.8, abs=0.05)
    assert logits.parsing.shape == (1, 11, 119, 119)
    assert logits.edges.shape == (1, 2, 119, 119)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "resnet101"])
def test_every_backbone_can_be_narrowed_and_trained(backbone: str) -> None:
    network = EAGRNet(7, backbone, width=0.125)
    logits = network(torch.randn(2, 3, 49, 65))
    assert logits.parsing.shape == (2, 7, 13, 17)
    (logits.parsing.square().mean() + logits.edges.square().mean()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_parsing_loss_teaches_the_edge_module_nothing() -> None:
    network = EAGRNet(5, "resnet18", width=0.125)
    network(torch.randn(2, 3, 49, 49)).parsing.sum().backward()
    assert all(parameter.grad is None for parameter in network.edge.parameters())
    assert all(parameter.grad is not None for parameter in network.backbone.parameters())


def test_the_edge_map_guides_both_modules() -> None:
    network = EAGRNet(5, "resnet18", width=0.125).eval()
    images = torch.randn(1, 3, 49, 49)
    seen: list[torch.Tensor] = []
    for module in (network.reason.high, network.reason.low):
        module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    edges = network(images).edges
    assert len(seen) == 2
    assert all(torch.equal(each, edges) for each in seen)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_the_tables_trains(variant: str) -> None:
    name, boundary = VARIANTS[variant]
    network, images = narrow_network(name).double(), torch.randn(4, 3, 49, 49, dtype=torch.float64)
    rate = 1e-6  # small enough for a straight line: the pyramid's norm over four values is far from one
    optimiser = torch.optim.SGD(network.parameters(), rate)
    before = loss_of(network, images, boundary)
    before.total.backward()
    steepness = 0.0
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        # Of a non-local block's parameters, two change nothing. Equation 1's softmax takes no notice of what phi's
        # bias adds alike to all pixels; attention sums to one, so that gamma's bias adds the same to all pixels, and
        # batch norm takes it away.
        idle = name == "no sampling" and key.endswith(("phi.bias", "gamma.bias"))
        assert (parameter.grad.abs().max() < 1e-12) == idle, key
        steepness += parameter.grad.square().sum().item()
    optimiser.step()
    fallen = (before.total - loss_of(network, images, boundary).total).item()
    # Not exactly: no gradient goes through the edge map that guides the pooling.
    assert fallen == pytest.approx(rate * steepness, rel=0.1)
    assert (before.edge == 0) == (network.edge is None)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "0-module"])
def test_every_network_of_the_tables_exports(name: str) -> None:
    # "0-module" is "edge"; see below.
    network, images = narrow_network(name), torch.randn(2, 3, 49, 49)
    loss_of(network, images)  # for running statistics that are nobody's defaults
    exported = torch.export.export(network.eval(), (images,)).module()
    found, wanted = exported(images), network(images)
    assert isinstance(found, Logits)
    assert torch.allclose(found.parsing, wanted.parsing, atol=1e-6)
    if wanted.edges is None:
        assert found.edges is None
    else:
        assert torch.allclose(found.edges, wanted.edges, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "edge", "refiner", "reasoning"),
    [
        ("whole", True, EAGR, True),
        ("baseline", False, None, False),
        ("edge", True, None, False),
        ("graph", False, EAGR, True),
        ("no reasoning", True, EAGR, False),
        ("no sampling", True, NonLocal, False),
    ],
)
def test_each_switch_leaves_what_the_tables_leave(
    name: str, edge: bool, refiner: type[nn.Module] | None, reasoning: bool
) -> None:
    network = narrow_network(name)
    assert (network.edge is not None) == edge
    assert (network(torch.randn(2, 3, 49, 49)).edges is not None) == edge
    refiners = [type(each) for each in (network.reason.high, network.reason.low, network.reason.both) if each]
    assert refiners == ([] if refiner is None else [refiner, refiner])
    assert any(isinstance(each, GraphReasoning) for each in network.modules()) == reasoning
    # What the tables never switch off.
    assert all(list(each.parameters()) for each in (network.backbone, network.pyramid, network.decoder))


@pytest.mark.parametrize(("deployment", "deployed"), [(0, ""), (1, "both"), (2, "high low"), (3, "high low both")])
def test_deployments_have_their_modules(deployment: int, deployed: str) -> None:
    network = EAGRNet(5, "resnet18", width=0.125, deployment=deployment)
    assert [name for name, _ in network.reason.named_children()] == deployed.split()
    assert network.edge is not None


@pytest.mark.parametrize(("name", "vertices"), [("4 x 4", 4), ("whole", 16), ("8 x 8", 36)])
def test_the_pooling_size_makes_the_vertices(name: str, vertices: int) -> None:
    network = narrow_network(name)
    for module in (network.reason.high, network.reason.low):
        assert module.reason.adjacency.weight.shape == (vertices, vertices)


def test_no_module_deployed_is_no_graph() -> None:
    one, other = narrow_network("0-module"), narrow_network("edge")
    one.load_state_dict(other.state_dict())
    images = torch.randn(2, 3, 49, 49)
    assert all(torch.equal(*each) for each in zip(one(images), other(images), strict=True))


def test_k_and_t_are_those_of_each_module() -> None:
    with torch.device("meta"):
        network = EAGRNet(5, "resnet18", high=(128, 64), low=(32, 16))
        both = EAGRNet(5, "resnet18", high=(128, 64), low=(32, 16), deployment=1).reason.both
    for module, (states, projections) in ((network.reason.high, (128, 64)), (network.reason.low, (32, 16))):
        assert (module.project.theta.out_channels, module.project.phi.out_channels) == (states, projections)
    assert (both.project.theta.out_channels, both.project.phi.out_channels) == (128, 64)


@pytest.mark.parametrize("name", ["whole", "1-module", "no sampling"])
def test_recomputing_changes_nothing_of_what_is_learned(name: str) -> None:
    plain, images = narrow_network(name), torch.randn(2, 3, 49, 49)
    recomputing = copy.deepcopy(plain)
    recomputing.backbone.recompute = True
    assert narrow_network(name, recompute=True).backbone.recompute
    for network in (plain, recomputing):
        loss_of(network, images).total.backward()
    for (key, one), other in zip(plain.named_parameters(), recomputing.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), key
    for (key, one), other in zip(plain.named_buffers(), recomputing.buffers(), strict=True):
        assert torch.equal(one, other), key
