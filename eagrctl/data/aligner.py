"""Sample -> aligned sample: which landmarks decide, and what happens where there are none."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Literal

import numpy as np

from eagrctl.arrays import Landmarks, Matrix
from eagrctl.data.align import align_matrix, centre_matrix, plausible, resize_matrix, warp_labels, widened
from eagrctl.data.labels import edge_mask
from eagrctl.data.source import AlignedSample, Sample
from eagrctl.errors import AlignmentError, DataError, NoFaceError
from eagrctl.faces.finders import DLIB, OWN, open_finder
from eagrctl.faces.found import FaceFinder
from eagrctl.geometry import compose, invert, stretch_matrix, transform, warp_image

Fallback = Literal["centre", "skip"]


@dataclass(frozen=True)
class LandmarkSource:
    """Where landmarks come from; pickled to worker processes.

    A label map is never asked: landmarks derived from the labels of a test face would leak the answer.

    Attributes:
        description: for the index and every report.
        identity: tells these landmarks from all others, contents of files included.
        find: gives a sample's landmarks in the source frame; None for no face.
    """

    description: str
    identity: str
    find: Callable[[Sample], Landmarks | None]


ANNOTATED = LandmarkSource("annotated by the dataset", "annotated", attrgetter("landmarks"))


def listed(landmarks: Mapping[str, Landmarks], description: str) -> LandmarkSource:
    """Landmarks from a file, by the samples' names."""
    plain = json.dumps({name: five.tolist() for name, five in sorted(landmarks.items())})
    return LandmarkSource(description, hashlib.sha256(plain.encode()).hexdigest(), partial(_look_up, dict(landmarks)))


def _look_up(landmarks: dict[str, Landmarks], sample: Sample) -> Landmarks | None:
    return landmarks.get(sample.name)


def detected(finder: FaceFinder) -> LandmarkSource:
    """Landmarks that are found in the photo; the dataset's own tell which of several faces is meant."""
    return LandmarkSource(finder.description, finder.identity, partial(_detect, finder))


def _detect(finder: FaceFinder, sample: Sample) -> Landmarks | None:
    to_source = photo_to_source(sample)
    known = sample.landmarks
    usable = known is not None and plausible(known, sample.labels.shape)
    near = transform(invert(to_source), known) if known is not None and usable else None
    found = finder.find(sample.image, near)
    return None if found is None else transform(to_source, found)


def landmark_source(name: str, predictor: Path | None = None) -> LandmarkSource:
    """Landmarks as "annotated" by the dataset, as a detector finds them, "own" or "dlib", or from a file.

    Args:
        name: one of these words, or the path of a file of lines `NAME x1 y1 ... x5 y5`.
        predictor: dlib's landmark predictor; `find_predictor` says which one None takes.

    Raises:
        DataError: neither, or a file that cannot be read.
        AlignmentError: a detector or dlib's predictor cannot be read.
    """
    from eagrctl.faces.landmark_file import read_landmarks

    if name == "annotated":
        return ANNOTATED
    if name in (OWN, DLIB):
        return detected(open_finder(name, predictor))
    path = Path(name)
    if not path.is_file():
        raise DataError(f"--landmarks {name} is neither annotated, own, dlib nor a file: give one of them")
    return listed(read_landmarks(path), f"from {path.name}")


@dataclass(frozen=True)
class Aligner:
    """Brings samples into the square that the network sees.

    Attributes:
        size: S, its side.
        landmarks: where they come from; None stretches the whole frame onto the square instead.
        fallback: for a sample without landmarks: "centre" cuts the largest square from its middle, "skip" leaves it
            out.
        wider: how many times as much as usual an aligned frame shows.
    """

    size: int
    landmarks: LandmarkSource | None = None
    fallback: Fallback = "centre"
    wider: float = 1.0

    @property
    def description(self) -> str:
        """How samples are aligned, in words, for the index and every report."""
        if self.landmarks is None:
            return "none: the whole frame, resized"
        without = "centred" if self.fallback == "centre" else "skipped"
        wider = "" if self.wider == 1 else f", {self.wider:g} times as much as usual"
        return f"similarity by landmarks {self.landmarks.description}{wider}; faces without are {without}"

    def align(self, sample: Sample) -> AlignedSample:
        """Align one sample, and derive its edges; NoFaceError where one without landmarks is to be skipped."""
        matrix, found = self._matrix(sample)
        labels = warp_labels(sample.labels, matrix, self.size)
        return AlignedSample(
            name=sample.name,
            image=warp_image(sample.image, compose(matrix, photo_to_source(sample)), self.size),
            labels=labels,
            edges=edge_mask(labels).astype(np.uint8),
            matrix=matrix,
            source_labels=sample.labels,
            centred=not found,
        )

    def _matrix(self, sample: Sample) -> tuple[Matrix, bool]:
        height, width = sample.labels.shape
        if self.landmarks is None:
            return resize_matrix((height, width), self.size), True
        landmarks = self.landmarks.find(sample)
        if landmarks is not None and plausible(landmarks, (height, width)):
            # Landmarks too few or too close to give a similarity are as good as none, and so are impossible ones.
            with suppress(AlignmentError):
                return widened(align_matrix(landmarks, self.size), self.size, self.wider), True
        if self.fallback == "skip":
            raise NoFaceError(
                f"no face found in {sample.name} (landmarks {self.landmarks.description}): --fallback centre keeps it"
            )
        return centre_matrix((height, width), self.size), False


def photo_to_source(sample: Sample) -> Matrix:
    """The matrix from a sample's photo, which may be larger, to its source frame: both show the same field of view."""
    height, width = sample.labels.shape
    return stretch_matrix(sample.image.shape[:2], (height, width))
