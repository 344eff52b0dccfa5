import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eagrctl.errors import SourceError
from eagrctl.faces import photo, picture
from eagrctl.faces.kinds import PHOTOS
from eagrctl.faces.photo import as_photo, photo_suffixes, read_any_photo
from eagrctl.files import printable

# Where the first row and the first column of the stored pixels belong, as the EXIF standard puts it.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
LOSSLESS = {"png": {}, "tiff": {}, "webp": {"lossless": True}}


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """The upright picture, pixel by pixel."""
    height, width = stored.shape[:2]
    row_side, column_side = SIDES[orientation]
    lying = row_side in ("left", "right")
    upright = np.zeros((width, height, 3) if lying else (height, width, 3), np.uint8)
    for row in range(height):
        for column in range(width):
            down = row if row_side in ("top", "left") else height - 1 - row
            across = column if column_side in ("top", "left") else width - 1 - column
            upright[(across, down) if lying else (down, across)] = stored[row, column]
    return upright


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[picture.ORIENTATION] = orientation
    return tags


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def file(tmp_path: Path, data: bytes, name: str = "photo.jpg") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def outcome(path: Path) -> tuple[np.ndarray | None, str]:
    """The photo, or what is wrong with it."""
    try:
        return read_any_photo(path), ""
    except SourceError as error:
        return None, str(error)


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read_any_photo(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_photo_stands_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    stored = noise(5, 7)
    data = encoded(Image.fromarray(stored), kind, exif=exif(orientation), **LOSSLESS[kind])
    read = read_any_photo(file(tmp_path, data))
    assert np.array_equal(read, turned(stored, orientation))
    assert read.flags.c_contiguous
    assert read.flags.writeable


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    orientation=st.sampled_from(sorted(SIDES)),
    band=st.integers(1, 40),
)
def test_bands_join_without_a_seam(height: int, width: int, orientation: int, band: int) -> None:
    stored = noise(height, width, seed=band)
    picture = Image.open(io.BytesIO(encoded(Image.fromarray(stored), "PNG", exif=exif(orientation))))
    with patch.object(photo, "BAND", band):
        assert np.array_equal(as_photo(picture), turned(stored, orientation))


def test_a_jpeg_that_lies_on_its_side_stands_as_pillow_turns_it(tmp_path: Path) -> None:
    picture = Image.fromarray(np.tile(np.arange(0, 240, 6, dtype=np.uint8)[:, None, None], (1, 24, 3)))
    read = read_any_photo(file(tmp_path, encoded(picture, "JPEG", exif=exif(6))))
    assert read.shape == (24, 40, 3)
    assert read[:, 0].mean() > 200 > 40 > read[:, -1].mean()  # the top row has come to stand on the right


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_there_is_not_is_none(tmp_path: Path, value: int) -> None:
    stored = noise(4, 6)
    read = read_any_photo(file(tmp_path, encoded(Image.fromarray(stored), "PNG", exif=exif(value))))
    assert np.array_equal(read, stored)


@pytest.mark.parametrize(
    "metadata", [b"", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"nonsense", b"MM\0*\0\0\0\x08\0\x01\x01\x12"]
)
def test_damaged_metadata_are_no_reason_to_refuse_a_photo(tmp_path: Path, metadata: bytes) -> None:
    stored = noise(4, 6)
    read = read_any_photo(file(tmp_path, encoded(Image.fromarray(stored), "PNG", exif=b"Exif\0\0" + metadata)))
    assert np.array_equal(read, stored)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_of_an_animation_the_first_picture_counts(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (12, 8), colour) for colour in ((200, 30, 60), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "webp" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as picture:
        assert getattr(picture, "n_frames", 1) == 3
    assert (read_any_photo(file(tmp_path, data)) == (200, 30, 60)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "TGA", "JPEG2000"])
def test_what_ends_early_is_refused_or_whole(tmp_path: Path, kind: str) -> None:
    data = encoded(Image.fromarray(noise(40, 50)), kind)
    whole = read_any_photo(file(tmp_path, data))
    for length in np.linspace(1, len(data) - 1, 30, dtype=int):
        path = file(tmp_path, data[:length])
        read, complaint = outcome(path)
        if read is None:
            assert "fetch it again" in complaint
        else:
            assert length > 0.9 * len(data)  # what is missing is no pixel, but an end mark
            assert np.array_equal(read, whole)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_jpeg_that_ends_early_is_named(tmp_path: Path, share: float) -> None:
    data = encoded(Image.fromarray(noise(64, 64)), "JPEG")
    path = file(tmp_path, data[: int(share * len(data))])
    assert "is truncated or damaged (image file is truncated" in refusal(path)


@given(kind=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"]), data=st.data())
def test_damage_is_one_line(tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject) -> None:
    options = {"exif": exif(6)} if kind in ("JPEG", "PNG", "WEBP") else {}
    damaged = bytearray(encoded(Image.fromarray(noise(9, 11)), kind, **options))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = file(tmp_path_factory.getbasetemp(), damaged, "damaged")
    read, complaint = outcome(path)
    if read is None:
        assert path.name in complaint
        assert "\n" not in complaint
    else:
        assert (read.ndim, read.dtype) == (3, np.uint8)


def test_a_photo_may_be_one_pixel(tmp_path: Path) -> None:
    assert read_any_photo(file(tmp_path, encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"))).tolist() == [[[1, 2, 3]]]


def test_what_is_no_photo_is_named(tmp_path: Path) -> None:
    assert "is missing: check its name" in refusal(tmp_path / "gone.jpg")
    assert "is missing: check its name" in refusal(file(tmp_path, b"x", "file") / "inside.jpg")
    assert f"is a folder: name the photos in it, such as {tmp_path}/*.jpg" in refusal(tmp_path)
    assert "is empty: copy or fetch it again" in refusal(file(tmp_path, b""))
    assert "cannot be read as a photo: if it is one, fetch" in refusal(file(tmp_path, b"dear diary"))
    assert "is PostScript, a kind that is not supported" in refusal(file(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n"))
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    assert "cannot read" in refusal(loop)


def test_a_photo_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    path = file(tmp_path, encoded(Image.new("L", (2, 2)), "PNG"))
    assert f"cannot read {path} (Permission denied): make it readable" in refusal(path)


@pytest.mark.parametrize("side", [15900, 16400, 23000, 60000])
def test_a_photo_beyond_the_limit_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    path = file(tmp_path, png(side, side, 8, 2, b"\0"))
    assert (
        "more than 250 megapixels: scale it down" if side < 22000 else "larger than 250 megapixels: scale it down"
    ) in refusal(path)


def test_a_photo_within_the_limit_is_read_whatever_pillow_thinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = noise(20, 30)
    path = file(tmp_path, encoded(Image.fromarray(stored), "PNG"))
    monkeypatch.setattr(photo, "BAND", 60)  # older versions of Pillow look at parts of a photo as well
    for pixels in (100, 400):  # of 600: Pillow would refuse, Pillow would warn
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
        with pytest.raises((Image.DecompressionBombError, Image.DecompressionBombWarning)):
            Image.open(path)
        assert np.array_equal(read_any_photo(path), stored)
        assert pixels == Image.MAX_IMAGE_PIXELS


def test_threads_that_read_photos_leave_settings_as_they_were(tmp_path: Path) -> None:
    path = file(tmp_path, encoded(Image.fromarray(noise(8, 8)), "PNG", exif=exif(3)))
    before = (list(warnings.filters), Image.MAX_IMAGE_PIXELS)
    with ThreadPoolExecutor(8) as pool:
        photos = list(pool.map(read_any_photo, [path] * 64))
    assert all(np.array_equal(photos[0], other) for other in photos)
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == before


def test_memory_that_does_not_suffice_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Image.Image) -> None:
        raise MemoryError

    path = file(tmp_path, encoded(Image.new("RGB", (2, 2)), "BMP"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    assert "is too large for this machine's memory: scale it down" in refusal(path)


def test_the_thumbnail_of_a_raw_file_is_no_photo(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(noise(8, 8)), "TIFF", tiffinfo={254: 1})
    assert "is a camera's raw file, of which only a thumbnail can be read: export it as JPEG" in refusal(
        file(tmp_path, data, "photo.nef")
    )


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Finds anew what Pillow reads, now and afterwards."""
    picture.formats.cache_clear()
    yield
    picture.formats.cache_clear()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def test_a_heic_photo_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgetful: None) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    path = file(tmp_path, HEIC, "photo.heic")
    assert "photo.heic is a HEIC photo: save it as JPEG, or pip install 'eagrctl[heif]'" in refusal(path)


def test_a_heic_photo_is_read_by_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgetful: None) -> None:
    stored = noise(4, 6)

    def register() -> None:
        def opened(stream: object, name: object) -> Image.Image:
            return Image.fromarray(stored)

        monkeypatch.setitem(Image.OPEN, "HEIF", (opened, lambda head: head[4:12] == b"ftypheic"))  # type: ignore[arg-type]

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    assert np.array_equal(read_any_photo(file(tmp_path, HEIC, "photo.heic")), stored)


def test_suffixes_are_those_of_photos() -> None:
    assert photo_suffixes() >= {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".heic"}
    assert not photo_suffixes() & {".pdf", ".eps", ".mp4", ".txt", ".h5", ".pfm"}
    assert "EPS" not in PHOTOS


@pytest.mark.parametrize("given", [str, Path])
def test_a_path_is_an_image(tmp_path: Path, given: type) -> None:
    stored = noise(4, 6)
    assert np.array_equal(as_photo(given(file(tmp_path, encoded(Image.fromarray(stored), "PNG")))), stored)


@given(height=st.integers(1, 6), width=st.integers(1, 6))
def test_arrays_of_any_layout_become_rgb(height: int, width: int) -> None:
    colours, grey, layered = noise(height, width), noise(height, width, 1), noise(height, width, 4)
    assert as_photo(colours) is colours
    for single in (grey, grey[..., None]):
        read = as_photo(single)
        assert read.shape == (height, width, 3)
        assert (read == grey[..., None]).all()
    opacity = layered[..., 3:].astype(float) / 255
    expected = layered[..., :3] * opacity + 255 * (1 - opacity)
    assert np.abs(as_photo(layered) - expected).max() <= 1
    for view in (colours[:, ::-1], colours[..., ::-1], colours.swapaxes(0, 1), colours[::2]):
        read = as_photo(view)
        assert np.array_equal(read, view)
        assert read.flags.c_contiguous
    colours.flags.writeable = False
    assert as_photo(colours).flags.writeable


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.full((4, 4, 3), 300.0), "not of float64 from 300 to 300: scale it to 0..255 and convert"),
        (np.full((4, 4, 3), -0.5), "from -0.5 to -0.5: scale it"),
        (np.full((4, 4, 3), np.nan), "from nan to nan: replace what is infinite or not a number"),
        (np.full((4, 4), 70000, np.int32), "not of int32 from 70000 to 70000: scale it to 0..255"),
        (np.full((4, 4), 7, np.int64), r"not of int64 from 7 to 7: convert it with astype\(numpy.uint8\)"),
        (np.zeros((4, 4), bool), r"not of bool from 0 to 0: give 255 \* image.astype"),
        (
            np.zeros((3, 9, 8), np.uint8),
            r"not \(3, 9, 8\): its channels come first, so give image.transpose\(1, 2, 0\)",
        ),
        (np.zeros((2, 9, 8, 3), np.uint8), r"not \(2, 9, 8, 3\): give them one by one"),
        (np.zeros((9, 8, 2), np.uint8), r"\(H, W\), \(H, W, 3\) or \(H, W, 4\), not \(9, 8, 2\)"),
        (np.zeros(9, np.uint8), r"not \(9,\)"),
        (np.zeros((0, 9, 3), np.uint8), "has no pixels"),
    ],
)
def test_an_array_that_is_no_image_is_told_how_to_become_one(array: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        as_photo(array)


def test_what_is_no_image_at_all_is_named() -> None:
    for thing, name in ((7, "builtins.int"), (None, "NoneType"), ([[0]], "builtins.list")):
        with pytest.raises(TypeError, match=f"a picture of Pillow's, an array or a tensor, not .*{name}"):
            as_photo(thing)  # type: ignore[arg-type]


def test_a_picture_of_pillows_is_read_as_its_file_is(tmp_path: Path) -> None:
    path = file(tmp_path, encoded(Image.fromarray(noise(6, 9)), "PNG", exif=exif(8)))
    with Image.open(path) as picture:
        assert np.array_equal(as_photo(picture), read_any_photo(path))
    with pytest.raises(SourceError, match="the picture is truncated or damaged"):
        as_photo(Image.open(io.BytesIO(path.read_bytes()[:-60])))


def test_names_are_printable() -> None:
    assert printable(Path("photos/été 1.jpg")) == "photos/été 1.jpg"
    assert printable("a\udcff\nb\t\x1b[0m.jpg") == r"a\udcff\nb\t\x1b[0m.jpg"


def test_an_array_that_may_not_be_written_is_an_image_all_the_same() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels.flags.writeable = False
    read = as_photo(pixels)
    assert read.flags.writeable
    assert np.array_equal(read, pixels)


def test_bytes_and_open_files_are_read_as_the_file_is(tmp_path: Path) -> None:
    path = file(tmp_path, encoded(Image.fromarray(noise(6, 9)), "PNG", exif=exif(8)))
    expected, data = read_any_photo(path), path.read_bytes()
    for given_ in (data, bytearray(data), memoryview(data), io.BytesIO(data)):
        assert np.array_equal(as_photo(given_), expected)
    with path.open("rb") as opened:
        assert np.array_equal(as_photo(opened), expected)
    with path.open(encoding="latin1") as opened, pytest.raises(TypeError, match="open it with mode 'rb'"):
        as_photo(opened)  # type: ignore[arg-type]
    for broken, said in ((data[:-60], "the photo is truncated or damaged"), (b"", "the photo is empty")):
        with pytest.raises(SourceError, match=said):
            as_photo(broken)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_half_a_photo_of_boxes_is_refused_and_a_whole_one_read(kind: str) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    whole = encoded(Image.fromarray(np.full((64, 64, 3), (200, 100, 50), np.uint8)), kind)
    assert np.abs(as_photo(whole).astype(int) - (200, 100, 50)).max() < 12
    with pytest.raises(SourceError, match="is truncated or damaged"):
        as_photo(whole[: len(whole) // 2])


@given(height=st.integers(2, 6), width=st.integers(5, 7))
def test_numbers_of_other_types_become_bytes(height: int, width: int) -> None:
    bytes_ = noise(height, width)
    bytes_[0, 0] = 255  # the maximum tells 0..1 from 0..255
    for type_ in (np.float16, np.float32, np.float64):
        assert np.array_equal(as_photo(bytes_.astype(type_)), bytes_)
        assert np.abs(as_photo((bytes_ / 255).astype(type_)).astype(int) - bytes_).max() <= (type_ == np.float16)
    assert np.array_equal(as_photo(bytes_.astype(np.uint16) * 257), bytes_)
    wide = Image.fromarray(bytes_[..., 0].astype(np.uint16) * 257)
    assert wide.mode == "I;16"
    assert np.array_equal(as_photo(wide), np.repeat(bytes_[..., :1], 3, axis=2))


@given(height=st.integers(5, 7), width=st.integers(5, 7))
def test_tensors_may_have_their_channels_first_or_last(height: int, width: int) -> None:
    bytes_ = noise(height, width)
    bytes_[0, 0] = 255
    last = torch.from_numpy(bytes_)
    for tensor in (last, last.permute(2, 0, 1), last.float() / 255, (last.permute(2, 0, 1).double() / 255)):
        assert np.array_equal(as_photo(tensor), bytes_)
    grey = as_photo(last[..., 0])
    assert np.array_equal(grey, np.repeat(bytes_[..., :1], 3, axis=2))
    assert np.array_equal(as_photo((last.float() / 255).requires_grad_()), bytes_)


def test_colours_may_come_in_another_order() -> None:
    bytes_ = noise(4, 5)
    for given_ in (bytes_[..., ::-1], torch.from_numpy(bytes_[..., ::-1].copy()).permute(2, 0, 1)):
        assert np.array_equal(as_photo(given_, "bgr"), bytes_)
    opaque = np.dstack([bytes_[..., ::-1], np.full((4, 5), 255, np.uint8)])
    assert np.array_equal(as_photo(opaque, "bgr"), bytes_)
    assert np.array_equal(as_photo(bytes_[..., 0], "bgr"), np.repeat(bytes_[..., :1], 3, axis=2))
    with pytest.raises(ValueError, match='order is \'rbg\': choose "rgb" or "bgr"'):
        as_photo(bytes_, "rbg")


def test_what_libtiff_thinks_of_a_damaged_photo_stays_off_the_terminal(tmp_path: Path) -> None:
    data = bytearray(encoded(Image.fromarray(noise(64, 64)), "TIFF", compression="tiff_adobe_deflate"))
    data[300:900] = b"\xff" * 600
    path = file(tmp_path, bytes(data), "damaged.tif")
    said = []
    for call in ("from PIL import Image; Image.open", "from eagrctl.faces.photo import as_photo; as_photo"):
        code = f"{call}({str(path)!r}).load()"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        said.append([line for line in ran.stderr.splitlines() if not line.startswith((" ", "Traceback"))])
    assert len(said[0]) == 2  # libtiff's line, and Pillow's error
    assert [line.rpartition("eagrctl.errors.")[2][:24] for line in said[1]] == [f"SourceError: {path}"[:24]]
