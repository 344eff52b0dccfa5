"""Networks to export, and what they give, worked out without the code that is tested."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from eagrctl.checkpoint import Checkpoint, build_network, load_checkpoint, restore_network, save_checkpoint
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.recipe import Recipe, find_recipe, load_recipe
from eagrctl_tests.conftest import TINY


def tiny(*overrides: str) -> Recipe:
    return load_recipe(find_recipe("celebamask-hq-small"), [*TINY, *overrides])


def save_network(path: Path, recipe: Recipe, card: str = "") -> Path:
    """An untrained network, of which nothing is as initialised: norms do something, and several classes win."""
    torch.manual_seed(0)
    network = build_network(recipe, 19)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.3)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
    torch.nn.init.normal_(network.decoder.classify.weight)
    with torch.inference_mode():
        shown = torch.from_numpy(noise(2, recipe.input.size)).permute(0, 3, 1, 2) / 64 - 2
        network.decoder.classify.bias -= network.eval()(shown).parsing.mean(dim=(0, 2, 3))
    scores = {"mean_f1": 0.5}
    made = Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict(), scores, 2, 40, card=card)
    save_checkpoint(made, path)
    return path


def plainly(checkpoint: Path, images: np.ndarray, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits of (B, S, S, 3) uint8 images, step by step."""
    loaded = load_checkpoint(checkpoint)
    recipe = loaded.recipe.input
    pixels = (images / 255 - np.array(recipe.mean)) / np.array(recipe.std)
    with torch.inference_mode():
        logits = restore_network(loaded)(torch.from_numpy(pixels.transpose(0, 3, 1, 2)).float()).parsing
        side = size or recipe.size
        grown = F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=True)
    return grown.argmax(dim=1).numpy().astype(np.uint8), logits.numpy()


def noise(batch: int, size: int) -> np.ndarray:
    """(B, S, S, 3) uint8: patches of random colours, with random pixels over them."""
    random = np.random.default_rng(batch)
    patches = random.integers(0, 192, (batch, 5, 5, 3))
    places = np.arange(size) * 5 // size
    return (patches[:, places][:, :, places] + random.integers(0, 64, (batch, size, size, 3))).astype(np.uint8)


Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def assert_same(run: Run, checkpoint: Path, batch: int, size: int) -> None:
    images = noise(batch, size)
    labels, logits = run(images)
    expected_labels, expected = plainly(checkpoint, images, size)
    assert (labels.dtype, labels.shape) == (np.uint8, (batch, size, size))
    assert (logits.dtype, logits.shape) == (np.float32, expected.shape)
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()
    assert (labels == expected_labels).mean() > 0.999
    assert len(np.unique(expected_labels)) > 2
