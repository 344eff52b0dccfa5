import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from eagrctl.network.eagrnet import EAGRNet


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
