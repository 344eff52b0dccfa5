"""Source -> aligned samples -> edges -> shards -> index."""

import errno
import shutil
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from eagrctl.data.align import compose, resize_matrix, warp_image, warp_labels
from eagrctl.data.edges import edge_mask
from eagrctl.data.sample import AlignedSample, Sample
from eagrctl.data.shards import INDEX, SAMPLES_PER_SHARD, Shard, ShardIndex, ShardWriter, Split
from eagrctl.data.source import Source
from eagrctl.errors import DataError, ShardError, SourceError
from eagrctl.events import Notice, Progress, Report, ignore

UNALIGNED = "none: the whole frame, resized"


def prepare(
    source: Source,
    output: Path,
    size: int = 473,
    workers: int = 1,
    partial_source: bool = False,
    force: bool = False,
    report: Report = ignore,
) -> ShardIndex:
    """Turn a source into a prepared dataset.

    Everything is written into `OUTPUT.partial`, which becomes `output` when all of it is there; whatever goes wrong,
    what stood at `output` before still stands.

    Args:
        source: what to read.
        output: the folder to make.
        size: S, the side of the square that the network sees.
        workers: processes that read and align.
        partial_source: list samples that cannot be used in the index, instead of stopping at the first.
        force: replace a prepared dataset that stands at `output`.
        report: hears of progress.

    Raises:
        SourceError: a sample, or a whole split, cannot be used.
        ShardError: something else stands at `output`, or the disk is full.
    """
    _check_output(output, force)
    counts = {split: len(names) for split, names in source.splits.items() if names}
    _check_space(output, sum(counts.values()), size)
    unfinished = output.with_name(output.name + ".partial")
    had_parent = output.parent.exists()
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a run that was killed
        unfinished.mkdir(parents=True)
        splits = {
            split: _write_split(source, split, unfinished, size, workers, partial_source, report) for split in counts
        }
        ShardIndex(unfinished, source.provenance, source.labels, size, UNALIGNED, splits).save()
        _move_into_place(unfinished, output)
    except OSError as error:
        raise ShardError(_disk_message(error, output)) from error
    except BrokenProcessPool:
        raise DataError("a worker process died, most likely out of memory: try fewer with --workers") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not had_parent and not output.exists():
            shutil.rmtree(output.parent, ignore_errors=True)
    return ShardIndex.load(output)


def align(sample: Sample, size: int) -> AlignedSample:
    """Bring a sample into the square that the network sees, and derive its edges.

    The matrix belongs to the source frame, which is the labels'; a photo of another size shows the same field of view.
    """
    matrix = resize_matrix(sample.labels.shape, size)
    image_height, image_width = sample.image.shape[:2]
    height, width = sample.labels.shape
    across, down = width / image_width, height / image_height
    image_to_source = np.array([[across, 0.0, 0.5 * across - 0.5], [0.0, down, 0.5 * down - 0.5]])
    labels = warp_labels(sample.labels, matrix, size)
    return AlignedSample(
        name=sample.name,
        image=warp_image(sample.image, compose(matrix, image_to_source), size),
        labels=labels,
        edges=edge_mask(labels).astype(np.uint8),
        matrix=matrix,
        source_labels=sample.labels,
    )


def _write_split(
    source: Source, split: str, folder: Path, size: int, workers: int, partial_source: bool, report: Report
) -> Split:
    names = source.splits[split]
    task = f"preparing {split}"
    skipped: list[tuple[str, str]] = []
    shards: list[Shard] = []

    def usable() -> Iterator[AlignedSample]:
        report(Progress(task, 0, len(names)))
        for done, (name, result) in enumerate(_aligned(source, split, names, size, workers), start=1):
            if isinstance(result, AlignedSample):
                yield result
            elif partial_source:
                skipped.append((name, result))
                report(Notice(f"skipped {split} {name}: {result}", warning=True))
            else:
                raise SourceError(f"{result}; or add --partial to skip such samples and list them")
            report(Progress(task, done, len(names), f"{len(skipped)} skipped" if skipped else ""))

    samples = usable()
    while batch := list(islice(samples, 1)):
        path = folder / f"{split}-{len(shards):05d}.h5"
        with ShardWriter(path, size) as writer:
            writer.append(batch[0])
            for sample in islice(samples, SAMPLES_PER_SHARD - 1):
                writer.append(sample)
        shards.append(Shard.of(path, writer.count))
    if not shards:
        raise SourceError(
            f"not one of the {len(names)} samples of split {split} can be used; the first: {skipped[0][1]}"
        )
    return Split(tuple(shards), tuple(skipped))


def _aligned(
    source: Source, split: str, names: Sequence[str], size: int, workers: int
) -> Iterator[tuple[str, AlignedSample | str]]:
    """Every name in order, with its aligned sample or the reason why there is none."""
    work = partial(_align_one, source, split, size)
    if workers <= 1:
        yield from ((name, work(name)) for name in names)
        return
    # Spawned, not forked: the parent may run threads that draw its progress. Interrupts are the parent's to handle.
    with ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        waiting: deque[tuple[str, Future[AlignedSample | str]]] = deque()
        rest = iter(names)
        try:
            # A bounded window: workers stay busy, and memory does not grow with the dataset.
            for name in islice(rest, 4 * workers):
                waiting.append((name, pool.submit(work, name)))
            while waiting:
                name, future = waiting.popleft()
                yield name, future.result()
                for following in islice(rest, 1):
                    waiting.append((following, pool.submit(work, following)))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _align_one(source: Source, split: str, size: int, name: str) -> AlignedSample | str:
    try:
        return align(source.read(split, name), size)
    except SourceError as error:
        return str(error)


def _check_output(output: Path, force: bool) -> None:
    if not output.exists():
        return
    if output.is_dir() and not any(output.iterdir()):
        return
    if not (output / INDEX).is_file():
        raise ShardError(f"{output} exists and is no prepared dataset: name another folder with --output")
    if not force:
        raise ShardError(f"{output} is prepared already: --force prepares it again, --output names another folder")


def _check_space(output: Path, count: int, size: int) -> None:
    """Refuse at once what cannot fit: photos are stored plain, so their size is known beforehand."""
    needed = count * size * size * 3
    place = output.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise ShardError(
            f"{count:,} samples of {size} x {size} need about {needed / 1e9:.1f} GB at {output}, "
            f"and {free / 1e9:.1f} GB are free: make room, or name another disk with --output"
        )


def _move_into_place(finished: Path, output: Path) -> None:
    if not output.exists():
        finished.replace(output)
        return
    old = output.with_name(output.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    output.replace(old)
    finished.replace(output)
    shutil.rmtree(old)


def _disk_message(error: OSError, output: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full at {output}: make room, or name another disk with --output"
    return f"cannot write {output}: {error.strerror or error}"
