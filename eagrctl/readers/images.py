"""Datasets that stand in files: photos and label maps are read here, and checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from eagrctl.arrays import Pixels, shape_of
from eagrctl.data.labels import IGNORE, LabelSet
from eagrctl.data.source import Provenance, Sample
from eagrctl.errors import SourceError


@dataclass(frozen=True)
class FileSource:
    """Faces that a function reads from files; a `Source`.

    Attributes:
        splits, provenance, labels: see `Source`.
        reader: gives the sample of a split and a name; it can be pickled.
        halved: whether photos may be twice as large as their label maps.
    """

    splits: Mapping[str, Sequence[str]]
    provenance: Provenance
    labels: LabelSet
    reader: Callable[[str, str], Sample] = field(compare=False)  # no partial function equals its copy
    halved: bool = False

    def read(self, split: str, name: str) -> Sample:
        """See `Source.read`. Photo and label map are checked to show the same pixels."""
        sample = self.reader(split, name)
        check_size(sample.image, sample.labels, name, self.halved)
        return sample


def read_pair(
    photos: Mapping[str, Path], maps: Path, classes: int, split: str, name: str, ignored: bool = False
) -> Sample:
    """Read a photo, and its label map NAME.png in the folder `maps`; SourceError as in `read_photo`, `read_labels`."""
    if name not in photos:
        raise SourceError(
            f"no photo images/{name}.jpg beside {maps}, but {split}.txt lists it; add it, or strike the line"
        )
    return Sample(name, read_photo(photos[name]), read_labels(maps / f"{name}.png", classes, ignored))


def read_photo(path: Path) -> Pixels:
    """Read a photo as (H, W, 3) uint8 RGB; SourceError where it is missing, unreadable or truncated."""
    return np.array(_open(path).convert("RGB"))


def read_labels(path: Path, classes: int, ignored: bool = False) -> Pixels:
    """Read a label map of one channel, grey or palette, as (H, W) uint8 ids.

    Raises:
        SourceError: missing, unreadable, of several channels, or with an id beyond `classes`, how many there are;
            255, a pixel without a label, is allowed where `ignored` says so.
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
    """Read a mask of one part, (H, W) bool: true where a pixel is brighter than half; SourceError as `read_photo`."""
    return np.array(_open(path).convert("L")) > 127


def check_size(image: Pixels, labels: Pixels, name: str, halved: bool = False) -> None:
    """Refuse, with SourceError, a photo, (H, W, 3), that has neither its labels' size nor, if `halved`, twice it."""
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
