from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.errors import SourceError
from eagrctl.readers.images import check_size, read_labels, read_mask, read_photo


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
    photo = read_photo(save(colours, tmp_path / f"photo.{suffix}", mode))
    assert (photo.shape, photo.dtype) == ((20, 30, 3), np.uint8)


def test_pixels_come_back_as_they_were(colours: np.ndarray, tmp_path: Path) -> None:
    assert np.array_equal(read_photo(save(colours, tmp_path / "photo.png")), colours)


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.jpg is missing; fetch it again"):
        read_photo(tmp_path / "gone.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_photo_is_named(colours: np.ndarray, tmp_path: Path, suffix: str, share: float) -> None:
    path = save(np.tile(colours, (5, 5, 1)), tmp_path / f"photo.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError, match=rf"photo\.{suffix} is unreadable or truncated .*fetch it again"):
        read_photo(path)


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
