import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eagrctl.checkpoint import Checkpoint, build_network, load_checkpoint, restore_network, save_checkpoint
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.recipe import Recipe
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.weights.test_resnet import random_resnet


@pytest.fixture
def checkpoint(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> Path:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    path = tmp_path / "run" / "best.pt"
    path.parent.mkdir()
    contents = Checkpoint(
        recipe,
        "celebamask-hq",
        CELEBAMASK_HQ.names,
        network.state_dict(),
        {"mean_f1": 0.5},
        2,
        40,
        training={"a": 1},
    )
    save_checkpoint(contents, path)
    return path


@pytest.fixture
def resnet(tmp_path: Path) -> Path:
    path = tmp_path / "resnet18-of-somebody.pth"
    torch.save(random_resnet((2, 2, 2, 2), bottleneck=False, deep=True), path, _use_new_zipfile_serialization=False)
    return path


def test_import_reports_what_became_of_the_keys(eagrctl: Invoke, resnet: Path) -> None:
    result = eagrctl("weights", "import", resnet)
    assert result.exit_code == 0
    assert "an ImageNet resnet18 with deep stem" in result.stdout
    # 3 convolutions in the stem, 8 blocks of 2, 4 shortcuts: 23, each with a norm of 4 tensors and a counter.
    rows = {line.split("│")[1].strip(): line for line in result.stdout.splitlines() if line.startswith("│")}
    assert " 115 " in rows["taken"]
    assert "fc.bias, fc.weight" in rows["left"]
    assert " 23 " in rows["missing"]
    assert "Wrote weights/resnet18-of-somebody.safetensors" in result.stderr
    again = eagrctl("weights", "info", "weights/resnet18-of-somebody.safetensors")
    assert "backbone: resnet18, stem deep, stride on the 3x3" in again.stdout
    assert "--force" in one_line(eagrctl("weights", "import", resnet))
    assert eagrctl("weights", "import", resnet, "--force").exit_code == 0


def test_info_prints_recipe_classes_step_scores_and_preprocessing(eagrctl: Invoke, checkpoint: Path) -> None:
    out = eagrctl("weights", "info", checkpoint).stdout
    for part in (
        "19: background, skin, nose, eye_g (glasses)",
        "epoch 2, step 40",
        "mean_f1 50.0",
        "RGB, 49 x 49, pixels / 255, mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225",
        "[train]",
        "pooling = 6",
    ):
        assert part in out


def test_info_recognises_what_is_not_imported_yet(eagrctl: Invoke, resnet: Path) -> None:
    assert "not yet imported" in eagrctl("weights", "info", resnet).stdout


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_an_exported_file_is_the_same_network_without_training(
    kind: str, eagrctl: Invoke, checkpoint: Path, tmp_path: Path
) -> None:
    result = eagrctl("weights", "export", checkpoint.parent, "--format", kind)
    assert result.exit_code == 0
    assert f"Wrote weights/run.{kind}" in result.stderr
    before, after = load_checkpoint(checkpoint), load_checkpoint(tmp_path / "work" / "weights" / f"run.{kind}")
    assert after.training is None
    same = ("recipe", "dataset", "classes", "scores", "epoch", "step", "origin", "card")
    assert all(getattr(before, name) == getattr(after, name) for name in same)
    images = torch.randn(1, 3, 49, 49)
    assert torch.equal(restore_network(before)(images).parsing, restore_network(after)(images).parsing)


def test_handed_on_in_half_precision_it_is_half_the_size_and_has_its_card(
    eagrctl: Invoke, checkpoint: Path, tmp_path: Path
) -> None:
    card = tmp_path / "card.md"
    card.write_text("For non-commercial research only.\n")
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    assert eagrctl("weights", "export", checkpoint.parent, "--output", whole).exit_code == 0
    assert eagrctl("weights", "export", checkpoint.parent, "--half", "--card", card, "--output", half).exit_code == 0
    tensors = load_checkpoint(half).network
    kinds = {tensor.dtype for name, tensor in tensors.items() if "running" not in name}
    assert kinds == {torch.float16, torch.int64}
    sizes = [sum(tensor.nbytes for tensor in load_checkpoint(path).network.values()) for path in (whole, half)]
    assert sizes[1] < 0.55 * sizes[0]
    images = torch.randn(2, 3, 49, 49)
    before, after = (restore_network(load_checkpoint(path))(images).parsing for path in (whole, half))
    assert 0 < (before - after).abs().max() < 0.02 * before.abs().max()
    assert "For non-commercial research only." in eagrctl("weights", "info", half).stdout
    missing = eagrctl("weights", "export", checkpoint.parent, "--card", tmp_path / "none.md", "--force")
    assert one_line(missing).endswith("none.md (No such file or directory); name another file with --card")


def test_wrong_files_are_one_line_each(eagrctl: Invoke, checkpoint: Path, tmp_path: Path) -> None:
    text, cut = tmp_path / "notes.pth", tmp_path / "cut.safetensors"
    text.write_text("dear diary")
    cut.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    mixed = tmp_path / "mixed.pth"
    torch.save({"weight": torch.zeros(3), "epoch": 3}, mixed)
    for path, message in (
        (text, "notes.pth is not a file of weights"),
        (cut, "cut.safetensors is not a file of weights"),
        (other, "a network that eagrctl does not know"),
        (mixed, "'epoch', which is not a tensor"),
        (checkpoint, "is a checkpoint of eagrctl already"),
        (tmp_path / "missing.pth", "no checkpoint at"),
    ):
        assert message in one_line(eagrctl("weights", "import", path))
    assert "ends in .safetensors" in one_line(eagrctl("weights", "export", checkpoint, "--output", "a.pt"))


def test_a_checkpoint_of_other_classes_is_refused_by_evaluate(
    eagrctl: Invoke, checkpoint: Path, tiny_data: object, tmp_path: Path
) -> None:
    loaded = load_checkpoint(checkpoint)
    network = build_network(loaded.recipe, 11)
    other = tmp_path / "eleven.pt"
    classes = CELEBAMASK_HQ.names[:11]
    save_checkpoint(dataclasses.replace(loaded, classes=classes, network=network.state_dict(), training=None), other)
    line = one_line(eagrctl("evaluate", other, "--data", tiny_data.root))  # type: ignore[attr-defined]
    assert "eleven.pt" in line


def test_the_card_and_the_recipe_are_shown_line_by_line(eagrctl: Invoke) -> None:
    shown = eagrctl("weights", "info", "shipped").stdout
    assert "\\n" not in shown
    assert 'backbone = "efficientnet-lite0"' in shown.splitlines()
