"""The import of EfficientNet-Lite0, against one that is written out plainly in torch's functions."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from eagrctl.checkpoint import build_network
from eagrctl.errors import CheckpointError
from eagrctl.network.efficientnet import EfficientNetLite
from eagrctl.recipe import find_recipe, load_recipe
from eagrctl.weights.recognise import in_lines, recognise, save_backbone
from eagrctl.weights.resnet import BackboneWeights
from eagrctl.weights.start import start_from_pretrained
from eagrctl_tests.conftest import TINY

State = dict[str, torch.Tensor]
# Of each block: inputs, expansion, kernel, stride, outputs.
BLOCKS = (
    *((32, 1, 3, 1, 16), (16, 6, 3, 2, 24), (24, 6, 3, 1, 24), (24, 6, 5, 2, 40), (40, 6, 5, 1, 40)),
    *((40, 6, 3, 2, 80), (80, 6, 3, 1, 80), (80, 6, 3, 1, 80)),
    *((80, 6, 5, 1, 112), (112, 6, 5, 1, 112), (112, 6, 5, 1, 112)),
    *((112, 6, 5, 2, 192), *[(192, 6, 5, 1, 192)] * 3, (192, 6, 3, 1, 320)),
)
GIVEN = {2: "conv2", 4: "conv3", 10: "conv4", 15: "conv5"}  # after which block


def published() -> State:
    """Random weights, named as published."""
    random = torch.Generator().manual_seed(5)
    state: State = {}

    def convolution(name: str, outputs: int, inputs: int, kernel: int) -> None:
        deviation = (2 / (inputs * kernel**2)) ** 0.5
        state[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=random) * deviation

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean"):
            state[f"{name}.{part}"] = torch.randn(channels, generator=random) * 0.3 + (part == "weight")
        state[f"{name}.running_var"] = torch.rand(channels, generator=random) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    convolution("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    for number, (inputs, expansion, kernel, _, outputs) in enumerate(BLOCKS):
        middle = inputs * expansion
        if expansion > 1:
            convolution(f"_blocks.{number}._expand_conv", middle, inputs, 1)
            norm(f"_blocks.{number}._bn0", middle)
        convolution(f"_blocks.{number}._depthwise_conv", middle, 1, kernel)
        norm(f"_blocks.{number}._bn1", middle)
        convolution(f"_blocks.{number}._project_conv", outputs, middle, 1)
        norm(f"_blocks.{number}._bn2", outputs)
    convolution("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    state["_fc.weight"], state["_fc.bias"] = torch.zeros(1000, 1280), torch.zeros(1000)
    return state


def plainly(state: State, images: torch.Tensor) -> State:
    def normed(features: torch.Tensor, name: str) -> torch.Tensor:
        parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(features, *parts, eps=1e-3)

    features = F.relu6(normed(F.conv2d(images, state["_conv_stem.weight"], stride=2, padding=1), "_bn0"))
    found = {}
    for number, (inputs, expansion, kernel, stride, outputs) in enumerate(BLOCKS):
        block, before = f"_blocks.{number}", features
        if expansion > 1:
            features = F.relu6(normed(F.conv2d(features, state[f"{block}._expand_conv.weight"]), f"{block}._bn0"))
        weight = state[f"{block}._depthwise_conv.weight"]
        features = F.conv2d(features, weight, stride=stride, padding=kernel // 2, groups=len(weight))
        features = F.relu6(normed(features, f"{block}._bn1"))
        features = normed(F.conv2d(features, state[f"{block}._project_conv.weight"]), f"{block}._bn2")
        if stride == 1 and inputs == outputs:
            features = features + before
        if number in GIVEN:
            found[GIVEN[number]] = features
    return found


def saved(state: State, path: Path) -> Path:
    torch.save(state, path)
    return path


def imported(path: Path) -> BackboneWeights:
    weights = recognise(path).weights
    assert isinstance(weights, BackboneWeights)
    return weights


def test_it_computes_what_a_plain_one_does_and_leaves_the_classifier(tmp_path: Path) -> None:
    state = published()
    found = recognise(saved(state, tmp_path / "lite0.pth"))
    assert found.kind == "an ImageNet efficientnet-lite0"
    assert found.conversion is not None
    assert {name.split(".")[0] for name in found.conversion.left} == {"_conv_head", "_bn1", "_fc"}
    network = EfficientNetLite().eval()
    network.load_state_dict(dict(imported(tmp_path / "lite0.pth").tensors))
    images, precise = torch.randn(2, 3, 65, 97).double(), {name: tensor.double() for name, tensor in state.items()}
    with torch.no_grad():
        ours, theirs = network.double()(images)._asdict(), plainly(precise, images)
    for name, features in theirs.items():
        scale = features.abs().max()
        assert torch.allclose(ours[name] / scale, features / scale, atol=1e-5), name


def test_a_network_starts_from_it_as_from_its_own_copy(tmp_path: Path) -> None:
    path = saved(published(), tmp_path / "lite0.pth")
    save_backbone(imported(path), tmp_path / "own.safetensors")
    assert in_lines(imported(path))[:3] == in_lines(imported(tmp_path / "own.safetensors"))[:3]
    starts = []
    for file in (path, tmp_path / "own.safetensors"):
        mean, std = imported(file).mean[0], imported(file).std[0]
        settings = [f'model.pretrained="{file}"', f"input.mean={[mean] * 3}", f"input.std={[std] * 3}"]
        settings.append('model.backbone="efficientnet-lite0"')
        recipe = load_recipe(find_recipe("celebamask-hq-small"), [*TINY, *settings])
        network = build_network(recipe, 5)
        start_from_pretrained(network, recipe)
        starts.append(network.backbone.state_dict())
    assert all(torch.equal(one, starts[1][name]) for name, one in starts[0].items())


def test_it_fits_no_resnet(tmp_path: Path) -> None:
    path = saved(published(), tmp_path / "lite0.pth")
    recipe = load_recipe(find_recipe("celebamask-hq-small"), [*TINY, f'model.pretrained="{path}"'])
    with pytest.raises(CheckpointError, match="efficientnet-lite0") as caught:
        start_from_pretrained(build_network(recipe, 5), recipe)
    assert "model.stem" not in str(caught.value)


def test_a_file_cut_short_or_of_another_size_is_refused(tmp_path: Path) -> None:
    state = published()
    del state["_blocks.9._bn1.weight"]
    with pytest.raises(CheckpointError, match=r"lacks _blocks.9._bn1.weight"):
        recognise(saved(state, tmp_path / "short.pth"))
    state = published()
    state["_blocks.16._expand_conv.weight"] = torch.zeros(1, 1, 1, 1)  # as in Lite1, which is deeper
    with pytest.raises(CheckpointError, match=r"holds _blocks.16"):
        recognise(saved(state, tmp_path / "deeper.pth"))
