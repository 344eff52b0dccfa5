"""Faces that a landmark predictor learns from: cut out, grey, in the box of dlib's detector."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Landmarks, Pixels
from eagrctl.data.index import ShardIndex
from eagrctl.events import Listener, Notice, ignore, tracked
from eagrctl.faces.detector import FaceDetector
from eagrctl.training.landmarks.label_landmarks import LabelLandmarks

SIDE = 200  # A face is shrunk until its box has this side, in pixels: twice as many cost four times the memory.
AROUND = 0.4  # So much of the photo is kept around the box, as a share of the box's side: shapes start off by less.

# A varied face is seen in a box that is off by the detector's own kind of error, and in another light: standard
# deviations of the logarithm of the box's scale, of its shift as a share of its side, of the logarithm of the
# contrast, and of the brightness. With a varied copy of each face, eyes that are off by more than a tenth of their
# distance went from 4.9 to 3.7 %, on 480 training faces that were held out.
BOX_SCALE, BOX_SHIFT, CONTRAST, BRIGHTNESS = 0.08, 0.05, 0.3, 20.0


@dataclass(frozen=True)
class LandmarkExample:
    """A face to learn from."""

    image: Pixels  # (H, W) uint8, grey: the mean of the three colours, which is all that a predictor looks at
    box: NDArray[np.float64]  # (4,), the detector's
    landmarks: Landmarks  # (5, 2) float64

    def mirrored(self) -> "LandmarkExample":
        """The same face in a mirror: left and right have changed places."""
        last = self.image.shape[1] - 1
        left, top, right, bottom = self.box
        turned = self.landmarks[[1, 0, 2, 4, 3]] * [-1, 1] + [last, 0]
        box = np.array([last - right, top, last - left, bottom])
        return LandmarkExample(np.ascontiguousarray(self.image[:, ::-1]), box, turned)

    def varied(self, random: np.random.Generator) -> "LandmarkExample":
        """The same face in another light, in a box that is off."""
        side = self.box[2] - self.box[0]
        middle = 0.5 * (self.box[:2] + self.box[2:]) + BOX_SHIFT * side * random.normal(size=2)
        reach = 0.5 * side * np.exp(BOX_SCALE * random.normal())
        contrast, brightness = np.exp(CONTRAST * random.normal()), BRIGHTNESS * random.normal()
        mean = self.image.mean()
        lit = np.clip((self.image - mean) * contrast + mean + brightness, 0, 255).astype(np.uint8)
        return LandmarkExample(lit, np.concatenate([middle - reach, middle + reach]), self.landmarks)


def examples(index: ShardIndex, split: str, listener: Listener = ignore) -> Iterator[LandmarkExample]:
    """The faces of a split that show all five landmarks, in the box of dlib's detector.

    At the end, the listener hears how many were left out, and why.

    Raises:
        DataError: the dataset has no such classes, or no such split.
    """
    reader, detector = LabelLandmarks.of(index), FaceDetector()
    total = index.split(split).count
    hidden = missed = 0
    for position in tracked(range(total), "finding faces", listener):
        sample = index.read(split, position)
        landmarks = reader.read(sample.labels)
        if not np.isfinite(landmarks).all():
            hidden += 1
            continue
        box = detector.find(sample.image, landmarks)
        if box is None:
            missed += 1
            continue
        yield _example(sample.image, box, landmarks)
    listener(
        Notice(
            f"{total - hidden - missed:,} of {total:,} faces to learn from; left out: {hidden:,} with a hidden eye, "
            f"nose or mouth, {missed:,} that dlib's detector does not find"
        )
    )


def _example(image: Pixels, box: NDArray[np.float64], landmarks: Landmarks) -> LandmarkExample:
    """A face cut out of its photo and shrunk."""
    side = box[2] - box[0]
    corner = np.floor(np.maximum(0, box[:2] - AROUND * side)).astype(int)
    end = np.ceil(np.minimum(image.shape[1::-1], box[2:] + 1 + AROUND * side)).astype(int)
    cut = image[corner[1] : end[1], corner[0] : end[0]]
    across, down = (max(1, round(extent * min(1.0, SIDE / side))) for extent in cut.shape[1::-1])
    stretch = np.array([across, down]) / cut.shape[1::-1]
    shrunk = np.asarray(Image.fromarray(cut).resize((across, down)))
    grey = (shrunk.astype(np.uint16).sum(axis=2) // 3).astype(np.uint8)
    moved = [(points - corner + 0.5) * stretch - 0.5 for points in (box.reshape(2, 2), landmarks)]
    return LandmarkExample(grey, moved[0].ravel(), moved[1])
