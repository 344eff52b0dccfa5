"""What there is to prepare, cut into shards, and the plan: everything that decides their bytes.

A dataset is cut by its list of names alone, so every shard is a separate piece of work. Parts join only under one plan.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from eagrctl import __version__
from eagrctl.data.aligner import Aligner
from eagrctl.data.shards import SAMPLES_PER_SHARD
from eagrctl.data.source import Source
from eagrctl.errors import DataError


@dataclass(frozen=True)
class Piece:
    """The names of one shard, finished or not."""

    split: str
    number: int
    start: int
    total: int  # of the split
    names: tuple[str, ...]

    @property
    def file(self) -> str:
        """The shard's name."""
        return f"{self.split}-{self.number:05d}.h5"


def cut(source: Source, part: tuple[int, int] | None = None) -> list[Piece]:
    """The pieces of a source, or of its part (k, n), k from 1 to n; DataError where it has fewer shards than parts."""
    pieces = [
        Piece(split, number, start, len(names), tuple(names[start : start + SAMPLES_PER_SHARD]))
        for split, names in source.splits.items()
        for number, start in enumerate(range(0, len(names), SAMPLES_PER_SHARD))
    ]
    if part is None:
        return pieces
    if part[1] > len(pieces):
        raise DataError(f"{len(pieces)} shards cannot be shared among {part[1]}: use --slice 1/{len(pieces)} and so on")
    return pieces[part[0] - 1 :: part[1]]


def plan_of(source: Source, aligner: Aligner, keep_going: bool) -> dict[str, Any]:
    """Everything that decides the bytes of a dataset, except its photos; plain JSON values."""
    provenance = source.provenance
    names = json.dumps({split: list(names) for split, names in source.splits.items()})
    return {
        "eagrctl": __version__,
        "dataset": provenance.dataset,
        "variant": provenance.variant,
        "split rule": provenance.split_rule,
        **provenance.settings,
        "size": aligner.size,
        "alignment": aligner.description,
        "landmarks": "none" if aligner.landmarks is None else aligner.landmarks.identity,
        "unusable samples": "listed" if keep_going else "refused",
        "classes": asdict(source.labels),
        "names": hashlib.sha256(names.encode()).hexdigest(),
    }


def plan_digest(plan: dict[str, Any]) -> str:
    """What parts of one dataset have in common."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
