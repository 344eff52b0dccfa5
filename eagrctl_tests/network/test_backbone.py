import pytest
import torch
from torch import nn

from eagrctl.network.abn import ActivatedBatchNorm, narrow
from eagrctl.network.backbone import BACKBONES, Backbone, BasicBlock, Bottleneck, Form


@pytest.mark.parametrize("name", BACKBONES)
def test_stages_have_the_papers_sizes_at_473(name: str) -> None:
    with torch.device("meta"):
        backbone = Backbone(name)
        features = backbone(torch.empty(1, 3, 473, 473))
    expansion = 1 if name == "resnet18" else 4
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (64 * expansion, 119, 119),
        (128 * expansion, 60, 60),
        (256 * expansion, 60, 60),
        (512 * expansion, 60, 60),
    ]
    assert backbone.channels == [feature.shape[1] for feature in features]


def test_strides_and_dilations_give_output_stride_8() -> None:
    backbone = Backbone("resnet50", 0.125)
    strides = [
        stage[0].spatial[0].stride[0] for stage in (backbone.conv2, backbone.conv3, backbone.conv4, backbone.conv5)
    ]
    dilations = [block.spatial[0].dilation[0] for block in (backbone.conv4[0], backbone.conv5[0], backbone.conv5[2])]
    assert strides == [1, 2, 1, 1]
    assert dilations == [1, 2, 2]


def test_every_convolution_is_normalised_and_has_no_bias() -> None:
    modules = list(Backbone("resnet101", 0.125).modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, ActivatedBatchNorm)]
    assert len(convolutions) == len(norms) == 3 + 3 * 33 + 4
    assert not any(convolution.bias is not None for convolution in convolutions)


@pytest.mark.parametrize("training", [True, False])
def test_a_bottleneck_activates_its_residual_before_the_sum(training: bool) -> None:
    block = Bottleneck(16, 8, stride=2, dilation=1, form=Form()).train(training)
    features = torch.randn(2, 16, 9, 9)

    def norm(values: torch.Tensor, layer: ActivatedBatchNorm) -> torch.Tensor:
        if training:
            mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3), unbiased=False)
        else:
            mean, variance = layer.running_mean, layer.running_var
        scaled = (values - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + 1e-5).sqrt()
        scaled = scaled * layer.weight.view(1, -1, 1, 1) + layer.bias.view(1, -1, 1, 1)
        return torch.where(scaled > 0, scaled, 0.01 * scaled)

    inner = norm(block.reduce[0](features), block.reduce[1]).clamp(min=0)
    inner = norm(block.spatial[0](inner), block.spatial[1]).clamp(min=0)
    residual = norm(block.extend[0](inner), block.extend[1])
    shortcut = norm(block.shortcut[0](features), block.shortcut[1])
    assert torch.allclose(block(features), (residual + shortcut).clamp(min=0), atol=1e-5)


@pytest.mark.parametrize("block", [Bottleneck, BasicBlock])
def test_a_block_that_keeps_its_shape_keeps_its_input_in_the_sum(block: type[Bottleneck] | type[BasicBlock]) -> None:
    inputs = 8 * block.expansion
    kept = block(inputs, 8, stride=1, dilation=1, form=Form())
    assert isinstance(kept.shortcut, nn.Identity)
    assert not isinstance(block(inputs, 8, stride=2, dilation=1, form=Form()).shortcut, nn.Identity)


def test_width_narrows_to_multiples_of_eight() -> None:
    assert [narrow(channels, 0.25) for channels in (16, 48, 64, 256)] == [8, 16, 16, 64]
    assert narrow(304, 1.0) == 304


def test_an_unknown_backbone_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="resnet18, resnet50, resnet101"):
        Backbone("vgg16")
