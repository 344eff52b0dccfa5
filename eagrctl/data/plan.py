"""What there is to prepare, cut into shards, and how far an unfinished preparation has come.

A dataset is cut by its list of names alone, so every shard is a separate piece of work. Beside the shards of an
unfinished preparation stand its *plan*, which holds everything that decides their bytes, and a *note* on each finished
piece, until the index takes over. A folder of another plan is refused, and parts join only under one plan.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eagrctl import __version__
from eagrctl.data.aligner import Aligner
from eagrctl.data.index import Split
from eagrctl.data.shards import SAMPLES_PER_SHARD
from eagrctl.data.source import Source
from eagrctl.documents import read_json_or_none
from eagrctl.errors import DataError, ShardError
from eagrctl.files import replacing, sha256_of

PLAN = "plan.json"
OURS = {".h5", ".json", ".part"}  # suffixes of what an unfinished preparation leaves in its folder


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


def begin(folder: Path, plan: dict[str, Any], force: bool) -> int:
    """Make the folder of an unfinished preparation, or continue in it, and say how many shards are done in it.

    Raises:
        ShardError: it was begun under another plan, or is somebody's folder of that name.
    """
    path = folder / PLAN
    if folder.exists() and not (folder.is_dir() and all(entry.suffix in OURS for entry in folder.iterdir())):
        raise ShardError(f"{folder} holds something else than a preparation: move it, or name another --output")
    if force or not path.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(plan, indent=2), encoding="utf-8")
        except BaseException:
            folder.rmdir()
            raise
        return 0
    begun = read_json_or_none(path, dict[str, Any]) or {}
    changed = [
        f"{key} was {begun.get(key)} and is {value}"
        for key, value in plan.items()
        if json.dumps(begun.get(key)) != json.dumps(value)  # a tuple reads as a list
    ]
    if changed:
        raise ShardError(
            f"{folder} holds an unfinished preparation with other options ({'; '.join(changed)}): "
            "--force starts over, --output goes elsewhere"
        )
    return len(notes(folder))


def notes(folder: Path) -> list[Path]:
    """The notes in a folder: one for each piece that is done."""
    return list(folder.glob("*-[0-9]*.json"))


def note(folder: Path, piece: Piece, written: Split) -> None:
    """Note that a piece is done, and what became of it."""
    with replacing((folder / piece.file).with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(asdict(written)), encoding="utf-8")


def done(folder: Path, piece: Piece) -> Split | None:
    """What an earlier run wrote of a piece; None where its shard or note is missing, or not what the note says."""
    path = folder / piece.file
    written = read_json_or_none(path.with_suffix(".json"), Split)
    try:
        same = written is not None and all(sha256_of(path) == shard.sha256 for shard in written.shards)
    except OSError:
        return None
    return written if same else None
