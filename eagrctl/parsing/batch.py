"""Photos and videos -> their results in a folder: those that are done are skipped, those that fail are listed."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from eagrctl.errors import EagrctlError, SourceError
from eagrctl.events import Listener, Progress, ignore, tracked
from eagrctl.files import remove_stale
from eagrctl.locks import locked
from eagrctl.parsing.files import WRITERS, ResultFolder
from eagrctl.parsing.parsed import Failed, Tally
from eagrctl.parsing.parser import FaceParser
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.record import Stamp
from eagrctl.parsing.video.parse import parse_video

# After a photo of so many bytes, only that one is written, because memory is short then, and time is not.
LARGE = 64 << 20


def parse_files(
    parser: FaceParser,
    files: Sequence[Photo],
    folder: ResultFolder,
    *,
    every: int = 1,
    steady: bool = True,
    force: bool = False,
    workers: int | None = None,
    listener: Listener = ignore,
) -> dict[str, Tally]:
    """Parse photos and videos, and write their results, unless they are there.

    Args:
        parser: made with the settings of `folder`.
        files: photos and videos; those that cannot be read are counted as failed.
        folder: of the results.
        every: every how many frames of a video one is parsed.
        steady: whether faces are followed through a video, and what is said of them averaged along time.
        force: parse again what is done, and replace results of other files.
        workers: as for `FaceParser.parse_many`.
        listener: hears of progress.

    Returns:
        How it went, by kind: "photo", "video", or both.

    Raises:
        EagrctlError: another process fills the folder, or a result cannot be written. The results in the folder are
            whole even then, and after an interrupt.
    """
    tallies: dict[str, Tally] = {}
    photos = [file for file in files if file.kind == "photo"]
    with locked(folder.path, EagrctlError, listener):
        for where in {folder.place(file, "").parent: file for file in files if folder.is_inside(file)}:
            remove_stale(where)
        if photos:
            tallies["photo"] = Tally()
            parse_photos(parser, photos, folder, tallies["photo"], force=force, workers=workers, listener=listener)
        for file in files:
            if file.kind == "video":
                tally = tallies.setdefault("video", Tally())
                parse_video(
                    parser,
                    file,
                    folder,
                    tally,
                    every=every,
                    steady=steady,
                    force=force,
                    workers=workers,
                    listener=listener,
                )
    return tallies


def parse_photos(
    parser: FaceParser,
    photos: Sequence[Photo],
    folder: ResultFolder,
    tally: Tally,
    *,
    force: bool = False,
    workers: int | None = None,
    listener: Listener = ignore,
) -> None:
    """Parse photos and write their results, while the next ones are read; arguments as for `parse_files`."""
    started = time.perf_counter()
    tally.total += len(photos)
    pending = _pending(photos, folder, force, tally, listener)
    task, done = "parsing", len(photos) - len(pending)
    writing: deque[tuple[Photo, Future[None]]] = deque()

    def wait(until: int) -> None:
        while len(writing) > until:
            photo, written = writing.popleft()
            try:
                written.result()
            except SourceError as error:
                tally.failed.append((photo, str(error)))

    # Leaving the pool waits for what is being written, whatever the reason: no result is left half written.
    with ThreadPoolExecutor(WRITERS, "write") as pool:
        with closing(parser.parse_many((photo.path for photo, _ in pending), workers=workers)) as results:
            listener(Progress(task, done, len(photos)))
            for (photo, stamp), parsed in zip(pending, results, strict=True):
                if isinstance(parsed, Failed):
                    tally.failed.append((photo, str(parsed.error)))
                else:
                    tally.add(photo, parsed)
                    writing.append((photo, pool.submit(folder.write, photo, parsed, stamp)))
                    wait(1 if parsed.image.nbytes > LARGE else 2 * WRITERS - 1)
                done += 1
                listener(Progress(task, done, len(photos), f"{tally.faces:,} faces"))
        wait(0)
    tally.seconds += time.perf_counter() - started


def _pending(
    photos: Sequence[Photo], folder: ResultFolder, force: bool, tally: Tally, listener: Listener
) -> list[tuple[Photo, Stamp]]:
    """The photos that are not done, as they are now; the others are counted."""
    pending = []
    for photo in tracked(photos, "looking for results", listener):
        if not force and folder.is_done(photo):
            tally.skipped += 1
            continue
        try:
            folder.claim(photo, force)
        except SourceError as error:
            tally.failed.append((photo, str(error)))
        else:
            # One that is missing fails when it is read.
            pending.append((photo, Stamp.of(photo.path) or Stamp(0, 0)))
    return pending
