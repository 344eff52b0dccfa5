"""The import of ImageNet ResNets, against a plainly written ResNet and the real weights at ../shared."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

from eagrctl.errors import CheckpointError
from eagrctl.network.backbone import Backbone, Form
from eagrctl.weights.recognise import recognise, save_backbone
from eagrctl.weights.resnet import BackboneWeights
from eagrctl_tests.conftest import SHARED, SUBSET

REAL = SHARED / "weights" / "resnet50-imagenet-v1.safetensors"
State = dict[str, torch.Tensor]


def random_resnet(
    depths: tuple[int, ...], bottleneck: bool, deep: bool, counters: bool = False, width: int = 64
) -> State:
    """A state dict as torchvision names it, at full width unless another one is given."""
    random = torch.Generator().manual_seed(3)
    state: State = {}

    def unit(conv: str, norm: str, inputs: int, outputs: int, kernel: int) -> None:
        deviation = (2 / (inputs * kernel * kernel)) ** 0.5
        state[f"{conv}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=random) * deviation
        for name in ("weight", "bias", "running_mean"):
            state[f"{norm}.{name}"] = torch.randn(outputs, generator=random) * 0.3
        state[f"{norm}.running_var"] = torch.rand(outputs, generator=random) + 0.5
        if counters:
            state[f"{norm}.num_batches_tracked"] = torch.tensor(9)

    inputs = width
    if deep:
        for number, (before, after) in enumerate(((3, width), (width, width), (width, 2 * width)), start=1):
            unit(f"conv{number}", f"bn{number}", before, after, 3)
        inputs = 2 * width
    else:
        unit("conv1", "bn1", 3, width, 7)
    for stage, depth in enumerate(depths, start=1):
        middle = width // 2 * 2**stage
        outputs = 4 * middle if bottleneck else middle
        for number in range(depth):
            name = f"layer{stage}.{number}"
            shapes = (
                [(inputs, middle, 1), (middle, middle, 3), (middle, outputs, 1)]
                if bottleneck
                else [(inputs, middle, 3), (middle, middle, 3)]
            )
            for place, (before, after, kernel) in enumerate(shapes, start=1):
                unit(f"{name}.conv{place}", f"{name}.bn{place}", before, after, kernel)
            if number == 0 and (stage > 1 or inputs != outputs):
                unit(f"{name}.downsample.0", f"{name}.downsample.1", inputs, outputs, 1)
            inputs = outputs
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, inputs), torch.zeros(1000)
    return state


def plain_resnet(state: State, images: torch.Tensor, stride_on: int, swapped: bool = False) -> list[torch.Tensor]:
    """The stages of a ResNet at output stride 8 (strides 1, 2, 1, 1, dilation 2 in the last), as He et al. sum them."""

    def unit(conv: str, norm: str, x: torch.Tensor, stride: int = 1, dilation: int = 1) -> torch.Tensor:
        weight = state[f"{conv}.weight"]
        x = F.conv2d(x, weight, None, stride, dilation * (weight.shape[2] // 2), dilation)
        mean, variance, scale, shift = (
            state[f"{norm}.{name}"][:, None, None] for name in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    x = unit("conv1", "bn1", images.flip(1) if swapped else images, 2).relu()
    for number in (2, 3):
        if f"conv{number}.weight" in state:
            x = unit(f"conv{number}", f"bn{number}", x).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    stages = []
    for stage, (stride, dilation) in enumerate(zip((1, 2, 1, 1), (1, 1, 1, 2), strict=True), start=1):
        number = 0
        while f"layer{stage}.{number}.conv1.weight" in state:
            name, step = f"layer{stage}.{number}", stride if number == 0 else 1
            y = x
            places = [place for place in (1, 2, 3) if f"{name}.conv{place}.weight" in state]
            for place in places:
                wide = state[f"{name}.conv{place}.weight"].shape[2] == 3
                widened = dilation if wide and (len(places) == 3 or stage == 4) else 1
                y = unit(f"{name}.conv{place}", f"{name}.bn{place}", y, step if place == stride_on else 1, widened)
                y = y.relu() if place != places[-1] else y
            if f"{name}.downsample.0.weight" in state:
                x = unit(f"{name}.downsample.0", f"{name}.downsample.1", x, step)
            x = (x + y).relu()
            number += 1
        stages.append(x)
    return stages


def imported(path: Path) -> BackboneWeights:
    found = recognise(path).weights
    assert isinstance(found, BackboneWeights)
    return found


def backbone_of(weights: BackboneWeights, residual: str) -> Backbone:
    backbone = Backbone(weights.backbone, form=Form(weights.stem, weights.stride, residual))
    backbone.load_state_dict(dict(weights.tensors))
    return backbone.eval()


@pytest.mark.parametrize(
    ("depths", "bottleneck", "deep", "name"),
    [
        ((2, 2, 2, 2), False, True, "resnet18"),
        ((2, 2, 2, 2), False, False, "resnet18"),
        ((3, 4, 6, 3), True, True, "resnet50"),
        ((3, 4, 6, 3), True, False, "resnet50"),
    ],
)
@torch.inference_mode()
def test_an_imported_resnet_has_the_features_of_a_plain_one(
    depths: tuple[int, ...], bottleneck: bool, deep: bool, name: str, tmp_path: Path
) -> None:
    state = random_resnet(depths, bottleneck, deep)
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "resnet.pth")
    found = recognise(tmp_path / "resnet.pth")
    assert found.conversion is not None
    assert found.conversion.left == ("fc.bias", "fc.weight")
    weights = imported(tmp_path / "resnet.pth")
    assert (weights.backbone, weights.stem, weights.stride) == (name, "deep" if deep else "conv7x7", "3x3")
    images = torch.randn(1, 3, 65, 49)
    features = backbone_of(weights, "plain")(images)
    for mine, theirs in zip(features, plain_resnet(state, images, stride_on=2 if bottleneck else 1), strict=True):
        assert theirs.abs().max() > 0.1
        assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@torch.inference_mode()
def test_strides_on_the_1x1_and_blue_first_are_taken_from_the_metadata(tmp_path: Path) -> None:
    state = random_resnet((3, 4, 6, 3), bottleneck=True, deep=False)
    save_file(state, tmp_path / "a.safetensors", {"stride": "on the 1x1 conv1", "input": "BGR, 0..1"})
    weights = imported(tmp_path / "a.safetensors")
    assert weights.stride == "1x1"
    images = torch.randn(1, 3, 49, 49)
    features = backbone_of(weights, "plain")(images)
    for mine, theirs in zip(features, plain_resnet(state, images, stride_on=1, swapped=True), strict=True):
        assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.skipif(not REAL.is_file(), reason="no real ResNet-50 at ../shared")
@pytest.mark.shared
@torch.inference_mode()
def test_the_real_resnet_50_is_imported_exactly(tmp_path: Path) -> None:
    weights = imported(REAL)
    assert (weights.backbone, weights.stem, weights.stride) == ("resnet50", "conv7x7", "1x1")
    save_backbone(weights, tmp_path / "again.safetensors")
    again = imported(tmp_path / "again.safetensors")
    assert (again.backbone, again.mean, again.std, again.origin) == (
        *("resnet50", weights.mean, weights.std),
        REAL.name,
    )

    photos = []
    for path in sorted((SUBSET / "images").glob("*.jpg"))[:2]:
        with Image.open(path) as photo:
            pixels = np.asarray(photo.convert("RGB").resize((129, 129)), np.float32) / 255
        photos.append((pixels - np.float32(weights.mean)) / np.float32(weights.std))
    images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2)

    state = {key: value.float() for key, value in load_file(REAL).items()}
    plain = backbone_of(again, "plain")(images)
    for mine, theirs in zip(plain, plain_resnet(state, images, stride_on=1), strict=True):
        assert (mine - theirs).abs().max() <= 1e-4 * theirs.abs().max()

    # In the paper's form, too, the features are finite, tell photos apart, and are not those of a fresh network.
    features = backbone_of(again, "activated")(images).conv5
    fresh = Backbone("resnet50", form=Form("conv7x7", "1x1")).eval()(images).conv5
    assert features.isfinite().all()
    assert (features[0] - features[1]).abs().mean() > 0.1 * features.abs().mean()
    assert torch.nn.functional.cosine_similarity(features.flatten(1), fresh.flatten(1)).max() < 0.7


def test_counters_of_batches_are_taken_where_there_are_some(tmp_path: Path) -> None:
    torch.save(random_resnet((2, 2, 2, 2), False, True, counters=True), tmp_path / "a.pth")
    found = recognise(tmp_path / "a.pth")
    assert found.conversion is not None
    assert found.conversion.missing == ()
    assert isinstance(found.weights, BackboneWeights)
    assert found.weights.tensors["conv5.1.second.1.num_batches_tracked"] == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer1.0.se.fc1.weight": torch.zeros(3)}, "layer1.0.se.fc1.weight.* has no place for"),
        ({"layer2.1.conv1.weight": torch.zeros(128, 4, 3, 3)}, r"layer2.1.conv1.weight has the shape \[128, 4, 3, 3\]"),
        (
            {"layer3.2.conv1.weight": torch.zeros(1)},
            r"a network with 2, 2, 3, 2 blocks \(BasicBlock\), which is none of",
        ),
        ({"layer1.1.downsample.0.weight": torch.zeros(1)}, "layer1.1.downsample.0.weight.* has no place for"),
    ],
)
def test_other_networks_are_refused(change: State, message: str, tmp_path: Path) -> None:
    torch.save({**random_resnet((2, 2, 2, 2), False, True), **change}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=message):
        recognise(tmp_path / "other.pth")


def test_a_resnet_18_whose_strides_sit_on_a_1x1_cannot_be(tmp_path: Path) -> None:
    save_file(random_resnet((2, 2, 2, 2), False, True), tmp_path / "a.safetensors", {"stride": "1x1"})
    with pytest.raises(CheckpointError, match="no 1x1 convolution"):
        recognise(tmp_path / "a.safetensors")


@pytest.mark.parametrize(("key", "words"), [("stride", "somewhere"), ("input", "grey"), ("input", "RGB or BGR")])
def test_metadata_that_says_neither_is_refused(key: str, words: str, tmp_path: Path) -> None:
    save_file(random_resnet((2, 2, 2, 2), False, True), tmp_path / "a.safetensors", {key: words})
    with pytest.raises(CheckpointError, match=words):
        recognise(tmp_path / "a.safetensors")
