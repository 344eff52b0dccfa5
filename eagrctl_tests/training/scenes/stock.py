"""Material for tests: crude heads, the astronaut as a real photo, and backgrounds of noise."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.data import astronaut

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.data.source import Sample
from eagrctl.training.scenes.cutouts import cut_out_face
from eagrctl.training.scenes.materials import BackgroundAbout, Material, PhotoAbout
from eagrctl.training.scenes.pasting import Stock
from eagrctl_tests.conftest import face

BOX = (181.0, 80.0, 268.0, 172.0)  # the astronaut's
POINTS = ((203.0, 102.0), (246.0, 104.0), (221.0, 125.0), (201.0, 140.0), (245.0, 141.0))


def head(number: int) -> Material:
    image, labels = face(number, 128)
    made = cut_out_face(Sample(str(number), image, labels), CELEBAMASK_HQ.names)
    assert made is not None
    return made


def noise(number: int, height: int = 120, width: int = 160) -> np.ndarray:
    random = np.random.default_rng(number)
    small = Image.fromarray(random.integers(0, 256, (9, 12, 3)).astype(np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))


def stock() -> Stock:
    about = PhotoAbout((BOX,), (POINTS,), ((400.0, 100.0, 450.0, 160.0),))
    return Stock(
        [head(number) for number in range(4)],
        [Material.of("astronaut", astronaut(), about)],
        [Material.of(str(number), noise(number), BackgroundAbout(number == 0)) for number in range(3)],
    )


def write_real_photos(root: Path) -> Path:
    """A folder in the layout of `eagrctl.readers.real_photos`, with photos of every split."""
    lists: dict[str, list[dict[str, object]]] = {"faces": [], "heads": [], "backgrounds": []}
    for folder in lists:
        (root / folder).mkdir(parents=True)
    for number in range(24):
        name = f"faces/{number:04d}.jpg"
        Image.fromarray(astronaut()[:256, 100:356]).save(root / name)
        boxes = [[left - 100, top, right - 100, bottom] for left, top, right, bottom in (BOX,)]
        points = [[[x - 100, y] for x, y in POINTS]] if number % 2 else None
        lists["faces"].append({"file": name, "size": [256, 256], "boxes": boxes, "points": points, "ignore": []})
        name = f"backgrounds/{number:04d}.jpg"
        Image.fromarray(noise(number)).save(root / name)
        lists["backgrounds"].append({"file": name, "hard": number % 3 == 0, "source": "noise"})
    for number in range(6):
        name = f"heads/{number:04d}"
        Image.fromarray(noise(number, 200, 200)).save(root / f"{name}.jpg")
        labels = np.zeros((200, 200), np.uint8)
        labels[40:150, 70:130] = 1
        labels[60:105, 82:118] = 2
        labels[104:115, 90:110] = 2
        labels[115:200, 40:160] = 6
        Image.fromarray(labels).save(root / f"{name}.png")
        kind = "hair" if number == 5 else "parts"
        lists["heads"].append({"file": f"{name}.jpg", "labels": f"{name}.png", "kind": kind})
    for folder, lines in lists.items():
        (root / f"{folder}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return root
