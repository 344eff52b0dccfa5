from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.readers.likeness import question
from eagrctl.readers.schemes import SCHEMES
from eagrctl_tests.conftest import SUBSET

# A face in a frame of 64, as boxes: left, top, right and bottom.
BOXES = {
    "hair": (8, 2, 56, 30), "skin": (14, 14, 50, 56), "neck": (22, 54, 42, 62), "cloth": (6, 60, 58, 64),
    "l_brow": (34, 22, 45, 24), "r_brow": (19, 22, 30, 24), "l_eye": (36, 27, 42, 29), "r_eye": (22, 27, 28, 29),
    "nose": (29, 28, 35, 42), "u_lip": (25, 45, 39, 47), "l_lip": (25, 47, 39, 50),
}  # fmt: skip


def dataset(root: Path, names: tuple[str, ...]) -> Path:
    """Six faces whose label maps have the ids of a scheme."""
    labels = np.zeros((64, 64), np.uint8)
    for name, (left, top, right, bottom) in BOXES.items():
        labels[top:bottom, left:right] = names.index(name)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (64, 64), (number, 9, 9)).save(root / "images" / f"{number}.jpg")
        Image.fromarray(labels).save(root / "labels" / f"{number}.png")
    return root


@pytest.mark.parametrize("name", ["zllrunning", "farl"])
def test_ids_of_another_scheme_are_asked_about(tmp_path: Path, name: str) -> None:
    root = dataset(tmp_path, SCHEMES[name])
    asked = question(open_celebamask_hq(root), None)
    assert asked is not None
    assert asked.startswith(f"are these the ids of {name}?")
    assert asked.endswith(f"add --scheme {name}")
    assert question(open_celebamask_hq(root, scheme=name), name) is None


def test_official_ids_are_not_asked_about(tmp_path: Path) -> None:
    assert question(open_celebamask_hq(dataset(tmp_path, CELEBAMASK_HQ.names)), None) is None


@pytest.mark.shared
def test_of_real_faces_every_scheme_is_recognised(tmp_path: Path) -> None:
    for name in ("celebamask-hq", "zllrunning", "farl"):
        lookup = np.array([SCHEMES[name].index(each) for each in CELEBAMASK_HQ.names], np.uint8)
        root = tmp_path / name
        for folder in ("images", "labels"):
            (root / folder).mkdir(parents=True)
        for path in sorted((SUBSET / "labels").iterdir())[:40:4]:
            Image.fromarray(lookup[np.array(Image.open(path))]).save(root / "labels" / path.name)
            (root / "images" / f"{path.stem}.jpg").symlink_to(SUBSET / "images" / f"{path.stem}.jpg")
        asked = question(open_celebamask_hq(root), None)
        assert asked is None if name == "celebamask-hq" else asked is not None and f"--scheme {name}" in asked
