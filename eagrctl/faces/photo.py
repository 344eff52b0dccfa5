"""Anybody's photo as upright RGB, whatever a camera, a phone or an editor has written.

What is decided here, because files leave it open:

* A photo stands as its EXIF orientation says, as every viewer shows it.
* Transparent parts lie on white, which is what a page shows behind a cut-out portrait; black would run into dark hair.
* Colours of a profile other than sRGB become sRGB, which networks are trained on; one that does not fit is ignored.
* Of an animation, the first picture counts.
* 16 bits a channel become 8 by dropping the low byte. Floating-point pixels are refused: nothing says what white is.
"""

import contextlib
import importlib
import threading
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from eagrctl.arrays import Pixels
from eagrctl.errors import SourceError
from eagrctl.faces.colour import rgb_converter
from eagrctl.files import printable

# The largest cameras of phones give 200 megapixels; beyond 250, a photo is a map, a scan or a trap.
LIMIT = 250_000_000
# What people keep photos in. Pillow knows more, some of which (EPS) runs other programs on the file.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM", "TGA", "QOI", "PSD")
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
ORIENTATION = 0x0112
# A TIFF's tag and the bit in it by which its picture is a smaller version of another.
NEW_SUBFILE_TYPE = 254
REDUCED = 1
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Orientations of which the file's rows are columns, and those of which its first row becomes the last row or column.
LYING = frozenset({5, 6, 7, 8})
FROM_THE_END = frozenset({3, 4, 6, 7})
# So many pixels are converted at once, which stay in the processor's cache.
BAND = 1 << 16

_opening = threading.RLock()


def read_any_photo(path: Path) -> Pixels:
    """Read a photo as upright RGB, (H, W, 3) uint8, contiguous and writable.

    Raises:
        SourceError: missing, a folder, unreadable, empty, truncated, of a kind that cannot be read, or too large.
    """
    with _open(path) as picture:
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
        return _upright(image, "the picture")
    if isinstance(image, np.ndarray):
        return _from_array(image)
    kind = f"{type(image).__module__}.{type(image).__name__}"
    raise TypeError(f"an image is a path, a picture of Pillow's or an array, not {kind}")


@cache
def photo_suffixes() -> frozenset[str]:
    """The endings that photos have, in lower case, each with its dot."""
    kinds = {*FORMATS, "MPO"}
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds}
    return frozenset(known - {".pfm"}) | HEIF_SUFFIXES


def _open(path: Path) -> Image.Image:
    """Open a photo without decoding it; SourceError where there is none, or too large a one."""
    name = printable(path)
    try:
        with _patient():
            return Image.open(path, formats=_formats())
    except UnidentifiedImageError:
        pass
    except Image.DecompressionBombError:
        raise SourceError(f"{name} is larger than {LIMIT // 10**6} megapixels: scale it down") from None
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{name} is missing: check its name and folder") from None
    except IsADirectoryError:
        raise SourceError(f"{name} is a folder: name the photos in it, such as {printable(path / '*.jpg')}") from None
    except Exception as error:  # Pillow's readers raise whatever a damaged header makes them stumble over
        raise _damaged(name, error) from None
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise _damaged(name, error) from None
    if not head:
        raise SourceError(f"{name} is empty: copy or fetch it again")
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS and "HEIF" not in _formats():
        raise SourceError(f"{name} is a HEIC photo: save it as JPEG, or pip install pillow-heif")
    raise SourceError(f"{name} cannot be read as a photo: if it is one, fetch it again, or save it as JPEG or PNG")


@cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow reads, with pillow-heif's where that is installed."""
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Let Pillow open large photos and odd metadata without a word.

    Both settings are global: the lock keeps threads that read photos from putting back each other's.
    """
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, LIMIT
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _upright(picture: Image.Image, name: str) -> Pixels:
    """Decode a picture and turn it upright, in RGB."""
    if picture.width * picture.height > LIMIT:
        raise SourceError(
            f"{name} is {picture.width} x {picture.height}, more than {LIMIT // 10**6} megapixels: scale it down"
        )
    kind = getattr(picture, "tag_v2", {}).get(NEW_SUBFILE_TYPE, 0)
    if isinstance(kind, int) and kind & REDUCED:
        raise SourceError(f"{name} is a camera's raw file, of which only a thumbnail can be read: export it as JPEG")
    try:
        # Reading a TIFF's pixels reads its metadata once more.
        with _patient() if picture.format == "TIFF" else contextlib.nullcontext():
            picture.load()
    except Exception as error:  # as in _open
        raise _damaged(name, error) from None
    try:
        return _in_bands(picture, name)
    except MemoryError as error:
        raise _damaged(name, error) from None


def _in_bands(picture: Image.Image, name: str) -> Pixels:
    """Make a decoded picture RGB and turn it, band by band, so that a large one is held but twice."""
    orientation = _orientation(picture)
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


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 where there is none, or none that can be read."""
    try:
        with _patient():
            value = picture.getexif().get(ORIENTATION)
    except Exception:  # damaged metadata is not a reason to refuse a sound photo
        return 1
    return value if value in TURNS else 1


def _damaged(name: str, error: Exception) -> SourceError:
    if isinstance(error, MemoryError):
        return SourceError(f"{name} is too large for this machine's memory: scale it down")
    if isinstance(error, OSError) and error.strerror:
        return SourceError(f"cannot read {name} ({error.strerror}): make it readable, or copy it elsewhere")
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return SourceError(f"{name} is truncated or damaged ({printable(reason)}): copy or fetch it again")


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
