"""Files whose pixels are sound and the rest is not, and the other way round."""

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from eagrctl.errors import SourceError
from eagrctl.faces.photo import read_any_photo
from eagrctl.faces.picture import load, picture_in

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
SMOOTH = np.asarray(Image.fromarray(PIXELS[:5, :7]).resize((112, 80)))


def encoded(kind: str, pixels: np.ndarray = SMOOTH, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read_any_photo(path)
    (line,) = str(caught.value).splitlines()
    return line


def chunk(name: bytes, content: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", right if checksum is None else checksum)


@pytest.mark.parametrize(
    "metadata",
    [
        chunk(b"tEXt", b"Comment\0hello", checksum=1),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"iCCP", b"no end of the name"),
        chunk(b"gAMA", b"\0"),
        chunk(b"pHYs", b"\0\1"),
        chunk(b"acTL", b"\0\0\0\0"),
    ],
    ids=["checksum", "huge profile", "huge text", "profile", "gamma", "size", "animation"],
)
def test_metadata_of_a_png_do_not_count_while_its_pixels_are_sound(tmp_path: Path, metadata: bytes) -> None:
    data, path = encoded("PNG"), tmp_path / "photo.png"
    path.write_bytes(data[:33] + metadata + data[33:])
    assert np.array_equal(read_any_photo(path), SMOOTH)


def test_a_wrong_checksum_of_a_pngs_pixels_is_damage(tmp_path: Path) -> None:
    data, path = bytearray(encoded("PNG")), tmp_path / "photo.png"
    place = data.index(b"IDAT")
    length = int.from_bytes(data[place - 4 : place])
    data[place + 4 + length] ^= 1
    path.write_bytes(data)
    assert "truncated or damaged (wrong checksum in IDAT)" in refusal(path)


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("tail", [b"", b"\xff", b"\0" * 600], ids=["nothing", "half a mark", "zeros"])
def test_a_jpeg_that_lacks_only_its_end_mark_is_read(tmp_path: Path, progressive: bool, tail: bytes) -> None:
    data, path = encoded("JPEG", progressive=progressive), tmp_path / "photo.jpg"
    path.write_bytes(data[:-2] + tail)
    assert np.array_equal(read_any_photo(path), np.asarray(Image.open(BytesIO(data))))


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("lost", [3, 40, 400])
def test_a_jpeg_that_lacks_pixels_is_refused(tmp_path: Path, progressive: bool, lost: int) -> None:
    data = encoded("JPEG", PIXELS, progressive=progressive)
    (tmp_path / "photo.jpg").write_bytes(data[:-lost])
    assert "is truncated or damaged" in refusal(tmp_path / "photo.jpg")


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe1" + struct.pack(">H", 30) + b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(14),
        b"\xff\xe2" + struct.pack(">H", 20) + b"ICC_PROFILE\0\1\1" + bytes(4),
        b"\xff\xed" + struct.pack(">H", 22) + b"Photoshop 3.0\0" + bytes(6),
        b"\xff\xe2" + struct.pack(">H", 16) + b"MPF\0II*\0\x08\0\0\0\xff\xff",
    ],
    ids=["EXIF", "profile", "Photoshop", "several pictures"],
)
def test_metadata_of_a_jpeg_do_not_count_while_its_pixels_are_sound(tmp_path: Path, segment: bytes) -> None:
    data, path = encoded("JPEG"), tmp_path / "photo.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    assert np.array_equal(read_any_photo(path), np.asarray(Image.open(BytesIO(data))))


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000"])
def test_a_file_whose_boxes_end_behind_it_is_refused(tmp_path: Path, kind: str) -> None:
    data, path = encoded(kind), tmp_path / "photo"
    path.write_bytes(data)
    assert read_any_photo(path).shape == SMOOTH.shape
    path.write_bytes(data[:-3])
    assert "is truncated or damaged" in refusal(path)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"%PDF-1.7\n", "is a PDF, a kind that is not supported"),
        (b"<svg xmlns=", "is an SVG drawing, a kind that is not supported"),
        (b"PK\x03\x04", "is a zip archive, a kind that is not supported"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "is a video"),
        (b"\x1aE\xdf\xa3", "is a video"),
        (b"RIFF\0\0\0\0AVI LIST", "is a video"),
        (b"\x89PNG\r\n\x1a\n", "is truncated or damaged"),
        (b"\xff\xd8\xff\xe0", "is truncated or damaged"),
    ],
)
def test_what_it_is_and_whether_it_is_damaged_are_told_apart(tmp_path: Path, head: bytes, said: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(head + bytes(200))
    assert said in refusal(path)


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "photo.jpg")
    assert "is a pipe, a socket or a device: give a regular file" in refusal(tmp_path / "photo.jpg")


def test_a_closed_picture_is_named() -> None:
    picture = Image.open(BytesIO(encoded("PNG")))
    picture.fp.close()
    with pytest.raises(SourceError, match="the picture is closed: give it while it is open"):
        load(picture, "the picture")


def test_a_caller_chooses_which_kinds_are_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.png"
    path.write_bytes(encoded("JPEG"))
    with pytest.raises(SourceError, match="of the kind JPEG, which is not supported"), picture_in(path, ("PNG",)):
        pass


def test_text_in_a_png_is_still_there(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "somebody's")
    path = tmp_path / "photo.png"
    path.write_bytes(encoded("PNG", pnginfo=info))
    with picture_in(path) as picture:
        assert picture.info["Software"] == "somebody's"
