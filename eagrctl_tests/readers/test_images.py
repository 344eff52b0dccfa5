import struct
import subprocess
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.errors import SourceError
from eagrctl.faces.photo import read_any_photo
from eagrctl.readers.images import check_size, read_labels, read_mask


def save(pixels: np.ndarray, path: Path, mode: str | None = None) -> Path:
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path)
    return path


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "png"), ("L", "png"), ("P", "png"), ("CMYK", "jpg"), ("RGBA", "png")]
)
def test_a_photo_of_any_mode_is_read_as_rgb(colours: np.ndarray, tmp_path: Path, mode: str, suffix: str) -> None:
    photo = read_any_photo(save(colours, tmp_path / f"photo.{suffix}", mode))
    assert (photo.shape, photo.dtype) == ((20, 30, 3), np.uint8)


def test_pixels_come_back_as_they_were(colours: np.ndarray, tmp_path: Path) -> None:
    assert np.array_equal(read_any_photo(save(colours, tmp_path / "photo.png")), colours)


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.jpg is missing: .*fetch it again"):
        read_any_photo(tmp_path / "gone.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_photo_is_named(colours: np.ndarray, tmp_path: Path, suffix: str, share: float) -> None:
    path = save(np.tile(colours, (5, 5, 1)), tmp_path / f"photo.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError, match=rf"photo\.{suffix} is (truncated or damaged|empty).*fetch it again"):
        read_any_photo(path)


def test_palette_and_grey_labels_are_read_as_ids(tmp_path: Path) -> None:
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
    grey = save(ids, tmp_path / "grey.png")
    coloured = Image.fromarray(ids).convert("P")
    coloured.putpalette([5 * number for number in range(36)])
    coloured.save(tmp_path / "palette.png")
    assert np.array_equal(read_labels(grey, 12), ids)
    assert np.array_equal(read_labels(tmp_path / "palette.png", 12), ids)


def test_an_id_out_of_range_is_named(tmp_path: Path) -> None:
    path = save(np.array([[0, 19]], np.uint8), tmp_path / "labels.png")
    with pytest.raises(SourceError, match=r"labels\.png holds label 19, outside 0\.\.18"):
        read_labels(path, 19)


def test_coloured_labels_are_refused(colours: np.ndarray, tmp_path: Path) -> None:
    path = save(colours, tmp_path / "overlay.png")
    with pytest.raises(SourceError, match=r"overlay\.png is not a label map: its mode is RGB"):
        read_labels(path, 19)


def test_a_mask_is_true_where_it_is_bright(tmp_path: Path) -> None:
    mask = np.array([[True, False, True]])
    path = save(np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255, tmp_path / "mask.png")
    assert np.array_equal(read_mask(path), mask)


def test_a_photo_of_another_size_than_its_labels_is_named() -> None:
    check_size(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint8), "someone")
    with pytest.raises(SourceError, match="face someone: the photo is 5 x 4, its label map 4 x 5"):
        check_size(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8), "someone")


def test_pixels_without_a_label_are_allowed_only_where_the_format_has_them(tmp_path: Path) -> None:
    path = save(np.array([[0, 3, 255]], np.uint8), tmp_path / "labels.png")
    assert read_labels(path, 4, ignored=True).tolist() == [[0, 3, 255]]
    with pytest.raises(SourceError, match=r"holds label 255, outside 0\.\.3"):
        read_labels(path, 4)
    with pytest.raises(SourceError, match=r"holds label 3, outside 0\.\.2"):
        read_labels(path, 3, ignored=True)
    assert (read_labels(save(np.full((2, 2), 255, np.uint8), path), 3, ignored=True) == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "P"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_ids_are_read_whatever_the_mode_they_were_saved_in(tmp_path: Path, mode: str, suffix: str) -> None:
    ids, path = np.arange(12, dtype=np.uint8).reshape(3, 4), tmp_path / f"labels.{suffix}"
    if mode == "P":
        picture = Image.fromarray(ids).convert("P")
    elif mode == "I;16":
        picture = Image.fromarray(ids.astype(np.uint16))
    else:
        picture = Image.fromarray(ids).convert(mode)
    picture.save(path)
    assert read_labels(path, 12).tolist() == ids.tolist()


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("palette", [False, True])
def test_ids_of_few_bits_are_read_as_they_are(tmp_path: Path, bits: int, palette: bool) -> None:
    ids, path = (np.arange(12).reshape(3, 4) % 2**bits).astype(np.uint8), tmp_path / "labels.png"
    rows = b"".join(b"\0" + np.packbits(_bits(row, bits)).tobytes() for row in ids)
    path.write_bytes(_png(ids.shape, bits, 3 if palette else 0, rows))
    assert read_labels(path, 16).tolist() == ids.tolist()


def test_a_mask_counts_where_it_is_not_black(tmp_path: Path) -> None:
    values = np.array([[0, 1, 127, 255]], np.uint8)
    for mode in ("L", "LA", "RGB", "RGBA", "I;16"):
        picture = Image.fromarray(values.astype(np.uint16) if mode == "I;16" else values)
        (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / "mask.png")
        assert read_mask(tmp_path / "mask.png").tolist() == [[False, True, True, True]]
    two = Image.fromarray(values > 0)
    two.save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[False, True, True, True]]


def test_a_jpeg_is_no_label_map(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "labels.png", "JPEG")
    with pytest.raises(SourceError, match=r"labels\.png is of the kind JPEG, which is not supported for label maps"):
        read_labels(tmp_path / "labels.png", 2)


def test_postscript_called_png_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **_: started.append(given))
    (tmp_path / "labels.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    for read in (read_any_photo, read_mask, partial(read_labels, classes=2)):
        with pytest.raises(SourceError, match="is PostScript, a kind that is not supported"):
            read(tmp_path / "labels.png")
    assert not started


def test_a_photo_that_exif_turns_against_its_labels_is_told() -> None:
    with pytest.raises(SourceError, match="if EXIF turns the photo"):
        check_size(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8), "someone")


def _bits(row: np.ndarray, bits: int) -> np.ndarray:
    return (row[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).ravel()


def _png(shape: tuple[int, ...], bits: int, colour: int, rows: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", shape[1], shape[0], bits, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(3 * 2**bits))) if colour == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + palette
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
