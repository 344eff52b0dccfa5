"""Source -> aligned samples -> shards -> index, over worker processes.

Preparation resumes: a run that was killed continues at the first shard that is missing. It divides: one machine may
prepare every n-th shard, and `eagrctl.data.merge` joins the parts. The result is the same to the last byte each way.
"""

import shutil
from functools import partial
from pathlib import Path

from eagrctl.data.aligner import Aligner
from eagrctl.data.census import Census
from eagrctl.data.index import Shard, ShardIndex, Skipped, Split
from eagrctl.data.plan import Piece, cut, plan_digest, plan_of
from eagrctl.data.shards import ShardWriter
from eagrctl.data.source import AlignedSample, Source
from eagrctl.data.unfinished import done, filling, finish, note
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

    A run that is cut short leaves its finished shards in `OUTPUT/.unfinished`, and the same call continues from them;
    see `eagrctl.data.unfinished`.

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
    pieces = cut(source, part)
    plan = plan_of(source, aligner, keep_going)
    begun = plan | {"part": list(part) if part else None}
    with filling(output, begun, [piece.file for piece in pieces], force, listener) as work:
        if work is None:
            return ShardIndex.load(output, partial=True)
        pending = [piece for piece in pieces if not (work / piece.file).is_file()]
        _check_space(output, sum(len(piece.names) for piece in pending), aligner.size)
        with Workers(workers, partial(_align, source, aligner)) as pool:
            written = [_write(piece, work, aligner.size, pool, keep_going, listener) for piece in pieces]
        splits = {
            name: Split.join([part for piece, part in zip(pieces, written, strict=True) if piece.split == name])
            for name in dict.fromkeys(piece.split for piece in pieces)
        }
        _check_usable(splits, aligner)
        return finish(
            ShardIndex(
                root=output,
                provenance=source.provenance,
                labels=source.labels,
                size=aligner.size,
                alignment=aligner.description,
                splits=splits,
                part=part,
                plan=plan_digest(plan),
            ),
            listener,
        )


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
    earlier = done(folder, piece)
    if earlier is not None and not _any_mended(piece, earlier, pool):
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


def _any_mended(piece: Piece, earlier: Split, pool: Workers[tuple[str, str], _Aligned]) -> bool:
    """Whether a sample that an earlier run had to leave out can be used by now."""
    again = pool.map((piece.split, skipped.name) for skipped in earlier.skipped)
    results = [result for _, result in again]  # all of them: the pool takes one thing after another
    return any(isinstance(result, AlignedSample) for result in results)


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


def _check_space(output: Path, count: int, size: int) -> None:
    """Refuse at once what cannot fit: photos are stored plain, so their size is known beforehand."""
    needed = count * size * size * 3
    free = shutil.disk_usage(output).free
    if needed > free:
        raise ShardError(
            f"{count:,} samples of {size} x {size} need about {needed / 1e9:.1f} GB at {output}, "
            f"and {free / 1e9:.1f} GB are free: make room, or name another disk with --output"
        )
