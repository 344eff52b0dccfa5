"""The import of released state dicts, against a forward pass of the released network written from its description."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from eagrctl.checkpoint import Checkpoint, load_checkpoint, restore_network, save_checkpoint
from eagrctl.data.dataset import normalise
from eagrctl.errors import CheckpointError
from eagrctl.weights.recognise import recognise
from eagrctl_tests.conftest import SHARED

SHAPES = SHARED / "reference" / "released-state-dict.json"
needs_shapes = pytest.mark.skipif(not SHAPES.is_file(), reason="no released-state-dict.json at ../shared")

State = dict[str, torch.Tensor]


def shapes(classes: int = 11) -> dict[str, list[int]]:
    found: dict[str, list[int]] = json.loads(SHAPES.read_text())
    for name in ("weight", "bias"):
        found[f"layer6.conv4.{name}"][0] = classes
    return found


def random_state(classes: int = 11) -> State:
    """Random values of a sensible size, scales of either sign among them."""
    random = torch.Generator().manual_seed(classes)
    state = {}
    for key, shape in shapes(classes).items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(12)
        elif key.endswith("running_var"):
            state[key] = torch.rand(shape, generator=random) + 0.5
        elif len(shape) > 1:
            state[key] = torch.randn(shape, generator=random) * (2 / torch.Size(shape[1:]).numel()) ** 0.5
            if "conv_proj" in key:
                # A softmax over great differences multiplies rounding: between two float32 networks, and within each.
                state[key] *= 0.2
        else:
            state[key] = torch.randn(shape, generator=random) * 0.5
    return state


def plain_forward(state: State, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Blue, green, red images, normalised -> parsing and edge logits, as the released network is described."""

    def norm(name: str, x: torch.Tensor, leaky: bool = True) -> torch.Tensor:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale, shift = state[f"{name}.weight"].abs() + 1e-5, state[f"{name}.bias"]
        at = (None, slice(None), None, None)
        x = (x - mean[at]) / (variance[at] + 1e-5).sqrt() * scale[at] + shift[at]
        return torch.where(x >= 0, x, 0.01 * x) if leaky else x

    def conv(name: str, x: torch.Tensor, stride: int = 1, dilation: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        padding = dilation * (weight.shape[2] // 2)
        return F.conv2d(x, weight, state.get(f"{name}.bias"), stride, padding, dilation)

    def grow(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
        return F.interpolate(x, size, mode="bilinear", align_corners=True)

    x = images
    for number, stride in ((1, 2), (2, 1), (3, 1)):
        x = norm(f"bn{number}", conv(f"conv{number}", x, stride)).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    stages = []
    for stage, (blocks, stride, dilation) in enumerate(zip((3, 4, 23, 3), (1, 2, 1, 1), (1, 1, 1, 2), strict=True), 1):
        for number in range(blocks):
            name = f"layer{stage}.{number}"
            step = stride if number == 0 else 1
            y = norm(f"{name}.bn1", conv(f"{name}.conv1", x)).relu()
            y = norm(f"{name}.bn2", conv(f"{name}.conv2", y, step, dilation)).relu()
            y = norm(f"{name}.bn3", conv(f"{name}.conv3", y))
            if number == 0:
                x = norm(f"{name}.downsample.1", conv(f"{name}.downsample.0", x, step))
            x = (y + x).relu()
        stages.append(x)

    pooled = []
    for place, cells in enumerate((1, 2, 3, 6)):
        y = norm(f"layer5.stages.{place}.2", conv(f"layer5.stages.{place}.1", F.adaptive_avg_pool2d(x, cells)))
        pooled.append(grow(y, x.shape[2:]))
    x = norm("layer5.bottleneck.1", conv("layer5.bottleneck.0", torch.cat([*pooled, x], 1)))

    low = stages[0]
    maps = []
    for number in (1, 2, 3):
        y = norm(f"edge_layer.conv{number}.1", conv(f"edge_layer.conv{number}.0", stages[number - 1]))
        maps.append(grow(conv("edge_layer.conv4", y), low.shape[2:]))
    edges = conv("edge_layer.conv5", torch.cat(maps, 1))

    def reason(name: str, x: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = x.shape
        y = F.interpolate(edges, (height, width)).softmax(1)[:, 1:]
        theta = conv(f"{name}.conv_state", x).reshape(batch, -1, height * width)
        phi = conv(f"{name}.conv_proj", x)
        anchors = F.adaptive_avg_pool2d(phi * y, 6)[:, :, 1:5, 1:5].reshape(batch, -1, 16)
        p = torch.einsum("btv,btp->bvp", anchors, phi.reshape(batch, -1, height * width)).softmax(1)
        graph = torch.einsum("bvp,bkp->bvk", p, theta)
        mixed = torch.einsum("uv,bvk->buk", state[f"{name}.gcn.conv1.weight"][:, :, 0], graph)
        mixed = mixed + state[f"{name}.gcn.conv1.bias"][None, :, None]
        out = torch.einsum("bvk,ok->bvo", mixed - graph, state[f"{name}.gcn.conv2.weight"][:, :, 0]).relu()
        back = torch.einsum("bvk,bvp->bkp", out, p).reshape(batch, -1, height, width)
        return x + norm(f"{name}.blocker", conv(f"{name}.conv_extend", back))

    high = norm("layer6.conv1.1", conv("layer6.conv1.0", reason("block1", x)))
    detail = norm("layer6.conv2.1", conv("layer6.conv2.0", reason("block2", low)))
    x = torch.cat([grow(high, low.shape[2:]), detail], 1)
    x = norm("layer6.conv3.1", conv("layer6.conv3.0", x))
    x = norm("layer6.conv3.3", conv("layer6.conv3.2", x))
    return conv("layer6.conv4", x), edges


@pytest.fixture(scope="module")
def released() -> State:
    return random_state()


@needs_shapes
@torch.inference_mode()
def test_an_imported_network_computes_what_the_released_one_does(released: State, tmp_path: Path) -> None:
    torch.save(released, tmp_path / "helen.pth")
    found = recognise(tmp_path / "helen.pth").weights
    assert isinstance(found, Checkpoint)
    save_checkpoint(found, tmp_path / "helen.pt")
    checkpoint = load_checkpoint(tmp_path / "helen.pt")
    network = restore_network(checkpoint)
    # An ordinary file's pixels, red first; 113 gives sizes of 29 and 15, where "nearest" has something to choose.
    pixels = torch.randint(0, 256, (1, 3, 113, 113), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    ours = network(normalise(pixels, checkpoint.recipe.input.mean, checkpoint.recipe.input.std))

    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    blue_first = (pixels.flip(1) / 255 - mean[:, None, None]) / deviation[:, None, None]
    parsing, edges = plain_forward(released, blue_first)
    for mine, theirs in ((ours.parsing, parsing), (ours.edges, edges)):
        assert mine is not None
        assert theirs.abs().max() > 0.1
        assert (mine - theirs).abs().max() <= 1e-4 * theirs.abs().max()


@needs_shapes
def test_wrapping_and_prefix_make_no_difference(released: State, tmp_path: Path) -> None:
    plain = tmp_path / "plain.pth"
    torch.save(released, plain)
    expected = recognise(plain)
    assert isinstance(expected.weights, Checkpoint)
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in released.items()}}
    for old in (True, False):
        path = tmp_path / f"{old}.pth"
        torch.save(wrapped, path, _use_new_zipfile_serialization=not old)
        found = recognise(path)
        assert isinstance(found.weights, Checkpoint)
        assert found.weights.recipe == expected.weights.recipe
        assert all(torch.equal(found.weights.network[key], value) for key, value in expected.weights.network.items())


@needs_shapes
def test_k_and_t_statistics_and_classes_come_from_the_file(released: State, tmp_path: Path) -> None:
    torch.save(released, tmp_path / "helen.pth")
    found = recognise(tmp_path / "helen.pth")
    assert isinstance(found.weights, Checkpoint)
    model = found.weights.recipe.model
    assert (model.high_k, model.high_t, model.low_k, model.low_t, model.pooling) == (128, 128, 64, 64, 6)
    assert found.weights.recipe.input.mean == (0.406, 0.456, 0.485)
    assert (found.weights.dataset, found.weights.classes[10]) == ("helen", "hair")
    assert found.conversion is not None
    assert set(found.conversion.taken) == set(released)
    assert found.conversion.left == found.conversion.missing == ()


@needs_shapes
@pytest.mark.parametrize(
    ("classes", "dataset", "name", "second"),
    [(19, None, "celebamask-hq", "skin"), (11, "lapa", "lapa", "skin"), (20, None, "unknown", "class 1")],
)
def test_any_number_of_classes_is_imported(
    classes: int, dataset: str | None, name: str, second: str, released: State, tmp_path: Path
) -> None:
    state = {
        **released,
        "layer6.conv4.weight": torch.ones(classes, 256, 1, 1),
        "layer6.conv4.bias": torch.ones(classes),
    }
    torch.save(state, tmp_path / "any.pth")
    found = recognise(tmp_path / "any.pth", dataset).weights
    assert isinstance(found, Checkpoint)
    assert (found.dataset, len(found.classes), found.classes[1]) == (name, classes, second)
    restore_network(found)


def _without(state: State) -> None:
    del state["edge_layer.conv5.bias"]


def _with(state: State) -> None:
    state["edge_layer.attention.weight"] = torch.zeros(3)


def _reshaped(state: State) -> None:
    state["block1.conv_extend.weight"] = torch.zeros(512, 64, 1, 1)


def _not_a_number(state: State) -> None:
    state["layer3.4.bn2.running_mean"] = torch.full((256,), float("nan"))


def _too_fine(state: State) -> None:
    state["layer6.conv4.bias"] = torch.full((11,), 0.1, dtype=torch.float64)


def _negative(state: State) -> None:
    state["bn1.running_var"] = torch.full((64,), -0.5)


@needs_shapes
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without, "lacks edge_layer.conv5.bias"),
        (_with, "holds edge_layer.attention.weight, which EAGRNet has no place for"),
        (_reshaped, r"block1.conv_extend.weight has the shape \[512, 64, 1, 1\]"),
        (_not_a_number, "layer3.4.bn2.running_mean holds values .* no numbers"),
        (_too_fine, "layer6.conv4.bias holds values that torch.float32 cannot hold exactly"),
        (_negative, "bn1.running_var holds a negative variance"),
    ],
)
def test_what_cannot_be_represented_is_refused(
    damage: Callable[[State], None], message: str, released: State, tmp_path: Path
) -> None:
    state = dict(released)
    damage(state)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=message):
        recognise(tmp_path / "odd.pth")


@needs_shapes
def test_a_missing_counter_of_batches_is_reported_and_harmless(released: State, tmp_path: Path) -> None:
    state = {key: value for key, value in released.items() if key != "bn2.num_batches_tracked"}
    torch.save(state, tmp_path / "old.pth")
    found = recognise(tmp_path / "old.pth")
    assert found.conversion is not None
    assert found.conversion.missing == ("bn2.num_batches_tracked",)
