"""A prepared dataset of one real face, which needs no licence: scikit-image's astronaut, with labels drawn by hand."""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage.data import astronaut

from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.data.prepare import prepare
from eagrctl.readers.celebamask_hq import open_celebamask_hq

# Centres of the eyes and ends of the mouth, measured by hand; left and right are the viewer's.
LEFT_EYE, RIGHT_EYE, LEFT_MOUTH, RIGHT_MOUTH = (203, 102), (246, 104), (201, 140), (245, 141)


def labelled(hidden: bool = False) -> np.ndarray:
    """The astronaut's label map, (512, 512) uint8; `hidden` leaves one eye out."""
    rows, columns = np.mgrid[:512, :512]
    labels = np.zeros((512, 512), np.uint8)

    def draw(name: str, middle: tuple[float, float], across: float, down: float) -> None:
        inside = ((columns - middle[0]) / across) ** 2 + ((rows - middle[1]) / down) ** 2 <= 1
        labels[inside] = CELEBAMASK_HQ.id(name)

    draw("skin", (224, 115), 45, 60)
    draw("r_eye", LEFT_EYE, 9, 4)
    if not hidden:
        draw("l_eye", RIGHT_EYE, 9, 4)
    draw("nose", (224, 118), 10, 16)
    draw("u_lip", (223, 140), 22, 5)
    return labels


def prepare_astronauts(root: Path, count: int = 4, hidden: int = 0, faceless: int = 0) -> ShardIndex:
    """`count` faces to train on, in different light, and two to validate on; of the former, some are not to be used.

    Args:
        root: a folder to work in.
        count: how many train.
        hidden: of how many more an eye is not labelled.
        faceless: of how many more the photo shows nothing.
    """
    splits = {"train": count + hidden + faceless, "val": 2}
    source = root / "source"
    for folder in ("images", "labels"):
        (source / folder).mkdir(parents=True)
    number = 0
    for split, total in splits.items():
        names = [str(number + place) for place in range(total)]
        (source / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for place, name in enumerate(names):
            photo = np.clip(astronaut() * (0.7 + 0.1 * (number % 6)), 0, 255).astype(np.uint8)
            if split == "train" and place >= count + hidden:
                photo[:] = 128
            Image.fromarray(photo).save(source / "images" / f"{name}.jpg", quality=95)
            labels = labelled(hidden=split == "train" and count <= place < count + hidden)
            Image.fromarray(labels).save(source / "labels" / f"{name}.png")
            number += 1
    return prepare(open_celebamask_hq(source), root / "data", Aligner(512))
