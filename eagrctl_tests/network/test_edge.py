import torch
import torch.nn.functional as F

from eagrctl.network.backbone import Features
from eagrctl.network.edge import EdgePerceiving


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
