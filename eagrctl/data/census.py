"""What the labels of a split hold, counted while they are prepared; and what of it nobody should find out later."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.data.labels import BACKGROUND, IGNORE, LabelSet, in_words
from eagrctl.documents import Count, Text, Versioned

MUCH = 0.05  # the ignored share above which it is told
_SHOWN = 5  # names in a line


@dataclass(frozen=True)
class Census(Versioned):
    """The labels of some faces, counted.

    Attributes:
        pixels: by class id, in the source frame; ids from the highest that occurs on may be left out.
        ignored: pixels without a label, in the source frame.
        empty: names of the faces of which the network sees nothing but background or ignored pixels.
    """

    pixels: tuple[Count, ...] = ()
    ignored: Count = 0
    empty: tuple[Text, ...] = ()

    @classmethod
    def of(cls, name: str, source_labels: Pixels, labels: Pixels | None = None) -> Self:
        """Of one face: its labels in the source frame, (h, w) uint8, and those that the network sees."""
        counts = np.bincount(source_labels.ravel(), minlength=256)
        seen = source_labels if labels is None else labels
        empty = not ((seen != BACKGROUND) & (seen != IGNORE)).any()
        pixels = np.trim_zeros(counts[:IGNORE], "b").tolist()
        return cls(tuple(pixels), int(counts[IGNORE]), (name,) if empty else ())

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """All parts together, whatever their order."""
        pixels: Counter[int] = Counter()
        for part in parts:
            pixels.update(dict(enumerate(part.pixels)))
        return cls(
            tuple(pixels[label] for label in range(len(pixels))),
            sum(part.ignored for part in parts),
            tuple(sorted(name for part in parts for name in part.empty)),
        )

    def absent(self, labels: LabelSet) -> tuple[str, ...]:
        """The classes that have no pixel."""
        return tuple(name for label, name in enumerate(labels.names) if not any(self.pixels[label : label + 1]))

    @property
    def ignored_share(self) -> float:
        """The share of all pixels that are ignored, 0..1."""
        return self.ignored / max(1, self.ignored + sum(self.pixels))


def emptiness(splits: Mapping[str, Census], labels: LabelSet, whole: bool = True) -> list[str]:
    """What the splits of a dataset lack, a line each.

    Args:
        splits: what was counted, by split.
        labels: the classes that the dataset promises.
        whole: False for a part of a dataset, of which classes that are absent are nothing to tell.
    """
    if not splits:
        return []
    lines = []
    together = Census.join([*splits.values()])
    if together.ignored and not any(together.pixels[BACKGROUND + 1 :]):
        lines.append(
            f"no pixel has a class, but {_percent(together)} of them are 255, which means ignored: if these are masks "
            f"of 0 and 255, save 255 as 1 ({labels.names[1]}) and prepare again with --force"
        )
    everywhere = together.absent(labels)
    if whole and everywhere:
        lines.append(f"no face has a pixel of {_listed(everywhere)}: a network cannot learn what it never sees")
    for split, census in splits.items():
        absent = [name for name in census.absent(labels) if name not in everywhere]
        if whole and absent:
            lines.append(f"no face of split {split} has a pixel of {_listed(absent)}")
        if census.empty:
            more = f" and {len(census.empty) - _SHOWN:,} more" if len(census.empty) > _SHOWN else ""
            names = ", ".join(census.empty[:_SHOWN])
            lines.append(f"faces of split {split} that are all background: {len(census.empty):,} ({names}{more})")
        if census.ignored_share > MUCH:
            lines.append(f"{_percent(census)} of the pixels of split {split} are ignored (255)")
    return lines


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(in_words, names))


def _percent(census: Census) -> str:
    return f"{100 * census.ignored_share:.3g} %"
