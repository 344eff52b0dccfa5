"""Label maps, overlays and probabilities as files."""

import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from eagrctl.data.labels import LabelSet
from eagrctl.data.sample import Pixels
from eagrctl.inference.parsed import ParsedFace

# Who wrote a label map, in its metadata.
SOFTWARE = "eagrctl parse"

# Label maps are long runs of one value. Looking for runs alone takes 180 ms for 60 megapixels with a large face, and
# makes 90 kB; zlib's usual search takes 320 ms at level 6 and makes 114 kB, and 540 ms at level 9 to reach 84 kB.
_RUNS = {"compress_type": zlib.Z_RLE, "compress_level": 1}


def save_labels(labels: Pixels, label_set: LabelSet, path: Path, software: str = SOFTWARE) -> None:
    """Write (H, W) uint8 labels as a PNG with a palette, which every reader gives as ids or as colours; OSError."""
    picture = Image.fromarray(labels)
    picture.putpalette(np.array(label_set.colours, np.uint8).tobytes())
    about = PngInfo()
    about.add_text("Software", software)
    save_whole(picture, path, "PNG", pnginfo=about, **_RUNS)


def save_jpeg(picture: Image.Image, path: Path) -> None:
    """Write a picture with small letters and flat colours, which the usual halving of colours would blur; OSError."""
    save_whole(picture, path, "JPEG", quality=90, subsampling="4:4:4")


def save_whole(picture: Image.Image, path: Path, kind: str, **options: Any) -> None:
    """Write a picture; OSError where the disk takes only a part of it, which Pillow itself may overlook."""
    encoded = BytesIO()
    picture.save(encoded, kind, **options)
    path.write_bytes(encoded.getbuffer())


def write_probabilities(faces: Sequence[ParsedFace], classes: Sequence[str], size: int, path: Path) -> None:
    """Write an .npz of what the network says of each face.

    * `probabilities`: (F, N, h, w) float16, 0..1, of each of N classes at h x w points, whose outermost lie on the
      centres of the outermost pixels of the network's input.
    * `matrices`: (F, 2, 3) float64, take a point (x, y, 1) of the photo to the network's input.
    * `classes`: (N,) their names, by id.
    * `size`: side of the network's input, S.

    A pixel (x, y) of the photo falls on u, v = matrices[f] @ (x, y, 1) in the network's input, which is between the
    points at row v (h - 1) / (S - 1) and column u (w - 1) / (S - 1).

    Raises:
        OSError: it cannot be written.
    """
    found = [face.probabilities for face in faces]
    if any(each is None for each in found):
        raise ValueError("the photo was parsed without probabilities")
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            probabilities=np.stack([np.asarray(each, np.float16) for each in found]),
            matrices=np.stack([face.matrix for face in faces]),
            classes=np.array(classes),
            size=np.array(size),
        )


def is_ours(path: Path) -> bool:
    """Whether a picture is a label map that an interrupted run left."""
    try:
        with Image.open(path) as picture:
            return picture.info.get("Software") == SOFTWARE
    except (OSError, SyntaxError, ValueError):
        return False
