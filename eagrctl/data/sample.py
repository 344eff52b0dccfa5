"""A labelled face, as a source gives it and as a shard keeps it."""

from dataclasses import dataclass

from eagrctl.arrays import Landmarks, Matrix, Pixels


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
