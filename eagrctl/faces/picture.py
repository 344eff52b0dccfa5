"""Anybody's picture from a file, decoded: photos, label maps and masks all come this way in.

Only kinds that are asked for are opened, by their content, and none that runs a program; nothing above a limit. What is
wrong beside the pixels (metadata that are damaged or huge, a missing end mark) does not count; what is wrong with
pixels is refused, also where Pillow would make up what is missing.
"""

import contextlib
import ctypes
import hashlib
import importlib
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import PIL
from PIL import Image, UnidentifiedImageError

from eagrctl.errors import SourceError
from eagrctl.faces.jpeg import ended, is_whole, plainer
from eagrctl.faces.kinds import HEAD, PHOTOS, cut_short, is_video, kind_of, other_kind
from eagrctl.faces.png import sound_png
from eagrctl.files import printable, require_regular

# The largest cameras of phones give 200 megapixels; beyond 250, a photo is a map, a scan or a trap.
LIMIT = 250_000_000
# So many pixels are looked at once, which stay in the processor's cache.
BAND = 1 << 16
# A TIFF's tag and the bit in it by which its picture is a smaller version of another.
NEW_SUBFILE_TYPE = 254
REDUCED = 1
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
STORED_AS = (
    "stored as"  # among a decoded picture's `info`: Pillow's name for how its values lay in the file, such as L;4
)

_opening = threading.RLock()


@contextlib.contextmanager
def picture_in(path: Path, kinds: Sequence[str] = PHOTOS) -> Iterator[Image.Image]:
    """Give the decoded picture of a file, as it is stored; `orientation_of` tells how it stands.

    Args:
        path: of the file, whatever its ending.
        kinds: Pillow's names of those that are read.

    Raises:
        SourceError: missing, no regular file, unreadable, empty, truncated, damaged, of another kind, or too large.
    """
    name = printable(path)
    with _open(path, name) as file:
        yield _decoded(file, name, kinds)


def picture_of(data: bytes, name: str) -> Image.Image:
    """The decoded picture in the bytes of a file; `name` and errors as in `picture_in`."""
    return _decoded(BytesIO(data), name, PHOTOS)


def load(picture: Image.Image, name: str) -> Image.Image:
    """Decode a picture of Pillow's, and give it back.

    Raises:
        SourceError: closed, truncated, damaged, too large, or of a kind that is not supported.
    """
    try:
        return _load(picture, name)
    except SourceError:
        raise
    except Exception as error:  # Pillow's readers raise whatever damaged data make them stumble over
        raise refusal(name, error) from None


def orientation_of(picture: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 where there is none, or none that can be read."""
    try:
        with _patient():
            value = picture.getexif().get(ORIENTATION)
    except Exception:  # damaged metadata are not a reason to refuse sound pixels
        return 1
    return value if value in TURNS else 1


def refusal(name: str, error: Exception) -> SourceError:
    """One line for what Pillow or the system says about a picture."""
    reason = printable((str(error).strip() or type(error).__name__).splitlines()[0])
    if isinstance(error, MemoryError):
        return SourceError(f"{name} is too large for this machine's memory: scale it down")
    if isinstance(error, Image.DecompressionBombError):
        return SourceError(f"{name} is larger than {LIMIT // 10**6} megapixels: scale it down")
    if isinstance(error, ValueError) and ("closed file" in reason or "closed image" in reason):
        return SourceError(f"{name} is closed: give it while it is open, or its path")
    if isinstance(error, OSError) and error.strerror:
        return SourceError(f"cannot read {name} ({error.strerror}): make it readable, or copy it elsewhere")
    return SourceError(f"{name} is truncated or damaged ({reason}): copy or fetch it again")


@cache
def formats() -> tuple[str, ...]:
    """Those of PHOTOS that this Pillow reads, with pillow-heif's where that is installed."""
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in PHOTOS if name in Image.OPEN)


def _open(path: Path, name: str) -> BinaryIO:
    try:
        require_regular(path, SourceError)
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{name} is missing: check its name and folder, or fetch it again") from None
    except IsADirectoryError:
        raise SourceError(f"{name} is a folder: name the photos in it, such as {printable(path / '*.jpg')}") from None
    except OSError as error:
        raise refusal(name, error) from None


def _decoded(file: BinaryIO, name: str, kinds: Sequence[str]) -> Image.Image:
    """The picture of an open file, of the first way to read it that works; else the first error counts."""
    first: Exception | None = None
    try:
        _quieten_libtiff()
        head, size = file.read(HEAD), file.seek(0, os.SEEK_END)
        kind = kind_of(head)
        _check_kind(name, head, kind, kinds)
        if kind in ("AVIF", "HEIF", "JPEG2000") and head[4:8] in (b"ftyp", b"jP  ") and cut_short(file, size):
            raise OSError("it ends too early")
        for way in _ways(file, kind):
            try:
                with _patient():
                    picture = Image.open(way, formats=[each for each in formats() if each in kinds])
                return _load(picture, name)
            except (SourceError, MemoryError):
                raise
            except Exception as error:  # as in `load`
                first = first or error
    except SourceError:
        raise
    except Exception as error:
        first = first or error
    if isinstance(first, UnidentifiedImageError):
        raise _unidentified(name, head, kind, kinds) from None
    raise refusal(name, first or OSError("it cannot be read")) from None


def _ways(file: BinaryIO, kind: str) -> Iterator[BinaryIO]:
    """What to give Pillow in place of a file, one after another: less and less that is no pixel."""
    file.seek(0)
    if kind == "PNG":
        data = file.read()
        yield BytesIO(sound_png(data))
        yield BytesIO(sound_png(data, keep={b"eXIf"}))
        return
    yield file
    if kind == "JPEG":
        file.seek(0)
        data = file.read()
        mended = ended(data)
        if mended is not None and len(mended) != len(data) and is_whole(mended, _digest):
            data = mended
            yield BytesIO(data)
        yield from map(BytesIO, plainer(data))


def _load(picture: Image.Image, name: str) -> Image.Image:
    """As `load`, with Pillow's own errors about damage."""
    if picture.width * picture.height > LIMIT:
        raise SourceError(
            f"{name} is {picture.width} x {picture.height}, more than {LIMIT // 10**6} megapixels: scale it down"
        )
    kind = getattr(picture, "tag_v2", {}).get(NEW_SUBFILE_TYPE, 0)
    if isinstance(kind, int) and kind & REDUCED:
        raise SourceError(f"{name} is a camera's raw file, of which only a thumbnail can be read: export it as JPEG")
    if picture.format == "EPS":  # which is a program, and loading runs it
        raise SourceError(f"{name} is PostScript, a kind that is not supported: save it as JPEG or PNG")
    # Reading a TIFF's pixels reads its metadata once more.
    with _patient() if picture.format == "TIFF" else contextlib.nullcontext():
        stored = [tile[3] for tile in getattr(picture, "tile", ())]
        picture.load()
    if stored:
        picture.info[STORED_AS] = next((part for part in _flat(stored[0]) if isinstance(part, str)), picture.mode)
    return picture


@cache
def _quieten_libtiff() -> None:
    """Keep libtiff, which writes what it thinks of a damaged file straight to the terminal, from doing so."""
    package = Path(PIL.__file__).parent  # which has its libraries beside it, on macOS in it
    for library in (*package.parent.glob("[Pp]illow.libs/libtiff*"), *package.glob(".dylibs/libtiff*")):
        with contextlib.suppress(OSError, AttributeError):
            loaded = ctypes.CDLL(str(library))
            loaded.TIFFSetErrorHandler(None)
            loaded.TIFFSetWarningHandler(None)


def _flat(arguments: object) -> tuple[object, ...]:
    return arguments if isinstance(arguments, tuple) else (arguments,)


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


def _check_kind(name: str, head: bytes, kind: str, kinds: Sequence[str]) -> None:
    """Refuse what is no picture of the kinds that are read, as far as its first bytes tell."""
    if not head:
        raise SourceError(f"{name} is empty: copy or fetch it again")
    if is_video(head):
        raise SourceError(f"{name} is a video: save a frame of it as a photo, or name it by its kind, such as .mp4")
    if kind == "HEIF" and "HEIF" in kinds and "HEIF" not in formats():
        raise SourceError(f"{name} is a HEIC photo: save it as JPEG, or pip install 'eagrctl[heif]'")
    if kind and kind not in kinds:
        raise SourceError(f"{name} is of the kind {kind}, which is not supported for label maps: save it as PNG")


def _unidentified(name: str, head: bytes, kind: str, kinds: Sequence[str]) -> SourceError:
    """What to say of a file that Pillow takes for none of the kinds."""
    thing, wanted = ("a photo", "JPEG or PNG") if "JPEG" in kinds else ("a label map", "PNG")
    if kind:
        return SourceError(f"{name} is truncated or damaged (its {kind} header cannot be read): copy or fetch it again")
    if other := other_kind(head):
        return SourceError(f"{name} is {other}, a kind that is not supported: save it as {wanted}")
    return SourceError(f"{name} cannot be read as {thing}: if it is one, fetch it again, or save it as {wanted}")


def _digest(data: bytes) -> bytes:
    """What tells apart the pixels of two JPEGs, without holding those of both."""
    digest = hashlib.sha256()
    with _patient():
        picture = Image.open(BytesIO(data), formats=["JPEG"])
    picture.load()
    rows = max(1, BAND // picture.width)
    for top in range(0, picture.height, rows):
        digest.update(picture.crop((0, top, picture.width, min(top + rows, picture.height))).tobytes())
    return digest.digest()
