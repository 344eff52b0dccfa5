"""Reading photos and label maps from files, checked; and sources that are nothing but such pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from eagrctl.arrays import Pixels, shape_of
from eagrctl.data.labels import IGNORE, LabelSet
from eagrctl.data.source import Provenance, Sample
from eagrctl.errors import SourceError


@dataclass(frozen=True)
class PairedSource:
    """Photos and label maps, one file each; a `Source`.

    Attributes:
        photos: by name.
        maps: the folder of the label maps, NAME.png.
        ignored: whether pixels may go without a label, as 255.
        halved: whether photos may be twice as large as their label maps.
    """

    photos: Mapping[str, Path]
    maps: Path
    splits: Mapping[str, Sequence[str]]
    provenance: Provenance
    labels: LabelSet
    ignored: bool = False
    halved: bool = False

    def read(self, split: str, name: str) -> Sample:
        """See `Source.read`."""
        if name not in self.photos:
            raise SourceError(
                f"no photo images/{name}.jpg beside {self.maps}, but {split}.txt lists it; add it, or strike the line"
            )
        image = read_photo(self.photos[name])
        labels = read_labels(self.maps / f"{name}.png", len(self.labels), self.ignored)
        check_size(image, labels, name, self.halved)
        return Sample(name, image, labels)


def read_photo(path: Path) -> Pixels:
    """Read a photo as (H, W, 3) uint8 RGB.

    Raises:
        SourceError: missing, unreadable or truncated.
    """
    return np.array(_open(path).convert("RGB"))


def read_labels(path: Path, classes: int, ignored: bool = False) -> Pixels:
    """Read a label map of one channel, grey or palette, as (H, W) uint8 ids.

    Args:
        path: the file.
        classes: how many there are.
        ignored: whether pixels may go without a label, as 255.

    Raises:
        SourceError: missing, unreadable, of several channels, or with an id that is none of `classes`.
    """
    picture = _open(path)
    if picture.mode not in ("L", "P"):
        raise SourceError(
            f"{path} is not a label map: its mode is {picture.mode}, not 8-bit grey or palette; "
            "save class ids as a single channel"
        )
    labels = np.array(picture)
    found = labels[labels != IGNORE] if ignored else labels
    if found.size and found.max() >= classes:
        raise SourceError(
            f"{path} holds label {found.max()}, outside 0..{classes - 1}: "
            "if it follows another id scheme, convert it to official ids"
        )
    return labels


def read_mask(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Read a mask of one part, (H, W) bool: true where a pixel is brighter than half.

    Raises:
        SourceError: missing, unreadable or truncated.
    """
    return np.array(_open(path).convert("L")) > 127


def check_size(image: Pixels, labels: Pixels, name: str, halved: bool = False) -> None:
    """Check that a photo, (H, W, 3), and its label map, (H, W), show the same pixels.

    Raises:
        SourceError: they differ in size, and the map is not `halved` either; the message says which face it was.
    """
    height, width = labels.shape
    if image.shape[:2] not in ((height, width), (2 * height, 2 * width) if halved else ()):
        raise SourceError(
            f"face {name}: the photo is {shape_of(image)}, its label map {shape_of(labels)}; both must have one size"
            f"{', or the map half of it' if halved else ''}, so fetch or save both again"
        )


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            picture.load()
    except FileNotFoundError:
        raise SourceError(f"{path} is missing; fetch it again") from None
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow reports damage inside a PNG as a SyntaxError.
        raise SourceError(f"{path} is unreadable or truncated ({_first_line(error)}); fetch it again") from None
    return picture


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
