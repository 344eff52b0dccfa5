import copy

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from eagrctl.network import recompute
from eagrctl.network.backbone import RESIDUALS, STEMS, Backbone, Features, Form
from eagrctl.network.norm import ActivatedBatchNorm, convolution

FORMS = [
    pytest.param(name, Form(stem=stem, residual=residual), id=f"{name} {stem} {residual}")
    for name in ("resnet18", "resnet50")
    for stem in STEMS
    for residual in RESIDUALS
]


def pair(name: str, form: Form = Form()) -> tuple[Backbone, Backbone]:  # noqa: B008  # frozen
    plain = Backbone(name, 0.125, form)
    recomputing = copy.deepcopy(plain)
    recomputing.recompute = True
    return plain, recomputing


def loss_of(features: Features) -> torch.Tensor:
    """All stages have a part in it, as in the network."""
    generator = torch.Generator().manual_seed(1)
    return torch.stack([(each * torch.randn(each.shape, generator=generator)).mean() for each in features]).sum()


def bytes_saved(backbone: Backbone, images: torch.Tensor) -> int:
    """What the backward pass keeps, parameters and running statistics left out."""
    own = {each.untyped_storage().data_ptr() for each in (*backbone.parameters(), *backbone.buffers())}
    storages: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage  # held, so that no other one gets the same address
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        features = backbone(images)
    assert all(feature.requires_grad for feature in features)
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_training_is_the_same_to_the_last_bit(name: str, form: Form) -> None:
    plain, recomputing = pair(name, form)
    optimisers = [torch.optim.SGD(each.parameters(), 0.01, momentum=0.9) for each in (plain, recomputing)]
    for step in (1, 2):
        images = torch.randn(2, 3, 33, 33)
        losses = []
        for backbone, optimiser in zip((plain, recomputing), optimisers, strict=True):
            optimiser.zero_grad()
            losses.append(loss_of(backbone(images)))
            losses[-1].backward()
            optimiser.step()
        assert torch.equal(*losses)
        for (key, one), other in zip(plain.named_parameters(), recomputing.parameters(), strict=True):
            assert one.grad.any(), key
            assert torch.equal(one.grad, other.grad), key
        buffers = dict(recomputing.named_buffers())
        for key, buffer in plain.named_buffers():
            assert torch.equal(buffer, buffers[key]), key
            assert not key.endswith("num_batches_tracked") or buffers[key] == step, key


@pytest.mark.parametrize("stem", STEMS)
def test_it_keeps_less(stem: str) -> None:
    plain, recomputing = pair("resnet50", Form(stem=stem))
    images = torch.randn(2, 3, 65, 65)
    assert bytes_saved(recomputing, images) <= 0.7 * bytes_saved(plain, images)


@pytest.mark.parametrize("stem", STEMS)
def test_the_stem_by_itself_keeps_less(stem: str) -> None:
    plain, recomputing = pair("resnet18", Form(stem=stem))
    for backbone in (plain, recomputing):
        backbone.conv2, backbone.conv3, backbone.conv4, backbone.conv5 = (nn.Sequential() for _ in range(4))
    images = torch.randn(2, 3, 65, 65)
    assert bytes_saved(recomputing, images) <= 0.7 * bytes_saved(plain, images)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_no_convolution_runs_a_second_time(name: str) -> None:
    flops = []
    for backbone in pair(name):
        with FlopCounterMode(display=False) as counter:
            loss_of(backbone(torch.randn(2, 3, 33, 33))).backward()
        flops.append(counter.get_total_flops())
    assert flops[0] == flops[1] > 0


@pytest.mark.parametrize(("training", "gradients"), [(False, True), (False, False), (True, False)])
def test_without_a_training_step_nothing_is_different(
    training: bool, gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("recomputes")

    monkeypatch.setattr(recompute, "checkpoint", refuse)
    plain, recomputing = (each.train(training) for each in pair("resnet50"))
    images = torch.randn(2, 3, 33, 33)
    with torch.set_grad_enabled(gradients):
        for one, other in zip(plain(images), recomputing(images), strict=True):
            assert torch.equal(one, other)
            assert other.requires_grad == gradients
    for (key, one), other in zip(plain.named_buffers(), recomputing.buffers(), strict=True):
        assert torch.equal(one, other)
        assert not key.endswith("num_batches_tracked") or other == int(training)


def test_the_last_norm_is_left_to_who_asked() -> None:
    units = [convolution(3, 4), convolution(4, 5, kernel=3), convolution(5, 6)]
    images = torch.randn(2, 3, 7, 7)
    twins = copy.deepcopy(units)
    expected = twins[2][0](twins[1](twins[0](images)))
    assert torch.equal(recompute.before_last_norm(units, images), expected)
    assert [unit[1].num_batches_tracked.item() for unit in units] == [1, 1, 0]


@pytest.mark.parametrize("run", [1, 2], ids=["first", "again"])
def test_an_exception_leaves_the_norm_as_it_was(run: int) -> None:
    norm = ActivatedBatchNorm(4)
    own = dict(norm.named_buffers())
    runs = 0

    def failing(features: torch.Tensor) -> torch.Tensor:
        nonlocal runs
        runs += 1
        normalised = norm(features)
        if runs == run:
            raise MemoryError("no memory is left")
        return normalised.square()

    def step() -> None:
        features = nn.Conv2d(3, 4, kernel_size=1)(torch.randn(2, 3, 5, 5))
        recompute.recomputed(failing, features, norms=[norm]).sum().backward()

    with pytest.raises(MemoryError, match="no memory is left"):
        step()
    assert runs == run
    assert norm.track_running_stats
    assert all(buffer is own[name] for name, buffer in norm.named_buffers())
    norm(torch.randn(2, 4, 5, 5))
    assert norm.num_batches_tracked == 2
