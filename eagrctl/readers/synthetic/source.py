"""Painted faces as a dataset: photos with exact labels and landmarks, from a seed.

With them every command runs, and a small network learns something real, where no dataset is available. Colour is a
poor guide on purpose: skin, hair and lips share their tones with the backdrop, and a nose has the colour of skin.

Where labels are a matter of choice: neck and ears are background; a beard is skin; glasses are labelled as what they
cover; what an occluder hides is background.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from skimage.filters import gaussian

from eagrctl.arrays import Pixels
from eagrctl.data.labels import HELEN, LabelSet
from eagrctl.data.source import SPLITS, Provenance, Sample
from eagrctl.errors import SourceError
from eagrctl.readers.synthetic import features
from eagrctl.readers.synthetic.canvas import Canvas
from eagrctl.readers.synthetic.face import PaintedFace

# Goes up whenever the same seed starts to give other pixels.
PAINTER = "painter 1"
SMALLEST = 32


def paint(seed: int | Sequence[int], size: int = 256, name: str = "painted") -> Sample:
    """Paint one face.

    Args:
        seed: a number or several, none negative. The same seed is the same face at every size, except for the noise.
        size: of photo and labels, in pixels, at least 32.
        name: for the sample.

    Returns:
        image (size, size, 3) uint8, labels (size, size) uint8 with the ids of `labels.HELEN`, and all five landmarks,
        (5, 2) float64, also where something hides them.

    Raises:
        ValueError: the size is too small, or a seed is negative.
    """
    if size < SMALLEST:
        raise ValueError(f"a painted face needs at least {SMALLEST} pixels, not {size}")
    shapes, grain = np.random.SeedSequence(seed).spawn(2)
    face = PaintedFace(np.random.default_rng(shapes))
    canvas = Canvas(face, size)
    features.paint_backdrop(canvas, face)
    hair = features.hair_fields(canvas, face)
    if hair:
        features.paint_hair(canvas, face, hair[0], 0.72)
    features.paint_neck(canvas, face)
    features.paint_skin(canvas, face)
    for side in features.SIDES:
        features.paint_eye(canvas, face, side)
        features.paint_brow(canvas, face, side)
    features.paint_nose(canvas, face)
    features.paint_mouth(canvas, face)
    if hair:
        features.paint_hair(canvas, face, hair[1], 1.0)
    features.paint_glasses(canvas, face)
    features.paint_occluder(canvas, face)
    photo = _photograph(canvas, face, np.random.default_rng(grain))
    eyes = [(side * face.eye_gap, 0.0) for side in features.SIDES]
    nose = (features.nose_offset(face), face.nose_base - 0.08)
    corners = [(side * face.mouth_width, face.mouth_height) for side in features.SIDES]
    return Sample(name, photo, canvas.labels, canvas.to_pixels([*eyes, nose, *corners]))


def _photograph(canvas: Canvas, face: PaintedFace, rng: np.random.Generator) -> Pixels:
    """Light, lens and sensor: colour cast, contrast, blur, noise."""
    size = len(canvas.labels)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    light = 1 + face.gradient[0] * ramp[None, :] + face.gradient[1] * ramp[:, None]
    image = canvas.image * (light[..., None] * np.asarray(face.cast, np.float32))
    image = (image - 0.5) * face.contrast + face.brightness
    blurred = gaussian(np.clip(image, 0, 1), face.blur * size, channel_axis=2)
    noise = rng.standard_normal((size, size, 3), np.float32) * np.float32(face.noise)
    photo: Pixels = np.clip(255 * (blurred + noise) + 0.5, 0, 255).astype(np.uint8)
    return photo


@dataclass(frozen=True)
class SyntheticSource:
    """A dataset of painted faces, of any size; a `Source`.

    Attributes:
        counts: how many faces each of train, val and test has; a split that is left out has none.
        seed: of the dataset. No two splits share a face.
        size: of photos and labels, in pixels.
        labels: the classes, which are Helen's.
        remarks: none.

    Raises:
        ValueError: an unknown split, a negative count or seed, or a size under 32.
    """

    counts: Mapping[str, int]
    seed: int = 0
    size: int = 256
    labels: LabelSet = HELEN
    remarks: Sequence[str] = ()

    def __post_init__(self) -> None:
        if unknown := set(self.counts) - set(SPLITS):
            raise ValueError(f"no such split: {', '.join(sorted(unknown))}; there are {', '.join(SPLITS)}")
        if self.seed < 0 or min(self.counts.values(), default=0) < 0:
            raise ValueError("neither the seed nor a count can be negative")
        if self.size < SMALLEST:
            raise ValueError(f"a painted face needs at least {SMALLEST} pixels, not {self.size}")

    @property
    def provenance(self) -> Provenance:
        """What an index records about these faces."""
        return Provenance(
            dataset="synthetic",
            variant=PAINTER,
            split_rule="a seed of its own for every face",
            settings={"painter seed": str(self.seed), "painted at": f"{self.size} x {self.size}"},
        )

    @property
    def splits(self) -> Mapping[str, Sequence[str]]:
        """The names in each split: `train-00000` and so on."""
        return MappingProxyType(
            {split: tuple(f"{split}-{i:05d}" for i in range(self.counts.get(split, 0))) for split in SPLITS}
        )

    def read(self, split: str, name: str) -> Sample:
        """Paint one face; SourceError where the split or the name is not in this dataset."""
        count = self.counts.get(split, 0)
        number = name.removeprefix(f"{split}-")
        if not number.isdecimal() or int(number) >= count or name != f"{split}-{int(number):05d}":
            raise SourceError(
                f"no painted face {name!r} in split {split!r}, which has {count}; ask for {split}-00000 and so on"
            )
        return paint((self.seed, SPLITS.index(split), int(number)), self.size, name)
