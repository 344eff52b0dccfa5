"""Label maps and pictures as files."""

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from eagrctl.arrays import Pixels
from eagrctl.data.labels import LabelSet

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


def save_mask(mask: Pixels, path: Path) -> None:
    """Write a mask, (H, W) uint8, or a cutout, (H, W, 4) uint8, as a PNG; OSError."""
    about = PngInfo()
    about.add_text("Software", SOFTWARE)
    save_whole(Image.fromarray(mask), path, "PNG", pnginfo=about, compress_level=3)


def save_jpeg(picture: Image.Image, path: Path) -> None:
    """Write a picture with small letters and flat colours, which the usual halving of colours would blur; OSError."""
    save_whole(picture, path, "JPEG", quality=90, subsampling="4:4:4")


def save_whole(picture: Image.Image, path: Path, kind: str, **options: Any) -> None:
    """Write a picture; OSError where the disk takes only a part of it, which Pillow itself may overlook."""
    encoded = BytesIO()
    picture.save(encoded, kind, **options)
    path.write_bytes(encoded.getbuffer())


def is_ours(path: Path) -> bool:
    """Whether a file is a label map, a mask or a cutout that eagrctl parse wrote, as far as its first bytes tell."""
    try:
        if not path.is_file():  # a pipe would keep whoever opens it waiting
            return False
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return head.startswith(b"\x89PNG\r\n\x1a\n") and b"tEXtSoftware\0" + SOFTWARE.encode() in head
