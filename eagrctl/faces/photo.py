"""Anybody's photo as upright RGB, whatever a camera, a phone or an editor has written.

What is decided here, because files leave it open:

* A photo stands as its EXIF orientation says, as every viewer shows it.
* Transparent parts lie on white, which is what a page shows behind a cut-out portrait; black would run into dark hair.
* Colours of a profile other than sRGB become sRGB, which networks are trained on; one that does not fit is ignored.
* Of an animation, the first picture counts.
* 16 bits a channel become 8 by dropping the low byte. Floating-point pixels are refused: nothing says what white is.
"""

import math
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.errors import SourceError
from eagrctl.faces.colour import rgb_converter
from eagrctl.faces.kinds import PHOTOS
from eagrctl.faces.picture import BAND, TURNS, load, orientation_of, picture_in, picture_of, refusal
from eagrctl.files import printable

if TYPE_CHECKING:
    import torch

# What a photo may be given as; see `as_photo`.
AnyImage: TypeAlias = (
    "NDArray[Any] | torch.Tensor | Image.Image | os.PathLike[str] | str | bytes | bytearray | memoryview | BinaryIO"
)
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


def as_photo(image: AnyImage, order: str = "rgb") -> Pixels:
    """Whatever a caller holds as upright RGB, (H, W, 3) uint8, contiguous and writable.

    Args:
        image: a file, by its path; the bytes of one, or what they can be read from, as from an open file; a picture of
            Pillow's, which is turned upright as its file would be; or an array, (H, W) or (H, W, 1) grey, (H, W, 3)
            RGB, (H, W, 4) RGBA, of uint8, of uint16 (whose low byte is dropped) or of floating point, from 0 to 1 or,
            if its maximum is above 1, to 255; or a tensor of torch's, which may have its channels first. An array that
            is right already is given back itself.
        order: "rgb" or "bgr": in which arrays and tensors have their colours.

    Raises:
        SourceError: a file or a picture that cannot be read.
        ValueError: an array of another shape or type, or with values beyond these; the message says what to do.
        TypeError: no image at all.
    """
    if order not in ("rgb", "bgr"):
        raise ValueError(f'order is {order!r}: choose "rgb" or "bgr"')
    if isinstance(image, str | os.PathLike):
        return read_any_photo(Path(image))
    if isinstance(image, Image.Image):
        return _upright(load(image, "the picture"), "the picture")
    if isinstance(image, bytes | bytearray | memoryview):
        return _upright(picture_of(bytes(image), "the photo"), "the photo")
    if hasattr(image, "read"):
        return _upright(picture_of(_read(image), "the photo"), "the photo")
    torch = sys.modules.get("torch")  # nobody has a tensor who has not imported it
    if torch is not None and isinstance(image, torch.Tensor):
        image = _from_tensor(image.detach().cpu().numpy())
    if isinstance(image, np.ndarray):
        return _from_array(image, order)
    kind = f"{type(image).__module__}.{type(image).__name__}"
    raise TypeError(f"an image is a path, bytes, an open file, a picture of Pillow's, an array or a tensor, not {kind}")


def _read(file: Any) -> bytes:
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError(f"an open file must give bytes, not {type(data).__name__}: open it with mode 'rb'")
    return data


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


def _from_tensor(array: NDArray[Any]) -> NDArray[Any]:
    """(C, H, W) as (H, W, C): so torch has images, and if both could be, that is it."""
    return array.transpose(1, 2, 0) if array.ndim == 3 and array.shape[0] in (1, 3, 4) else array


def _from_array(array: NDArray[Any], order: str) -> Pixels:
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
    if array.dtype != np.uint8:
        array = _in_bytes(array)
    if order == "bgr" and array.shape[2] > 1:
        array = array[..., [2, 1, 0, *range(3, array.shape[2])]]
    if array.shape[2] == 4:
        return _upright(Image.fromarray(array), "the image")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.require(array, requirements=["C", "W"])


def _in_bytes(array: NDArray[Any]) -> Pixels:
    """An array of other numbers as uint8, as far as their type and greatest value leave no doubt."""
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    low, high = float(array.min()), float(array.max())  # NaN if any value is
    if array.dtype.kind == "f" and low >= 0 and high <= 255:
        # In double precision, as half cannot count to 255 in steps of a half.
        return (array.astype(np.float64) * (255 if high <= 1 else 1) + 0.5).astype(np.uint8)
    remedy = "scale it to 0..255 and convert it with astype(numpy.uint8)"
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        remedy = "convert it with astype(numpy.uint8)"
    elif array.dtype.kind == "b":
        remedy = "give 255 * image.astype(numpy.uint8)"
    elif array.dtype.kind == "f" and not math.isfinite(low + high):
        remedy = "replace what is infinite or not a number"
    raise ValueError(
        f"an image is an array of uint8, uint16, or floating point from 0 to 1 or to 255, not of {array.dtype} from "
        f"{low:g} to {high:g}: {remedy}"
    )
