"""Tiny datasets in the real layouts, written by hand and not through the readers that they test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import register_random, settings
from PIL import Image

from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.data.prepare import prepare
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.recipe import Recipe, find_recipe, load_recipe

# Property-based tests compare results, not times: a slow machine is no failure.
settings.register_profile("eagrctl", deadline=None)
settings.load_profile("eagrctl")


class _TorchRandom:
    """torch's random numbers, which hypothesis then repeats with an example."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


TORCH_RANDOM = _TorchRandom()  # hypothesis holds it weakly
register_random(TORCH_RANDOM)

SHARED = Path(__file__).resolve().parents[2] / "shared"
SUBSET = SHARED / "data" / "celebamask-hq-subset"
RAW = SHARED / "data" / "celebamask-hq-raw-layout"

# The classes that each shipped recipe is made for.
CLASSES = {"synthetic": HELEN, "helen": HELEN, "lapa": HELEN, "celebamask-hq": CELEBAMASK_HQ}

# What turns a shipped recipe into one that trains in a second: every kind of layer is still there.
TINY = (
    'model.pretrained="none"',
    "model.width=0.125",
    "input.size=49",
    "train.batch=4",
    "train.epochs=2",
    "train.rate=0.02",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `eagrctl_tests/robustness` does on demand."""
    group = parser.getgroup("robustness")
    group.addoption("--fuzz", type=int, default=200, metavar="N", help="damaged inputs to run (default: 200)")
    group.addoption("--fuzz-seed", type=int, default=0, metavar="SEED", help="another seed draws other inputs")
    group.addoption("--fuzz-one", metavar="SEED:NUMBER", help="run this one input and print what became of it")
    group.addoption(
        "--kills", type=int, default=0, metavar="N", help="kill each long command so often (default: never)"
    )
    group.addoption("--pairs", type=int, default=0, metavar="N", help="start two of a kind so often (default: never)")
    group.addoption("--leak", type=int, default=0, metavar="N", help="parse so many photos, evaluate six times as many")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, and say why."""
    for item in items:
        if item.get_closest_marker("shared") and not SUBSET.is_dir():
            item.add_marker(pytest.mark.skip(reason="no real faces at ../shared"))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU"))


def face(number: int, side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A crude face with the ids of CelebAMask-HQ, (side, side, 3) and (side, side) uint8."""
    random = np.random.default_rng(number)
    rows, columns = np.mgrid[:side, :side] / side
    middle = random.uniform(0.45, 0.55, size=2)

    def disc(down: float, across: float, high: float, wide: float) -> np.ndarray:
        return ((rows - middle[0] - down) / high) ** 2 + ((columns - middle[1] - across) / wide) ** 2 < 1

    labels = np.zeros((side, side), np.uint8)
    labels[disc(-0.1, 0, 0.4, 0.36)] = 13
    labels[disc(0, 0, 0.34, 0.26)] = 1
    labels[disc(0.03, 0, 0.09, 0.05)] = 2
    labels[disc(-0.07, 0.11, 0.035, 0.06)] = 4  # the subject's left eye: on the image's right
    labels[disc(-0.07, -0.11, 0.035, 0.06)] = 5
    labels[disc(0.17, 0, 0.035, 0.09)] = 11
    labels[disc(0.21, 0, 0.035, 0.09)] = 12
    tones = random.integers(0, 256, size=(19, 3))
    noise = random.normal(0, 6, size=(side, side, 3))
    return np.clip(tones[labels] + noise, 0, 255).astype(np.uint8), labels


def write_merged(root: Path, splits: dict[str, list[str]], side: int = 64) -> Path:
    """The merged layout: images/, labels/ and a list per split."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for split, names in splits.items():
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            image, labels = face(int(name), side)
            Image.fromarray(image).save(root / "images" / f"{name}.jpg", quality=95)
            Image.fromarray(labels).save(root / "labels" / f"{name}.png")
    return root


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """Twelve training and three validation faces in the merged layout."""
    numbers = [str(number) for number in range(15)]
    return write_merged(tmp_path / "merged", {"train": numbers[:12], "val": numbers[12:]})


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> ShardIndex:
    """A prepared dataset of 12, 4 and 3 faces, stored at 65 x 65, shared by tests that only read it."""
    root = tmp_path_factory.mktemp("tiny")
    numbers = [str(number) for number in range(19)]
    source = write_merged(root / "source", {"train": numbers[:12], "val": numbers[12:16], "test": numbers[16:]})
    return prepare(open_celebamask_hq(source), root / "data", Aligner(65))


@pytest.fixture
def tiny_recipe() -> Callable[..., Recipe]:
    """The shipped small recipe, shrunk; more overrides may follow."""

    def load(*overrides: str) -> Recipe:
        return load_recipe(find_recipe("celebamask-hq-small"), [*TINY, *overrides])

    return load


@pytest.fixture(autouse=True)
def _same_random_state() -> None:
    torch.manual_seed(0)
