"""The classes of each dataset: names, colours, mirrored pairs and merged regions.

A label map holds one class id per pixel, uint8. Id 0 is the background in every dataset; 255 (`IGNORE`)
marks pixels without a label, which losses and scores leave out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

BACKGROUND = 0
IGNORE = 255


@dataclass(frozen=True)
class LabelSet:
    """The classes of one dataset, in id order.

    Attributes:
        names: one name per class id, the background first.
        colours: one RGB triple (0..255) per class id, for pictures.
        mirrored: pairs of ids that change places when a face is mirrored left to right.
        regions: named regions that merge several classes for scoring, as the field scores Helen.
    """

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    mirrored: tuple[tuple[int, int], ...] = ()
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def id(self, name: str) -> int:
        """The id of the class called `name`; ValueError where there is none."""
        return self.names.index(name)


# Ids of Helen, and of LaPa, which uses this very set: names, order and sides. "Left" is the viewer's left in both.
HELEN = LabelSet(
    names=(
        "background",
        "skin",
        "left brow",
        "right brow",
        "left eye",
        "right eye",
        "nose",
        "upper lip",
        "inner mouth",
        "lower lip",
        "hair",
    ),
    colours=(
        (0, 0, 0),
        (255, 205, 170),
        (150, 85, 20),
        (220, 150, 40),
        (0, 170, 255),
        (30, 80, 220),
        (60, 190, 90),
        (230, 40, 70),
        (110, 10, 50),
        (255, 120, 150),
        (120, 60, 160),
    ),
    mirrored=((2, 3), (4, 5)),
    regions={
        "eyes": (4, 5),
        "brows": (2, 3),
        "mouth": (7, 8, 9),
        # Not a mean: all facial components as one region, so that one taken for another counts as right.
        "overall": (2, 3, 4, 5, 6, 7, 8, 9),
    },
)

# Official ids of CelebAMask-HQ, under the official short names. "l_" is the subject's left: the image's right.
CELEBAMASK_HQ = LabelSet(
    names=(
        "background",
        "skin",
        "nose",
        "eye_g",
        "l_eye",
        "r_eye",
        "l_brow",
        "r_brow",
        "l_ear",
        "r_ear",
        "mouth",
        "u_lip",
        "l_lip",
        "hair",
        "hat",
        "ear_r",
        "neck_l",
        "neck",
        "cloth",
    ),
    colours=(
        (0, 0, 0),
        (255, 205, 170),
        (60, 190, 90),
        (240, 240, 60),
        (30, 80, 220),
        (0, 170, 255),
        (220, 150, 40),
        (150, 85, 20),
        (255, 150, 90),
        (200, 100, 60),
        (110, 10, 50),
        (230, 40, 70),
        (255, 120, 150),
        (120, 60, 160),
        (0, 120, 110),
        (250, 210, 0),
        (190, 190, 255),
        (215, 165, 130),
        (110, 120, 130),
    ),
    mirrored=((4, 5), (6, 7), (8, 9)),
)
