"""How far found landmarks lie from those that label maps show, before and after alignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import thread_time

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Landmarks
from eagrctl.data.align import TEMPLATE, align_matrix
from eagrctl.data.index import ShardIndex
from eagrctl.errors import DataError
from eagrctl.events import Listener, ignore, tracked
from eagrctl.faces.found import FaceFinder
from eagrctl.geometry import transform
from eagrctl.training.scenes.label_landmarks import LabelLandmarks

# An aligned eye within this distance of the template's, as a share of the aligned frame's side, is where it should be:
# 6 pixels of the paper's input.
NEAR = 6 / 473


@dataclass(frozen=True)
class LandmarkErrors:
    """One detector's errors on the faces of a split.

    Distances are Euclidean. *The eyes' distance* is that of a face's own two labelled eyes. N faces were found.
    """

    finder: str  # in words
    faces: int  # that have both eyes labelled
    # (N, 2) float64: how far the left and the right eye's centre is off, as a share of the eyes' distance.
    eyes: NDArray[np.float64]
    # (M, 2) float64: the same for the mouth's corners, where labels show them and the detector knows them.
    mouth: NDArray[np.float64]
    # (N, 2) float64: how far alignment puts the labelled eyes from the template's, as a share of the frame's side.
    aligned: NDArray[np.float64]
    seconds: float  # of processor time, for finding a face and its landmarks, on average

    @property
    def found(self) -> float:
        """Share of the faces in which landmarks were found."""
        return len(self.eyes) / self.faces

    @property
    def eyes_near(self) -> float:
        """Share of the eyes of faces found that alignment puts within `NEAR` of the template's."""
        return float((self.aligned <= NEAR).mean())

    @property
    def faces_near(self) -> float:
        """Share of the faces found of which it puts both there."""
        return float((self.aligned <= NEAR).all(axis=1).mean())

    def eyes_within(self, share: float) -> float:
        """Share of the eyes of faces found that are off by less than `share` of the eyes' distance."""
        return float((self.eyes < share).mean())


def landmark_errors(
    index: ShardIndex, split: str, finders: Sequence[FaceFinder], listener: Listener = ignore
) -> list[LandmarkErrors]:
    """Compare detectors and their landmarks on the faces of a split that have both eyes labelled.

    Labels tell which of several faces in a photo is meant, and what is right; nothing else.

    Raises:
        DataError: the dataset is aligned, has no such classes or split; no face shows both eyes, or none is found.
    """
    reader = LabelLandmarks.of(index)
    faces = 0
    answers: list[list[tuple[Landmarks, Landmarks]]] = [[] for _ in finders]
    seconds = np.zeros(len(finders))
    for position in tracked(range(index.split(split).count), "comparing landmarks", listener):
        sample = index.read(split, position)
        truth = reader.read(sample.labels)
        if not np.isfinite(truth[:2]).all():
            continue
        faces += 1
        for number, finder in enumerate(finders):
            start = thread_time()
            found = finder.find(sample.image, truth)
            seconds[number] += thread_time() - start
            if found is not None:
                answers[number].append((truth, found))
    if not faces or not all(answers):
        raise DataError(f"no face of {index.root}, split {split}, is found with both eyes labelled: give other data")
    return [
        _errors(finder, faces, pairs, float(time) / faces)
        for finder, pairs, time in zip(finders, answers, seconds, strict=True)
    ]


def _errors(
    finder: FaceFinder, faces: int, pairs: Sequence[tuple[Landmarks, Landmarks]], seconds: float
) -> LandmarkErrors:
    truths, founds = (np.array(each) for each in zip(*pairs, strict=True))
    off = np.linalg.norm(founds - truths, axis=2) / np.linalg.norm(truths[:, 1] - truths[:, 0], axis=1)[:, None]
    aligned = [transform(align_matrix(found, 1), truth[:2]) - (TEMPLATE[:2] - 0.5) for truth, found in pairs]
    mouth = off[:, 3:]
    return LandmarkErrors(
        finder=finder.description,
        faces=faces,
        eyes=off[:, :2],
        mouth=mouth[np.isfinite(mouth).all(axis=1)],
        aligned=np.linalg.norm(aligned, axis=2),
        seconds=seconds,
    )
