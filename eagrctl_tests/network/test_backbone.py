import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.network.backbone import BACKBONES, Backbone, BasicBlock, Bottleneck, Form
from eagrctl.network.norm import ActivatedBatchNorm, narrow


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


@pytest.mark.parametrize(("residual", "slope"), [("activated", 0.01), ("plain", 1.0)])
@pytest.mark.parametrize("training", [True, False])
def test_a_bottleneck_activates_its_residual_before_the_sum_or_not(training: bool, residual: str, slope: float) -> None:
    block = Bottleneck(16, 8, stride=2, dilation=1, form=Form(residual=residual)).train(training)
    for layer in block.modules():
        if isinstance(layer, ActivatedBatchNorm):
            nn.init.uniform_(layer.bias, -1, 1)
    features = torch.randn(2, 16, 9, 9)

    def norm(values: torch.Tensor, layer: ActivatedBatchNorm) -> torch.Tensor:
        if training:
            mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3), unbiased=False)
        else:
            mean, variance = layer.running_mean, layer.running_var
        scaled = (values - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + 1e-5).sqrt()
        return scaled * layer.weight.view(1, -1, 1, 1) + layer.bias.view(1, -1, 1, 1)

    def leaky(values: torch.Tensor) -> torch.Tensor:
        return torch.where(values > 0, values, slope * values)

    inner = norm(block.reduce[0](features), block.reduce[1]).clamp(min=0)
    inner = norm(block.spatial[0](inner), block.spatial[1]).clamp(min=0)
    extended = leaky(norm(block.extend[0](inner), block.extend[1]))
    shortcut = leaky(norm(block.shortcut[0](features), block.shortcut[1]))
    assert torch.allclose(block(features), (extended + shortcut).clamp(min=0), atol=1e-5)


@pytest.mark.parametrize(("residual", "slope"), [("activated", 0.01), ("plain", 1.0)])
def test_a_basic_block_activates_its_residual_before_the_sum_or_not(residual: str, slope: float) -> None:
    block = BasicBlock(8, 8, stride=1, dilation=2, form=Form(residual=residual))
    features = torch.randn(2, 8, 9, 9)
    inner = F.batch_norm(block.first[0](features), None, None, training=True).clamp(min=0)
    extended = F.batch_norm(block.second[0](inner), None, None, training=True)
    extended = torch.where(extended > 0, extended, slope * extended)
    assert torch.allclose(block(features), (extended + features).clamp(min=0), atol=1e-5)


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


@pytest.mark.parametrize("name", BACKBONES)
def test_a_7x7_stem_is_one_convolution_and_gives_the_same_sizes(name: str) -> None:
    with torch.device("meta"):
        backbone = Backbone(name, form=Form(stem="conv7x7"))
        features = backbone(torch.empty(1, 3, 473, 473))
    unit, pool = backbone.conv1
    assert isinstance(pool, nn.MaxPool2d)
    assert (unit[0].weight.shape, unit[0].stride, unit[0].padding) == ((64, 3, 7, 7), (2, 2), (3, 3))
    assert unit[1].slope == 0
    assert [feature.shape[2] for feature in features] == [119, 60, 60, 60]
    assert backbone.channels == [feature.shape[1] for feature in features]


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet18", 11_176_512), ("resnet50", 23_508_032), ("resnet101", 42_500_160)]
)
def test_with_the_first_resnets_stem_it_is_as_large_as_the_first_resnets(name: str, parameters: int) -> None:
    # The well-known sizes of those for ImageNet (11,689,512, 25,557,032 and 44,549,160), less the classifier's.
    with torch.device("meta"):
        backbone = Backbone(name, form=Form(stem="conv7x7", residual="plain"))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == parameters


@pytest.mark.parametrize(("stride", "where"), [("3x3", "spatial"), ("1x1", "reduce")])
def test_the_stride_of_a_stage_sits_where_the_form_says(stride: str, where: str) -> None:
    backbone = Backbone("resnet50", 0.125, Form(stride=stride))
    strided = {name for name, module in backbone.named_modules() if getattr(module, "stride", 1) == (2, 2)}
    assert strided == {"conv1.0.0", f"conv3.0.{where}.0", "conv3.0.shortcut.0"}
    assert [feature.shape[2] for feature in backbone(torch.randn(2, 3, 49, 49))] == [13, 7, 7, 7]


def test_the_paper_has_the_default_form() -> None:
    assert Form() == Form(stem="deep", stride="3x3", residual="activated")


@pytest.mark.parametrize(
    ("part", "allowed"),
    [("stem", "'deep' or 'conv7x7'"), ("stride", "'3x3' or '1x1'"), ("residual", "'activated' or 'plain'")],
)
def test_an_unknown_form_lists_those_there_are(part: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"{part} must be {allowed}, not 'other'"):
        Form(**{part: "other"})


def test_basic_blocks_have_no_1x1_convolution_for_the_stride() -> None:
    with pytest.raises(ValueError, match="resnet18 have no 1x1 convolution"):
        Backbone("resnet18", 0.125, Form(stride="1x1"))
