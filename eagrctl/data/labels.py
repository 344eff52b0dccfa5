"""The classes of each dataset: names, colours, mirrored pairs and merged regions; and the edges between classes.

A label map holds one class id per pixel, uint8. Id 0 is the background in every dataset; 255 (`IGNORE`)
marks pixels without a label, which losses and scores leave out.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

BACKGROUND = 0
IGNORE = 255

# The golden ratio's fractional part: however many hues are drawn, no two are close together.
_GOLDEN = 0.618033988749895
# Saturation and brightness alternate, because hues alone are hard to tell apart beyond ten or so.
_SHADES = ((0.75, 0.95), (0.55, 0.75), (0.95, 0.6))


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


# Names and colours in id order, of Helen and of LaPa, which has the same. "Left" is the viewer's left in both.
_HELEN = {
    "background": (0, 0, 0),
    "skin": (255, 205, 170),
    "left brow": (150, 85, 20),
    "right brow": (220, 150, 40),
    "left eye": (0, 170, 255),
    "right eye": (30, 80, 220),
    "nose": (60, 190, 90),
    "upper lip": (230, 40, 70),
    "inner mouth": (110, 10, 50),
    "lower lip": (255, 120, 150),
    "hair": (120, 60, 160),
}
HELEN = LabelSet(
    tuple(_HELEN),
    tuple(_HELEN.values()),
    mirrored=((2, 3), (4, 5)),
    regions={
        "eyes": (4, 5),
        "brows": (2, 3),
        "mouth": (7, 8, 9),
        # Not a mean: all facial components as one region, so that one taken for another counts as right.
        "overall": (2, 3, 4, 5, 6, 7, 8, 9),
    },
)

# The official short names of CelebAMask-HQ. "l_" is the subject's left: the image's right.
_CELEBAMASK_HQ = {
    "background": (0, 0, 0),
    "skin": (255, 205, 170),
    "nose": (60, 190, 90),
    "eye_g": (240, 240, 60),
    "l_eye": (30, 80, 220),
    "r_eye": (0, 170, 255),
    "l_brow": (220, 150, 40),
    "r_brow": (150, 85, 20),
    "l_ear": (255, 150, 90),
    "r_ear": (200, 100, 60),
    "mouth": (110, 10, 50),
    "u_lip": (230, 40, 70),
    "l_lip": (255, 120, 150),
    "hair": (120, 60, 160),
    "hat": (0, 120, 110),
    "ear_r": (250, 210, 0),
    "neck_l": (190, 190, 255),
    "neck": (215, 165, 130),
    "cloth": (110, 120, 130),
}
CELEBAMASK_HQ = LabelSet(tuple(_CELEBAMASK_HQ), tuple(_CELEBAMASK_HQ.values()), mirrored=((4, 5), (6, 7), (8, 9)))

# The datasets whose classes are known before they are prepared.
DATASETS: Mapping[str, LabelSet] = MappingProxyType(
    {"helen": HELEN, "lapa": HELEN, "celebamask-hq": CELEBAMASK_HQ, "synthetic": HELEN}
)

# What the short names of CelebAMask-HQ mean; left and right are the subject's.
_WORDS = {
    "eye_g": "glasses",
    "l_eye": "left eye",
    "r_eye": "right eye",
    "l_brow": "left brow",
    "r_brow": "right brow",
    "l_ear": "left ear",
    "r_ear": "right ear",
    "u_lip": "upper lip",
    "l_lip": "lower lip",
    "ear_r": "earring",
    "neck_l": "necklace",
    "cloth": "clothes",
}


def distinct_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """As many RGB triples (0..255), all different and always the same; black first, for the background."""
    colours = [(0, 0, 0)]
    for number in range(1, count):
        red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, *_SHADES[number % len(_SHADES)])
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colours)


def in_words(name: str) -> str:
    """A class's name as people say it: `neck_l` is a necklace; names that are words stay as they are."""
    return _WORDS.get(name, name)


def in_full(name: str) -> str:
    """A class's name, and what it means where it is not a word: `neck_l (necklace)`."""
    return f"{name} ({_WORDS[name]})" if name in _WORDS else name


def label_set_of(dataset: str, classes: Sequence[str]) -> LabelSet:
    """The classes of a network with their colours: the dataset's own where it is known, else distinct ones."""
    known = DATASETS.get(dataset)
    if known is not None and known.names == tuple(classes):
        return known
    return LabelSet(tuple(classes), distinct_colours(len(classes)))


def edge_mask(labels: Any) -> Any:
    """Labels -> edge mask (paper, section 4.1): where a label differs from that of *any* of its four neighbours.

    "If the label of a pixel is different with its 4 neighborhoods, it is regarded as a edge pixel." Both sides of a
    border are edge pixels, so an edge is two pixels thick. The border of the map is not an edge.

    Args:
        labels: (..., H, W) integers, a NumPy array or a torch tensor. A pixel labelled 255 has no label: neither it
            nor its neighbour is an edge pixel because of it.

    Returns:
        (..., H, W) bool, of the same library and on the same device.
    """
    # Written with operators alone, so that one definition serves shards (NumPy) and augmentation (torch, on a GPU).
    labelled = labels != IGNORE
    edges = labelled & ~labelled  # all False
    for here, there in (
        ((..., slice(1, None), slice(None)), (..., slice(None, -1), slice(None))),
        ((..., slice(None), slice(1, None)), (..., slice(None), slice(None, -1))),
    ):
        differ = (labels[here] != labels[there]) & labelled[here] & labelled[there]
        edges[here] |= differ
        edges[there] |= differ
    return edges
