import torch
import torch.nn.functional as F

from eagrctl.network.pyramid import FACTORS, PyramidPooling


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
