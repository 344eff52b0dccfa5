import pytest
import torch

from eagrctl.network.eagrnet import EAGRNet
from eagrctl.network.efficientnet import EfficientNetLite

NAME = "efficientnet-lite0"


@pytest.mark.parametrize("side", [65, 225])
def test_stages_end_at_strides_4_8_16_and_32_and_keep_corners_aligned(side: int) -> None:
    features = EfficientNetLite().eval()(torch.randn(1, 3, side, side))
    assert [each.shape[2] for each in features] == [(side - 1) // stride + 1 for stride in (4, 8, 16, 32)]
    assert tuple(each.shape[1] for each in features) == EfficientNetLite.channels


def test_a_network_with_it_gives_logits_at_a_quarter_and_learns_in_all_its_parts() -> None:
    network = EAGRNet(7, NAME, 0.125)
    logits = network(torch.randn(2, 3, 65, 65))
    assert logits.parsing.shape == (2, 7, 17, 17)
    assert logits.edges is not None
    assert logits.edges.shape == (2, 2, 17, 17)
    (logits.parsing.square().mean() + logits.edges.square().mean()).backward()
    assert not [name for name, weight in network.named_parameters() if weight.grad is None]


def test_recomputing_changes_no_gradient_and_no_statistics() -> None:
    images, found = torch.randn(2, 3, 65, 65), []
    for recompute in (False, True):
        torch.manual_seed(0)
        network = EAGRNet(5, NAME, 0.125, recompute=recompute)
        network(images).parsing.square().mean().backward()
        found.append(({name: each.grad for name, each in network.named_parameters()}, dict(network.named_buffers())))
    for plain, again in zip(*found, strict=True):
        for name, tensor in plain.items():
            assert (tensor is None) == (again[name] is None), name
            assert tensor is None or torch.equal(tensor, again[name]), name


def test_its_channels_do_not_follow_the_width() -> None:
    narrow, wide = EAGRNet(5, NAME, 0.125), EAGRNet(5, NAME, 0.5)
    assert narrow.backbone.channels == wide.backbone.channels == EfficientNetLite.channels
    assert narrow.decoder.classify.in_channels < wide.decoder.classify.in_channels
