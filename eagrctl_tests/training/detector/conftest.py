"""Prepared material and a tiny recipe, shared by tests that only read them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.readers.real_photos import RealPhotos
from eagrctl.recipe import find_recipe, load_recipe_as
from eagrctl.training.detector import parts
from eagrctl.training.detector.recipe import DetectorRecipe
from eagrctl.training.scenes.materials import MaterialIndex
from eagrctl.training.scenes.prepare import prepare_materials
from eagrctl_tests.conftest import write_merged
from eagrctl_tests.training.scenes.stock import write_real_photos

TINY = (
    "network.widths=[4,6,8,8,8]",
    "network.depths=[1,1,1]",
    "network.neck=8",
    "scenes.size=64",
    "train.samples=8",
    "train.epochs=2",
    "train.batch=4",
    "train.views=1",
    "train.warm_up=0",
    "train.average=0.5",
)

Load = Callable[..., DetectorRecipe]


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> MaterialIndex:
    root = tmp_path_factory.mktemp("material")
    faces = write_merged(root / "faces", {"train": ["0", "1", "2", "3"], "val": ["4", "5"]}, 96)
    photos = RealPhotos.load(write_real_photos(root / "real"))
    return prepare_materials(open_celebamask_hq(faces, partial=True), photos, root / "out")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setattr(parts, "COMPOSITES", 3)
    monkeypatch.setattr(parts, "CROPS", 6)
    monkeypatch.setattr(parts, "LOOK", 128)

    def load(*overrides: str) -> DetectorRecipe:
        return load_recipe_as(DetectorRecipe, Path(find_recipe("detector")), [*TINY, *overrides])

    return load
