"""Anybody's photo as upright RGB, whatever a camera, a phone or an editor has written.

What is decided here, because files leave it open:

* A photo stands as its EXIF orientation says, as every viewer shows it.
* Transparent parts lie on white, which is what a page shows behind a cut-out portrait; black would run into dark hair.
* Colours of a profile other than sRGB become sRGB, which networks are trained on; one that does not fit is ignored.
* Of an animation, the first picture counts.
* 16 bits a channel become 8 by dropping the low byte. Floating-point pixels are refused: nothing says what white is.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.errors import SourceError
from eagrctl.faces.colour import rgb_converter
from eagrctl.faces.kinds import PHOTOS
from eagrctl.faces.picture import BAND, TURNS, load, orientation_of, picture_in, refusal
from eagrctl.files import printable

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
# Orientations of which the file's rows are columns, and those of which its first row becomes the last row or column.
LYING = frozenset({5, 6, 7, 8})
FROM_THE_END = frozenset({3, 4, 6, 7})


def read_any_photo(path: Path) -> Pixels:
    """Read a photo as upright RGB, (H, W, 3) uint8, contiguous and writable.

    Raises:
        SourceError: as `eagrctl.faces.picture.picture_in`; or nothing says which of its values is white.
    """
    with picture_in(path) as picture:
        return _upright(picture, printable(path))


def as_photo(image: Pixels | Image.Image | Path | str) -> Pixels:
    """Whatever a caller holds as upright RGB, (H, W, 3) uint8, contiguous and writable.

    Args:
        image: a file; a picture of Pillow's, which is turned upright as its file would be; or an array of uint8: (H, W)
            or (H, W, 1) grey, (H, W, 3) RGB, (H, W, 4) RGBA. An array that is right already is given back itself.

    Raises:
        SourceError: a file or a picture that cannot be read.
        ValueError: an array of another shape or type; the message says how to convert it.
        TypeError: no image at all.
    """
    if isinstance(image, str | Path):
        return read_any_photo(Path(image))
    if isinstance(image, Image.Image):
        return _upright(load(image, "the picture"), "the picture")
    if isinstance(image, np.ndarray):
        return _from_array(image)
    kind = f"{type(image).__module__}.{type(image).__name__}"
    raise TypeError(f"an image is a path, a picture of Pillow's or an array, not {kind}")


@cache
def photo_suffixes() -> frozenset[str]:
    """The endings that photos have, in lower case, each with its dot."""
    Image.init()
    kinds = {*PHOTOS, "MPO"}
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds}
    return frozenset(known - {".pfm"}) | HEIF_SUFFIXES


def _upright(picture: Image.Image, name: str) -> Pixels:
    """A decoded picture, upright and in RGB."""
    try:
        return _in_bands(picture, name)
    except MemoryError as error:
        raise refusal(name, error) from None


def _in_bands(picture: Image.Image, name: str) -> Pixels:
    """Make a decoded picture RGB and turn it, band by band, so that a large one is held but twice."""
    orientation = orientation_of(picture)
    width, height = picture.size
    if not width or not height:
        raise SourceError(f"{name} has no pixels: fetch it again")
    to_rgb = rgb_converter(picture, name)
    upright = np.empty((width, height, 3) if orientation in LYING else (height, width, 3), np.uint8)
    rows = max(1, BAND // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = to_rgb(picture.crop((0, top, width, bottom)))
        if orientation in TURNS:
            band = band.transpose(TURNS[orientation])
        place = slice(height - bottom, height - top) if orientation in FROM_THE_END else slice(top, bottom)
        upright[(slice(None), place) if orientation in LYING else place] = np.asarray(band)
    return upright


def _from_array(array: NDArray[Any]) -> Pixels:
    if array.dtype != np.uint8:
        scaled = "multiply by 255, round," if array.dtype.kind == "f" else "scale it to 0..255,"
        raise ValueError(
            f"an image is an array of uint8, not of {array.dtype}: {scaled} and convert with astype(numpy.uint8)"
        )
    shape = array.shape
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        first = array.ndim == 3 and shape[0] in (1, 3, 4)
        remedy = ": its channels come first, so give image.transpose(1, 2, 0)" if first else ""
        remedy = ": give them one by one" if array.ndim == 4 else remedy
        raise ValueError(f"an image has the shape (H, W), (H, W, 3) or (H, W, 4), not {shape}{remedy}")
    if not array.size:
        raise ValueError(f"an image of the shape {shape} has no pixels")
    if array.shape[2] == 4:
        return _upright(Image.fromarray(array), "the image")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.require(array, requirements=["C", "W"])
