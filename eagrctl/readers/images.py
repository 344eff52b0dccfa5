"""Datasets that stand in files: photos and label maps are read here, and checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Pixels, shape_of
from eagrctl.data.labels import IGNORE, LabelSet
from eagrctl.data.source import Provenance, Sample
from eagrctl.errors import SourceError
from eagrctl.faces.kinds import LABEL_MAPS
from eagrctl.faces.picture import STORED_AS, TURNS, orientation_of, picture_in
from eagrctl.files import printable
from eagrctl.readers.schemes import Scheme

# By what Pillow multiplies the values of grey pictures of so few bits, to make white 255.
_STRETCHED = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True)
class FileSource:
    """Faces that a function reads from files; a `Source`.

    Attributes:
        splits, provenance, labels: see `Source`.
        reader: gives the sample of a split and a name; it can be pickled.
        halved: whether photos may be twice as large as their label maps.
        remarks: what of the files was left out, a line each; see `Source`.
    """

    splits: Mapping[str, Sequence[str]]
    provenance: Provenance
    labels: LabelSet
    reader: Callable[[str, str], Sample] = field(compare=False)  # no partial function equals its copy
    halved: bool = False
    remarks: Sequence[str] = ()

    def read(self, split: str, name: str) -> Sample:
        """See `Source.read`. Photo and label map are checked to show the same pixels."""
        sample = self.reader(split, name)
        check_size(sample.image, sample.labels, name, self.halved)
        return sample


def read_labels(path: Path, classes: int, ignored: bool = False, scheme: Scheme | None = None) -> Pixels:
    """Read a label map as (H, W) uint8 ids, upright as its own EXIF says.

    Ids are the values of a grey picture of any depth, the indexes of a palette, or the value that red, green and blue
    share; an alpha channel means nothing. Those of another `scheme` become the dataset's.

    Raises:
        SourceError: as `picture_in`; in colours, or with an id beyond `classes`, how many there are, or that the scheme
            has not; 255, a pixel without a label, is allowed where `ignored` says so.
    """
    with picture_in(path, LABEL_MAPS) as picture:
        labels = _values(picture, printable(path))
    if scheme is not None and not (labels.size and (labels.min() < 0 or labels.max() > IGNORE)):
        ids = labels.astype(np.uint8)
        if (stranger := scheme.stranger(ids)) is not None:
            raise SourceError(f"{printable(path)} holds id {stranger}, which scheme {printable(scheme.name)} has not")
        return scheme.translate(ids)
    found = labels[labels != IGNORE] if ignored else labels
    if found.size and not 0 <= (wrong := found.min() if found.min() < 0 else found.max()) < classes:
        raise SourceError(
            f"{printable(path)} holds label {wrong}, outside 0..{classes - 1}: "
            "if it follows another id scheme, name that with --scheme"
        )
    return labels.astype(np.uint8)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask of one part, (H, W) bool: true where a pixel is not black, as in the official script.

    Raises:
        SourceError: as `picture_in`.
    """
    with picture_in(path, LABEL_MAPS) as picture:
        mask: NDArray[np.bool_] = np.any(_planes(picture, printable(path), palette=True), axis=2)
        return mask


def read_probabilities(path: Path) -> Pixels:
    """Read how probable a part is, (H, W) uint8, from a grey picture or the red of a coloured one.

    Raises:
        SourceError: as `picture_in`.
    """
    with picture_in(path, LABEL_MAPS) as picture:
        values = _planes(picture, printable(path), palette=True)[..., 0]
        if picture.mode == "1":
            values = values * np.uint8(255)
    return (values >> 8 if values.dtype.itemsize > 1 else values).astype(np.uint8)


def check_size(image: Pixels, labels: Pixels, name: str, halved: bool = False) -> None:
    """Refuse, with SourceError, a photo, (H, W, 3), that has neither its labels' size nor, if `halved`, twice it."""
    height, width = labels.shape
    turned = ""
    if height != width and image.shape[:2] in ((width, height), (2 * width, 2 * height) if halved else ()):
        turned = " (if EXIF turns the photo, the map was made for the unturned one: turn it as well)"
    if image.shape[:2] not in ((height, width), (2 * height, 2 * width) if halved else ()):
        raise SourceError(
            f"face {name}: the photo is {shape_of(image)}, its label map {shape_of(labels)}{turned}; "
            f"both must have one size{', or the map half of it' if halved else ''}, so fetch or save both again"
        )


def _values(picture: Image.Image, name: str) -> NDArray[np.integer]:
    """The one value of each pixel of a decoded picture, (H, W)."""
    planes = _planes(picture, name)
    if (planes != planes[..., :1]).any():
        raise SourceError(
            f"{name} is not a label map: its mode is {picture.mode}, and it has colours; save class ids as a single "
            "channel, 8-bit grey or palette"
        )
    values = planes[..., 0]
    return values // np.uint8(_STRETCHED.get(_stored_as(picture), 1))


def _planes(picture: Image.Image, name: str, palette: bool = False) -> NDArray[np.integer]:
    """The channels of a decoded picture without alpha, (H, W, C), upright; of a palette the colours or the indexes."""
    stored = _stored_as(picture)
    if picture.mode == "F" or (picture.mode in ("LA", "RGB", "RGBA") and "16" in stored):
        raise SourceError(f"{name} is not a label map: its values are stored as {stored}; save them with 8 bits")
    if picture.mode in ("PA", "CMYK", "YCbCr", "LAB", "HSV") or (palette and picture.mode == "P"):
        picture = picture.convert("RGB")
    orientation = orientation_of(picture)
    pixels = np.asarray(picture.transpose(TURNS[orientation]) if orientation in TURNS else picture)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    alpha = picture.mode in ("LA", "RGBA")
    return pixels[..., None] if pixels.ndim == 2 else pixels[..., : pixels.shape[2] - alpha]


def _stored_as(picture: Image.Image) -> str:
    """Pillow's name for how the values of a file's pixels are stored, such as L;4; its mode where that is not known."""
    return str(picture.info.get(STORED_AS, picture.mode))
