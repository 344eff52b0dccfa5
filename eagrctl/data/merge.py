"""Parts of a dataset, prepared on several machines -> one dataset."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eagrctl.data.index import ShardIndex, Split
from eagrctl.data.source import SPLITS
from eagrctl.data.unfinished import filling, finish
from eagrctl.errors import ShardError
from eagrctl.events import Listener, ignore
from eagrctl.files import replacing


def merge_parts(parts: Sequence[Path], output: Path, force: bool = False, listener: Listener = ignore) -> ShardIndex:
    """Join parts into the dataset that one machine would have prepared, the same to the last byte.

    Shards are linked where the disk allows it and copied where not; the parts stay as they are.

    Args:
        parts: folders that `prepare` made with `part`, in any order.
        output: the folder to make.
        force: replace a prepared dataset that stands there.
        listener: hears of progress.

    Raises:
        ShardError: parts are missing, doubled, damaged or of different preparations, or the disk is full.
    """
    indexes = _complete([ShardIndex.load(part, partial=True) for part in parts])
    for index in indexes:
        for split in index.splits:
            index.verify(split, listener)
    shards = [(index.root, shard) for index in indexes for split in index.splits.values() for shard in split.shards]
    files = [shard.file for _, shard in shards]
    if twice := sorted({file for file in files if files.count(file) > 1}):
        raise ShardError(f"{twice[0]} is in two of the parts: prepare them again, each with its own --slice")
    plan = {"parts of": indexes[0].plan, "parts": len(indexes)}
    with filling(output, plan, files, force, listener) as work:
        if work is None:
            return ShardIndex.load(output)
        for root, shard in shards:
            with replacing(work / shard.file) as temporary:
                _bring(root / shard.file, temporary)
        splits = {
            name: Split.join(found)
            for name in SPLITS
            if (found := [index.splits[name] for index in indexes if name in index.splits])
        }
        return finish(replace(indexes[0], root=output, part=None, splits=splits, _open={}), listener)


def _complete(indexes: list[ShardIndex]) -> list[ShardIndex]:
    """The parts in their order, checked to be all of one preparation."""
    for index in indexes:
        if index.part is None:
            raise ShardError(f"{index.root} is a whole dataset, not a part of one: leave it out")
        if index.plan != indexes[0].plan:
            raise ShardError(
                f"{index.root} and {indexes[0].root} were prepared from other names or with other options: "
                "prepare all parts alike"
            )
    totals = sorted({index.part[1] for index in indexes if index.part})
    if len(totals) > 1:
        raise ShardError(f"these are parts of {' and of '.join(map(str, totals))}: give those of one division")
    total = totals[0]
    found = sorted(index.part[0] for index in indexes if index.part)
    if found != list(range(1, total + 1)):
        missing = [str(number) for number in range(1, total + 1) if number not in found]
        what = f"part {', '.join(missing)} of {total} is missing" if missing else "a part was given twice"
        raise ShardError(f"cannot join {len(indexes)} folders: {what}")
    return sorted(indexes, key=lambda index: index.part or (0, 0))


def _bring(source: Path, target: Path) -> None:
    target.unlink()
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one that knows no links.
        shutil.copyfile(source, target)
