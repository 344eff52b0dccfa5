"""The folder of a prepared dataset while it is filled, and how the new set takes the place of an old one.

Everything is written into `OUTPUT/.unfinished`, so `OUTPUT` itself, which may be a disk or a link to one, stays where
it is. There stand the *plan*, which holds everything that decides the bytes, the finished shards, and a *note* on each.
Once all is whole, the new index is written there, and from then on the new set counts: its shards move up and the index
last. Killed at any moment, the next command that fills the folder first ends that move. Until then, an old set is as
it was.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eagrctl.data.index import INDEX, ShardIndex, Split, listed
from eagrctl.data.plan import Piece
from eagrctl.documents import read_json_or_none
from eagrctl.errors import ShardError
from eagrctl.events import Listener, Notice
from eagrctl.files import printable, remove_stale, replacing, sha256_of
from eagrctl.locks import locked

WORK = ".unfinished"
PLAN, WHOLE, REPLACED = "plan.json", "whole.json", "replaced.json"
FORCED = "replaces what is there"  # key of a plan
OURS = {".h5", ".json", ".part"}  # suffixes of what stands in WORK


@contextmanager
def filling(
    output: Path, plan: dict[str, Any], files: Sequence[str], force: bool, listener: Listener
) -> Iterator[Path | None]:
    """Give the folder to write a dataset into; None where it is whole but for its last move, which is then made.

    When the block fails, finished shards stay if there is a note on one; everything else that was made goes.

    Args:
        output: where the dataset will stand; locked meanwhile.
        plan: what decides its bytes, plain JSON values; a folder of another plan is not continued.
        files: names of all its shards.
        force: replace a prepared dataset, and start over.
        listener: hears what is continued and what is kept.

    Raises:
        ShardError: something else stands there, another eagrctl fills it, it holds an unfinished preparation of another
            plan, or it cannot be written.
    """
    made: list[Path] = []
    try:
        check_output(output, force)
        made = [folder for folder in (output, *output.parents) if not folder.exists()]
        output.mkdir(parents=True, exist_ok=True)
        with locked(output, ShardError, listener):
            work = output / WORK
            same = not _changes(work, plan)
            if (work / WHOLE).is_file():
                _move_up(output)
                if same:
                    yield None
                    return
            check_output(output, force)
            _check_names(output, files)
            _name_old(output, listener)
            try:
                if begun := _begin(work, plan, force):
                    listener(
                        Notice(
                            f"Continuing in {printable(work)}: {begun} of {len(files)} shards are done "
                            "(to start over, delete that folder)"
                        )
                    )
                yield work
            finally:
                if kept := len(notes(work)):
                    remove_stale(work)
                    listener(
                        Notice(
                            f"{kept} finished shards are kept in {printable(work)}: "
                            "the same command continues from them"
                        )
                    )
                elif not (work / WHOLE).is_file() and _is_ours(work):
                    shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ShardError(disk_message(error, output)) from error
    finally:
        for folder in made:  # those that are empty: others may have used them
            with suppress(OSError):
                folder.rmdir()


def finish(index: ShardIndex, listener: Listener) -> ShardIndex:
    """Put a dataset in its place, whose shards are all in the folder that `filling` gave, and tell what it lacks.

    OSError as disks have it.
    """
    index.save(f"{WORK}/{WHOLE}")
    _move_up(index.root)
    for text in index.warnings:
        listener(Notice(text, warning=True))
    return ShardIndex.load(index.root, partial=True)


def check_output(output: Path, force: bool) -> None:
    """Refuse a folder that holds something else, or, without `force`, a prepared dataset; ShardError.

    Hidden files, and what a file system keeps for itself, are nobody's work.
    """
    name = printable(output)
    if output.is_symlink() and not output.exists():
        raise ShardError(f"{name} is a link to {printable(output.readlink())}, which is not there: make that folder")
    if output.exists() and not output.is_dir():
        raise ShardError(f"{name} is a file: name another folder with --output")
    if not output.exists() or any((output / WORK / file).is_file() for file in (PLAN, WHOLE)):
        return
    if (output / INDEX).is_file():
        if not force:
            raise ShardError(f"{name} is prepared already: --force prepares it again, --output names another folder")
    elif any(not entry.name.startswith(".") and entry.name != "lost+found" for entry in output.iterdir()):
        raise ShardError(f"{name} exists and is not a prepared dataset: name another folder with --output")


def disk_message(error: OSError, output: Path) -> str:
    """What to tell a user when `output` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full at {printable(output)}: make room, or name another disk with --output"
    return f"cannot write {printable(output)}: {printable(error.strerror or str(error))}"


def notes(work: Path) -> list[Path]:
    """The notes in a folder: one for each piece that is done."""
    return list(work.glob("*-[0-9]*.json"))


def note(work: Path, piece: Piece, written: Split) -> None:
    """Note that a piece is done, and what became of it."""
    with replacing((work / piece.file).with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(asdict(written)), encoding="utf-8")


def done(work: Path, piece: Piece) -> Split | None:
    """What an earlier run wrote of a piece; None where its shard or note is missing, or not what the note says.

    A run that was killed at its very end has moved its shards up.
    """
    written = read_json_or_none((work / piece.file).with_suffix(".json"), Split)
    path = next((folder / piece.file for folder in (work, work.parent) if (folder / piece.file).is_file()), work)
    try:
        same = written is not None and all(
            path.name == shard.file and sha256_of(path) == shard.sha256 for shard in written.shards
        )
    except OSError:
        return None
    return written if same else None


def _begin(work: Path, plan: dict[str, Any], force: bool) -> int:
    """Make the folder of an unfinished preparation, or continue in it, and say how many shards are done in it."""
    if os.path.lexists(work) and not _is_ours(work):
        raise ShardError(
            f"{printable(work)} holds something else than a preparation: move it, or name another --output"
        )
    path = work / PLAN
    changes = _changes(work, plan)
    begun = read_json_or_none(path, dict[str, Any]) or {}
    if path.is_file() and changes and not force:
        raise ShardError(
            f"{printable(work)} holds an unfinished preparation with other options ({printable('; '.join(changes))}): "
            "--force starts over, --output goes elsewhere"
        )
    # What --force began is continued by --force: a second one is the same command again.
    if path.is_file() and not changes and (not force or begun.get(FORCED) is True):
        remove_stale(work)
        return len(notes(work))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(plan | {FORCED: force}, indent=2), encoding="utf-8")
    return 0


def _is_ours(work: Path) -> bool:
    return work.is_dir() and not work.is_symlink() and all(entry.suffix in OURS for entry in work.iterdir())


def _changes(work: Path, plan: dict[str, Any]) -> list[str]:
    """What differs between a plan and the one that an unfinished preparation was begun under, in words."""
    begun = read_json_or_none(work / PLAN, dict[str, Any]) or {}
    return [
        f"{key} was {begun.get(key)} and is {value}"
        for key, value in plan.items()
        if json.dumps(begun.get(key)) != json.dumps(value)  # a tuple reads as a list
    ]


def _check_names(output: Path, files: Sequence[str]) -> None:
    """Refuse to replace a file that has a shard's name and is none of the dataset's."""
    own = listed(output)
    for file in files:
        if os.path.lexists(output / file) and file not in own:
            raise ShardError(
                f"{printable(output / file)} is not of the dataset there: move it, or name another --output"
            )


def _move_up(output: Path) -> None:
    """Put the new set, which is whole, in the place of the old one. Whatever was done of this already is left out."""
    work = output / WORK
    if (output / INDEX).exists():
        (output / INDEX).replace(work / REPLACED)
    new = listed(work, WHOLE)
    for file in sorted(new):
        if (work / file).is_file():
            (work / file).replace(output / file)
    for file in sorted(listed(work, REPLACED) - new):
        (output / file).unlink(missing_ok=True)
    (work / WHOLE).replace(output / INDEX)
    shutil.rmtree(work, ignore_errors=True)


def _name_old(output: Path, listener: Listener) -> None:
    """Name what a preparation by eagrctl 0.1.0 left when it was cut short."""
    place = output.absolute()
    old = place.with_name(f"{place.name}.partial") if place.name else place
    if (old / PLAN).is_file():
        listener(Notice(f"{printable(old)} is an unfinished preparation of eagrctl 0.1.0, which is not continued"))
