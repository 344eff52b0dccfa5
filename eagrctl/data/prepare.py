"""Source -> aligned samples -> shards -> index, over worker processes.

Preparation resumes: a run that was killed continues at the first shard that is missing. It divides: one machine may
prepare every n-th shard, and `eagrctl.data.merge` joins the parts. The result is the same to the last byte each way.
"""

import errno
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from eagrctl.data.aligner import Aligner
from eagrctl.data.census import Census
from eagrctl.data.index import INDEX, Shard, ShardIndex, Skipped, Split
from eagrctl.data.plan import PLAN, Piece, begin, cut, done, note, notes, plan_digest, plan_of
from eagrctl.data.shards import ShardWriter
from eagrctl.data.source import AlignedSample, Source
from eagrctl.errors import NoFaceError, ShardError, SourceError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.workers import Workers

_Aligned = AlignedSample | SourceError | NoFaceError


def prepare(
    source: Source,
    output: Path,
    aligner: Aligner,
    workers: int = 1,
    keep_going: bool = False,
    force: bool = False,
    part: tuple[int, int] | None = None,
    listener: Listener = ignore,
) -> ShardIndex:
    """Turn a source into a prepared dataset.

    Everything is written into `OUTPUT.partial`, which replaces `output` once it is complete. A run that is cut short
    leaves its finished shards there, and the same call continues from them.

    Args:
        source: what to read.
        output: the folder to make.
        aligner: how samples are aligned, and to which size.
        workers: processes that read and align.
        keep_going: list samples that cannot be used in the index, instead of stopping at the first.
        force: start over, and replace a prepared dataset that stands at `output`.
        part: (k, n) prepares the k-th of n parts only, counted from 1.
        listener: hears of progress.

    Raises:
        SourceError: a sample, or a whole split, cannot be used.
        ShardError: something else stands at `output`, an unfinished run had other options, or the disk is full.
        EagrctlError: a worker process died.
    """
    check_output(output, force)
    pieces = cut(source, part)
    had_parent = output.parent.exists()
    unfinished = output.with_name(output.name + ".partial")
    pending = pieces if force else [piece for piece in pieces if not (unfinished / piece.file).is_file()]
    _check_space(output, sum(len(piece.names) for piece in pending), aligner.size)
    plan = plan_of(source, aligner, keep_going)
    try:
        finished = begin(unfinished, plan | {"part": list(part) if part else None}, force)
    except OSError as error:
        _drop_empty_parent(output, had_parent)
        raise ShardError(disk_message(error, output)) from error
    if finished:
        listener(Notice(f"Continuing in {unfinished}: {finished} of {len(pieces)} shards are done"))
    try:
        with Workers(workers, partial(_align, source, aligner)) as pool:
            written = [_write(piece, unfinished, aligner.size, pool, keep_going, listener) for piece in pieces]
        splits = {
            name: Split.join([part for piece, part in zip(pieces, written, strict=True) if piece.split == name])
            for name in dict.fromkeys(piece.split for piece in pieces)
        }
        _check_usable(splits, aligner)
        ShardIndex(
            root=unfinished,
            provenance=source.provenance,
            labels=source.labels,
            size=aligner.size,
            alignment=aligner.description,
            splits=splits,
            part=part,
            plan=plan_digest(plan),
        ).save()
        for path in (*notes(unfinished), unfinished / PLAN):
            path.unlink()
        move_into_place(unfinished, output)
    except OSError as error:
        raise ShardError(disk_message(error, output)) from error
    finally:
        # Finished shards are worth keeping; everything else goes.
        if kept := len(notes(unfinished)):
            listener(Notice(f"{kept} finished shards are kept in {unfinished}: the same command continues from them"))
        else:
            shutil.rmtree(unfinished, ignore_errors=True)
            _drop_empty_parent(output, had_parent)
    index = ShardIndex.load(output, partial=True)
    for text in index.warnings:
        listener(Notice(text, warning=True))
    return index


def _align(source: Source, aligner: Aligner, task: tuple[str, str]) -> _Aligned:
    """The aligned sample of a (split, name), or the reason why there is none."""
    try:
        return aligner.align(source.read(*task))
    except (SourceError, NoFaceError) as error:
        return error


def _write(
    piece: Piece,
    folder: Path,
    size: int,
    pool: Workers[tuple[str, str], _Aligned],
    keep_going: bool,
    listener: Listener,
) -> Split:
    """Write the shard of a piece, unless an earlier run did; without a usable sample there is none."""
    task, path = f"preparing {piece.split}", folder / piece.file
    if (earlier := done(folder, piece)) is not None:
        listener(Progress(task, piece.start + len(piece.names), piece.total))
        return earlier
    skipped: list[Skipped] = []
    centred: list[str] = []
    counted: list[Census] = []
    listener(Progress(task, piece.start, piece.total))
    tasks = ((piece.split, name) for name in piece.names)
    with ShardWriter(path, size) as writer:
        for count, ((_, name), result) in enumerate(pool.map(tasks), start=piece.start + 1):
            if isinstance(result, AlignedSample):
                writer.append(result)
                counted.append(Census.of(name, result.source_labels, result.labels))
                if result.centred:
                    centred.append(name)
            elif keep_going or isinstance(result, NoFaceError):
                skipped.append(Skipped(name, str(result)))
                listener(Notice(f"skipped {piece.split} {name}: {result}", warning=True))
            else:
                raise SourceError(f"{result}; or add --partial to skip such samples and list them")
            listener(Progress(task, count, piece.total, f"{len(skipped)} skipped" if skipped else ""))
    shards = (Shard.of(path, writer.count),) if writer.count else ()
    written = Split(shards, tuple(skipped), tuple(centred), Census.join(counted))
    note(folder, piece, written)
    return written


def _check_usable(splits: dict[str, Split], aligner: Aligner) -> None:
    for name, split in splits.items():
        if not split.shards:
            raise SourceError(
                f"not one of the {len(split.skipped)} samples of split {name} can be used; the first: "
                f"{split.skipped[0].reason}"
            )
    # A small split may well have no face that is found; a whole dataset without any has the wrong landmarks.
    if aligner.landmarks is not None and all(len(split.centred) == split.count for split in splits.values()):
        raise SourceError(
            f"not one face of split {next(iter(splits))}, nor of any other, has landmarks "
            f"{aligner.landmarks.description}: choose others with --landmarks, or --no-align"
        )


def _drop_empty_parent(output: Path, had_parent: bool) -> None:
    """Take away the folder of `output` if it was made for it, but only while it is empty: others may have used it."""
    if not had_parent:
        with suppress(OSError):
            output.parent.rmdir()


def check_output(output: Path, force: bool) -> None:
    """Refuse a folder that holds something else, or, without `force`, a prepared dataset; ShardError."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / INDEX).is_file():
        raise ShardError(f"{output} exists and is not a prepared dataset: name another folder with --output")
    if not force:
        raise ShardError(f"{output} is prepared already: --force prepares it again, --output names another folder")


def _check_space(output: Path, count: int, size: int) -> None:
    """Refuse at once what cannot fit: photos are stored plain, so their size is known beforehand."""
    needed = count * size * size * 3
    place = next(folder for folder in (output.absolute(), *output.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise ShardError(
            f"{count:,} samples of {size} x {size} need about {needed / 1e9:.1f} GB at {output}, "
            f"and {free / 1e9:.1f} GB are free: make room, or name another disk with --output"
        )


def move_into_place(finished: Path, output: Path) -> None:
    """Make a finished folder the output, in place of what stood there."""
    if not output.exists():
        finished.replace(output)
        return
    # Under a name that nobody has: NAME.old may be somebody's backup.
    old = Path(mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    output.replace(old / output.name)
    finished.replace(output)
    shutil.rmtree(old)


def disk_message(error: OSError, output: Path) -> str:
    """What to tell a user when `output` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full at {output}: make room, or name another disk with --output"
    return f"cannot write {output}: {error.strerror or error}"
