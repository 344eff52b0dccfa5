"""A labelled face, and what every dataset reader gives to `prepare`: names, split by split, and one face at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eagrctl.arrays import Landmarks, Matrix, Pixels
from eagrctl.data.labels import LabelSet

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """A face as its dataset gives it.

    The *source frame* is the frame of `labels`: scores belong there. A photo may be larger than its label
    map (CelebAMask-HQ photographs at 1024, labels at 512); both then show the same field of view.

    Attributes:
        name: the dataset's own name for the face, unique within its split.
        image: (H, W, 3) uint8, RGB.
        labels: (h, w) uint8, class ids.
        landmarks: (5, 2) float64 in the source frame, or None; see `eagrctl.arrays.Landmarks`.
    """

    name: str
    image: Pixels
    labels: Pixels
    landmarks: Landmarks | None = None


@dataclass(frozen=True)
class AlignedSample:
    """A face as the network sees it, with the way back to its source.

    Attributes:
        name: as in `Sample`.
        image: (S, S, 3) uint8, RGB.
        labels: (S, S) uint8, class ids.
        edges: (S, S) uint8, 1 on edge pixels.
        matrix: (2, 3) float64, takes source pixels (x, y, 1) to aligned pixels.
        source_labels: (h, w) uint8, the labels untouched, in the source frame.
        centred: whether alignment had no landmarks, and took the middle of the frame; not known of a stored sample.
    """

    name: str
    image: Pixels
    labels: Pixels
    edges: Pixels
    matrix: Matrix
    source_labels: Pixels
    centred: bool = False

    @property
    def source_size(self) -> tuple[int, int]:
        """Height and width of the source frame."""
        height, width = self.source_labels.shape
        return height, width


@dataclass(frozen=True)
class Provenance:
    """What an index records about where its samples came from, and every report repeats.

    Attributes:
        dataset: its name, which decides the paper's table that its scores are laid beside.
        variant: which of the distributions in circulation was read.
        split_rule: how the samples were split, in words.
        settings: whatever else changes pixels or scores, in words: paint order, seed, ...
    """

    dataset: str
    variant: str
    split_rule: str
    settings: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A dataset as it is distributed. Instances are pickled to worker processes, so they hold no open files."""

    @property
    def provenance(self) -> Provenance:
        """What the index will record."""

    @property
    def labels(self) -> LabelSet:
        """The classes of its label maps."""

    @property
    def splits(self) -> Mapping[str, Sequence[str]]:
        """The names of each split's samples, in order."""

    @property
    def remarks(self) -> Sequence[str]:
        """What was found in its files that a user should hear of, such as labels without a photo, a line each."""

    def read(self, split: str, name: str) -> Sample:
        """Read one sample; SourceError, which names the file and the remedy, where it cannot be used."""
