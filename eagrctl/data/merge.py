"""Parts of a dataset, prepared on several machines -> one dataset."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from eagrctl.data.index import ShardIndex, Split
from eagrctl.data.prepare import check_output, disk_message, move_into_place
from eagrctl.data.source import SPLITS
from eagrctl.errors import ShardError
from eagrctl.events import Listener, Notice, ignore


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
    check_output(output, force)
    indexes = _complete([ShardIndex.load(part, partial=True) for part in parts])
    for index in indexes:
        for split in index.splits:
            index.verify(split, listener)
    # Not NAME.partial, in which a preparation may wait to be continued.
    unfinished = output.with_name(output.name + ".merging")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for index in indexes:
            for shard in chain.from_iterable(split.shards for split in index.splits.values()):
                _bring(index.root / shard.file, unfinished / shard.file)
        splits = {
            name: Split.join(found)
            for name in SPLITS
            if (found := [index.splits[name] for index in indexes if name in index.splits])
        }
        replace(indexes[0], root=unfinished, part=None, splits=splits).save()
        move_into_place(unfinished, output)
    except OSError as error:
        raise ShardError(disk_message(error, output)) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    index = ShardIndex.load(output)
    for text in index.warnings:
        listener(Notice(text, warning=True))
    return index


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
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one that knows no links.
        shutil.copyfile(source, target)
