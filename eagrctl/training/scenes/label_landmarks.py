"""The five landmarks that a label map shows: centroids of the eyes and the nose, and the ends of the mouth.

They train and judge detectors, and nothing else: a face that is aligned by its own labels would leak the
answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Landmarks, Pixels
from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.errors import DataError

# CelebAMask-HQ names sides as the subject sees them, Helen and LaPa as the viewer does.
_PARTS = {
    "left eye": ("r_eye", "left eye"),
    "right eye": ("l_eye", "right eye"),
    "nose": ("nose",),
    "mouth": ("u_lip", "mouth", "l_lip", "upper lip", "inner mouth", "lower lip"),
}

# The nose's label reaches up between the eyes, so its centroid lies above the tip: by this share of the distance
# between the eyes, square to the line through them. With it, the mean of 2,394 training faces of CelebAMask-HQ lies on
# the tip of `eagrctl.data.align.TEMPLATE`.
NOSE_DROP = 0.206

# A part with fewer pixels than this share of the squared distance between the eyes is only a remnant: of 2,431 faces
# with two eyes, one in a hundred has such an eye.
LEAST = 0.012

# An eye that is much smaller than the other one is half hidden, and its centroid is not its centre: one face in a
# hundred again.
EYE_RATIO = 0.4


@dataclass(frozen=True)
class LabelLandmarks:
    """Reads landmarks off label maps of one set of classes.

    Attributes:
        parts: ids of the left eye, the right eye, the nose and the mouth; sides are the viewer's.
    """

    parts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, index: ShardIndex) -> Self:
        """For a prepared dataset.

        Raises:
            DataError: its classes lack eyes, nose or mouth; or its faces are aligned, and all alike.
        """
        if index.alignment != Aligner(index.size).description:
            raise DataError(
                f"the faces of {index.root} are aligned, so all landmarks lie where alignment put them: "
                "prepare the dataset with --no-align"
            )
        return cls.among(index.classes)

    @classmethod
    def among(cls, classes: Sequence[str]) -> Self:
        """For label maps of these classes, by id; DataError where eyes, nose or mouth are not among them."""
        parts = {part: [classes.index(name) for name in names if name in classes] for part, names in _PARTS.items()}
        missing = [part for part, ids in parts.items() if not ids]
        if missing:
            raise DataError(
                f"no class of the dataset is {' or '.join(missing)}, of which landmarks are made: "
                "give one that has the classes of celebamask-hq, helen or lapa"
            )
        return cls(tuple(tuple(ids) for ids in parts.values()))

    def read(self, labels: Pixels) -> Landmarks:
        """The landmarks of a label map, (5, 2) float64, x and y; NaN where a part is hidden.

        Without both eyes there are none, because they tell how a head is turned and how large it is.

        Args:
            labels: (H, W) uint8, class ids.
        """
        landmarks = np.full((5, 2), np.nan)
        left, right, nose, mouth = (_places(labels, ids) for ids in self.parts)
        if not (len(left) and len(right)):
            return landmarks
        eyes = np.array([left.mean(axis=0), right.mean(axis=0)])
        across = eyes[1] - eyes[0]
        least = LEAST * float(across @ across)
        small, large = sorted((len(left), len(right)))
        if small < least or small < EYE_RATIO * large:
            return landmarks
        landmarks[:2] = eyes
        if len(nose) >= least:
            landmarks[2] = nose.mean(axis=0) + NOSE_DROP * np.array([-across[1], across[0]])
        if len(mouth) >= least:
            # Ends along the line through the eyes, for heads that are tilted.
            along = mouth @ across
            landmarks[3:] = [mouth[along == end].mean(axis=0) for end in (along.min(), along.max())]
        return landmarks


def _places(labels: Pixels, ids: Sequence[int]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(np.isin(labels, ids))
    return np.stack([columns, rows], axis=1).astype(np.float64)
