import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.errors import CheckpointError, EagrctlError, RecipeError
from eagrctl.events import Notice, Progress
from eagrctl.network.backbone import Backbone, Form
from eagrctl.recipe import Recipe
from eagrctl.weights import fetch
from eagrctl.weights.recognise import save_backbone
from eagrctl.weights.resnet import DEVIATION, MEAN, BackboneWeights
from eagrctl.weights.start import start_from_pretrained

RESNET = ('model.backbone="resnet18"', "model.width=1.0", "input.size=49")


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    torch.manual_seed(1)  # every test begins at 0
    tensors = Backbone("resnet18", form=Form("conv7x7")).state_dict()
    save_backbone(BackboneWeights("resnet18", "conv7x7", "3x3", MEAN, DEVIATION, tensors, "a test"), path)
    return path


def pretrained(path: Path) -> str:
    return f"model.pretrained={json.dumps(str(path))}"


def test_a_resnet_fills_the_backbone_and_nothing_else(resnet: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe(*RESNET, 'model.stem="conv7x7"', pretrained(resnet))
    network = build_network(recipe, 19)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    events: list[Progress | Notice] = []
    start_from_pretrained(network, recipe, events.append)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert all(key.startswith("backbone.") for key in changed)
    assert {key for key in before if key.startswith("backbone.") and before[key].dim() == 4} <= changed
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert "Started the backbone" in texts[0]
    assert "plain" in texts[1]  # what the paper's activation before the sum does to these weights


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        ((), "--set model.stem='\"conv7x7\"'"),
        (("model.stem='conv7x7'", "model.width=0.5"), "--set model.width=1.0"),
        (("model.stem='conv7x7'", "input.mean=[0.5, 0.5, 0.5]"), "--set input.mean='[0.485, 0.456, 0.406]'"),
        (("model.stem='conv7x7'", "model.backbone='resnet50'"), "--set model.backbone='\"resnet18\"'"),
    ],
)
def test_a_resnet_that_does_not_fit_says_what_to_set(
    overrides: tuple[str, ...], remedy: str, resnet: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = tiny_recipe(*RESNET, pretrained(resnet), *overrides)
    with torch.device("meta"):
        network = build_network(recipe, 19)
    with pytest.raises(CheckpointError) as caught:
        start_from_pretrained(network, recipe)
    assert remedy in str(caught.value)


@pytest.fixture
def whole(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> Path:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    save_checkpoint(Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict()), tmp_path / "a.pt")
    return tmp_path / "a.pt"


def test_a_whole_network_fills_everything(whole: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe(pretrained(whole))
    first, second = build_network(recipe, 19), build_network(recipe, 19)
    start_from_pretrained(first, recipe)
    start_from_pretrained(second, recipe)
    assert all(torch.equal(first.state_dict()[key], value) for key, value in second.state_dict().items())


def test_other_classes_leave_the_classifier_fresh_and_say_so(whole: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe(pretrained(whole))
    network = build_network(recipe, 11)
    own = network.decoder.classify.weight.clone()
    events: list[Progress | Notice] = []
    start_from_pretrained(network, recipe, events.append)
    assert torch.equal(network.decoder.classify.weight, own)
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.warning
    assert "19 classes and not 11" in notice.text


def test_another_network_is_refused(whole: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe(pretrained(whole), "model.width=0.25")
    with pytest.raises(CheckpointError, match="holds another network than the recipe"):
        start_from_pretrained(build_network(recipe, 19), recipe)


def test_other_statistics_are_refused(whole: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe(pretrained(whole), "input.mean=[0.5, 0.5, 0.5]")
    with pytest.raises(CheckpointError, match=r"add --set input\.mean='\[0\.485, 0\.456, 0\.406\]'"):
        start_from_pretrained(build_network(recipe, 19), recipe)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (
            ("model.pretrained='imagenet'",),
            RecipeError,
            "nobody publishes .* resnet18 at width 0.125",
        ),
        (
            ("model.pretrained='imagenet'", "model.width=1.0", "model.backbone='resnet50'", "model.stride='1x1'"),
            RecipeError,
            "strides on the 3x3",
        ),
        (("model.pretrained='imagenet'", "model.width=1.0"), CheckpointError, "cannot fetch resnet18-imagenet.pth"),
        (("model.pretrained='missing.pth'",), CheckpointError, "no checkpoint at missing.pth"),
    ],
)
def test_what_is_not_there_is_one_line(
    overrides: tuple[str, ...],
    error: type[EagrctlError],
    message: str,
    tiny_recipe: Callable[..., Recipe],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("EAGRCTL_CACHE", str(tmp_path))
    nowhere = {
        key: dataclasses.replace(value, url=f"http://127.0.0.1:9/{value.name}")
        for key, value in fetch.PUBLISHED.items()
    }
    monkeypatch.setattr("eagrctl.weights.start.PUBLISHED", nowhere)
    recipe = tiny_recipe(*overrides)
    with torch.device("meta"):
        network = build_network(recipe, 19)
    with pytest.raises(error, match=message):
        start_from_pretrained(network, recipe)
