"""Whether label maps look as if their ids were those of another scheme: parts of a face have sizes of their own.

The sizes are medians, and half the ranges of two thirds, of the logarithm of a part's pixels over those of the inner
face (skin, nose, eyes, brows, mouth, lips), in 600 training faces of CelebAMask-HQ. Only classes that nearly every
face has count.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.data.labels import LabelSet
from eagrctl.data.source import Source
from eagrctl.errors import SourceError
from eagrctl.readers.schemes import COUNTERPARTS, OFFICIAL, SCHEMES, Scheme, find_scheme

LOOKED_AT = 16  # label maps, spread over the dataset
UNLIKE = 2.5  # from which mean deviation on, in spreads, sizes are not those of a face
CLEARLY = 0.5  # another scheme's deviation is at most so much of the official one's
WORST = 6.0  # a single class counts no more

SIZES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "skin": (-0.17, 0.05),
        "nose": (-2.70, 0.17),
        "l_eye": (-4.91, 0.39),
        "r_eye": (-4.90, 0.40),
        "l_brow": (-4.30, 0.38),
        "r_brow": (-4.30, 0.38),
        "u_lip": (-4.29, 0.40),
        "l_lip": (-3.77, 0.29),
        "hair": (0.12, 0.63),
    }
)
INNER = (*(name for name in SIZES if name != "hair"), "mouth")


def deviation(labels: Pixels, scheme: Scheme, classes: LabelSet) -> float:
    """How far sizes in a label map, (H, W) uint8 ids of `scheme`, are from those of faces: in spreads, on average."""
    counts = np.bincount(scheme.translate(labels).ravel(), minlength=256)
    sizes = {name: float(counts[_id(name, classes)]) for name in {*SIZES, *INNER}}
    inner = sum(sizes[name] for name in INNER)
    if not inner:
        return WORST
    return float(
        np.mean(
            [
                min(WORST, abs(np.log(sizes[name] / inner) - median) / spread) if sizes[name] else WORST
                for name, (median, spread) in SIZES.items()
            ]
        )
    )


def question(source: Source, given: str | None) -> str | None:
    """A line that asks whether a source's label maps have another scheme's ids; None where they look as they should.

    Args:
        source: of which some samples are read.
        given: the scheme that it is read by already, which is not doubted.
    """
    if given is not None or source.labels.names not in COUNTERPARTS:
        return None
    names = [(split, name) for split, inside in source.splits.items() for name in inside]
    maps = []
    for split, name in names[:: max(1, len(names) // LOOKED_AT)][:LOOKED_AT]:
        try:
            maps.append(source.read(split, name).labels)
        except SourceError:  # told when it is its turn
            continue
    if not maps:
        return None
    schemes = {name: find_scheme(name, source.labels) for name in (OFFICIAL, *SCHEMES)}
    found = {
        name: float(np.median([deviation(labels, scheme, source.labels) for labels in maps]))
        for name, scheme in schemes.items()
    }
    best = min(found, key=lambda name: found[name])
    if found[OFFICIAL] < UNLIKE or found[best] > CLEARLY * found[OFFICIAL]:
        return None
    return (
        f"are these the ids of {best}? As such, the parts of {len(maps)} faces have the sizes that parts of faces "
        f"have, and as the dataset's own they have not: if they are, add --scheme {best}"
    )


def _id(name: str, classes: LabelSet) -> int:
    """The id of a class of CelebAMask-HQ, or of its counterpart."""
    if name in classes.names:
        return classes.id(name)
    return classes.id(COUNTERPARTS[classes.names][name])
