"""What every dataset reader gives to `prepare`: names, split by split, and one sample at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eagrctl.data.labels import LabelSet
from eagrctl.data.sample import Sample

SPLITS = ("train", "val", "test")


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
        ...

    @property
    def labels(self) -> LabelSet:
        """The classes of its label maps."""
        ...

    @property
    def splits(self) -> Mapping[str, Sequence[str]]:
        """The names of each split's samples, in order."""
        ...

    def read(self, split: str, name: str) -> Sample:
        """Read one sample.

        Raises:
            SourceError: the sample cannot be used; the message names the file and the remedy.
        """
        ...
