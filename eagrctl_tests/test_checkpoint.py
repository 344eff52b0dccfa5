import dataclasses
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode

from eagrctl.checkpoint import (
    Checkpoint,
    build_network,
    halved,
    load_checkpoint,
    restore_network,
    save_checkpoint,
    without_places,
)
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.errors import CheckpointError
from eagrctl.recipe import Recipe, changed


@pytest.fixture
def checkpoint(tiny_recipe: Callable[..., Recipe]) -> Checkpoint:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    network(torch.randn(2, 3, 49, 49))  # moves the running statistics away from their start
    return Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict(), {"miou": 0.5}, 3, 40)


def test_saved_and_loaded_it_gives_the_same_logits(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_checkpoint(checkpoint, path)
    loaded = load_checkpoint(path)
    assert (loaded.recipe, loaded.classes, loaded.scores) == (checkpoint.recipe, checkpoint.classes, {"miou": 0.5})
    assert (loaded.epoch, loaded.step, loaded.training) == (3, 40, None)
    images = torch.randn(2, 3, 49, 49)
    for before, after in zip(restore_network(checkpoint)(images), restore_network(loaded)(images), strict=True):
        assert torch.equal(before, after)


def test_nothing_but_the_checkpoint_is_left(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "best.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


def test_a_number_too_large_for_half_precision_is_refused(checkpoint: Checkpoint) -> None:
    network = {**checkpoint.network, "decoder.classify.bias": torch.full((19,), 1e5)}
    with pytest.raises(CheckpointError, match=r"classify\.bias holds numbers beyond 65,504"):
        halved(dataclasses.replace(checkpoint, network=network))


class Malicious:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(Path(os.environ["EAGRCTL_TEST_TRAP"])),)


def test_a_malicious_pickle_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "sprung"
    monkeypatch.setenv("EAGRCTL_TEST_TRAP", str(trap))
    plain, zipped = tmp_path / "plain.pt", tmp_path / "zipped.pt"
    plain.write_bytes(pickle.dumps(Malicious()))
    torch.save({"format": "eagrctl checkpoint", "version": 2, "recipe": Malicious()}, zipped)
    for path in (plain, zipped):
        with pytest.raises(CheckpointError, match=rf"{path.name} is not a file of weights"):
            load_checkpoint(path)
    assert not trap.exists()


@pytest.mark.parametrize("keep", [0, 10, 5000, -1])
def test_a_truncated_file_is_refused(checkpoint: Checkpoint, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"last\.pt is not a file of weights, or is damaged"):
        load_checkpoint(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.pt"
    path.write_text("dear diary")
    with pytest.raises(CheckpointError, match=r"notes\.pt is not a file of weights"):
        load_checkpoint(path)
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"notes\.pt holds no eagrctl checkpoint"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "missing.pt")


def test_a_later_version_asks_for_an_update(tmp_path: Path) -> None:
    path = tmp_path / "later.pt"
    torch.save({"format": "eagrctl checkpoint", "version": 99}, path)
    with pytest.raises(
        CheckpointError, match="has version 99, this eagrctl reads 2; use another, or the eagrctl that wrote it"
    ):
        load_checkpoint(path)


def test_weights_that_do_not_fit_their_recipe_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match="do not fit"):
        restore_network(dataclasses.replace(checkpoint, classes=checkpoint.classes[:11]))


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot write .*best\.pt"):
        save_checkpoint(checkpoint, tmp_path / "missing" / "best.pt")
    assert not list(tmp_path.iterdir())


def test_as_safetensors_it_is_the_same_checkpoint_without_training(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    given = dataclasses.replace(checkpoint, training={"step": 40}, origin="a test")
    save_checkpoint(given, path)
    loaded = load_checkpoint(path)
    assert loaded.training is None
    assert all(torch.equal(loaded.network[key], value) for key, value in given.network.items())
    rest = [field.name for field in dataclasses.fields(Checkpoint) if field.name not in ("network", "training")]
    assert all(getattr(loaded, name) == getattr(given, name) for name in rest)
    # Whoever may read a file that this user writes may read this one, too.
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("metadata", [{}, {"checkpoint": "no JSON"}, {"checkpoint": "[]"}, {"checkpoint": "{}"}])
def test_safetensors_with_other_metadata_are_refused(metadata: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"format": "eagrctl checkpoint", "version": "2", **metadata})
    with pytest.raises(CheckpointError, match=r"odd\.safetensors.*; use another"):
        load_checkpoint(path)


class LargestTensor(TorchDispatchMode):
    """Notes the size of the largest tensor made on the CPU meanwhile."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.device.type == "cpu":
            self.numbers = max(self.numbers, made.numel())
        return made


def test_a_recipe_of_a_larger_network_is_refused_before_anything_is_built(checkpoint: Checkpoint) -> None:
    larger = changed(checkpoint.recipe, model={"high_k": 4096, "width": 4.0})
    with LargestTensor() as made, pytest.raises(CheckpointError, match="do not fit the checkpoint's own recipe"):
        restore_network(dataclasses.replace(checkpoint, recipe=larger))
    assert made.numbers <= max(tensor.numel() for tensor in checkpoint.network.values())


def test_a_restored_network_shares_nothing_with_its_checkpoint_and_can_be_trained(checkpoint: Checkpoint) -> None:
    network = restore_network(halved(checkpoint))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in network.parameters())
    again = restore_network(checkpoint)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    assert any(tensor.any() for tensor in checkpoint.network.values() if tensor.is_floating_point())


def test_a_restored_network_imports_no_compiler() -> None:
    # torch's meta device imports it to draw random numbers that nobody needs, which takes seconds.
    code = """
import sys
from eagrctl.checkpoint import load_checkpoint, restore_network
from eagrctl.weights import NETWORK
restore_network(load_checkpoint(NETWORK))
print("torch._dynamo" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "False\n", ran.stderr


def test_a_recipe_that_is_handed_on_says_nothing_of_where_things_lie(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe(
        'model.pretrained="/home/me/weights/resnet.pth"',
        'surroundings={backgrounds="/home/me/photos"}',
        'sources.hair={data="/home/me/hair",share=0.1,classes={}}',
        'sources.parts={data="data/parts",share=0.1,classes={}}',
    )
    handed = without_places(recipe)
    assert (handed.model.pretrained, handed.surroundings.backgrounds) == ("resnet.pth", "photos")
    assert [source.data for source in handed.sources.values()] == ["hair", "data/parts"]
    assert without_places(handed) == handed
    assert without_places(tiny_recipe()) == tiny_recipe()
