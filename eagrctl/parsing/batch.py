"""Photos -> their results in a folder: what is there already is passed by, what cannot be parsed is listed."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from eagrctl.errors import SourceError
from eagrctl.events import Listener, Progress, ignore
from eagrctl.parsing.files import ResultFolder
from eagrctl.parsing.parsed import Failed, ParsedPhoto
from eagrctl.parsing.parser import FaceParser
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.record import Stamp

# Threads that draw and write. Each holds a photo, and another one waits for each; after a photo of so many bytes, only
# that one is written, because memory is short then, and time is not.
WRITERS, LARGE = 2, 64 << 20


@dataclass
class Tally:
    """How it went.

    Attributes:
        total: photos or videos that were asked for.
        pictures: photos, or frames of videos, that were parsed now.
        faces: that were parsed in them.
        without: in which of them no face was found: photos, or a frame of a video for each.
        failed: which could not be parsed, and why.
        skipped: which were done already.
        seconds: it took.
    """

    total: int = 0
    pictures: int = 0
    faces: int = 0
    without: list[Photo] = field(default_factory=list)
    failed: list[tuple[Photo, str]] = field(default_factory=list)
    skipped: int = 0
    seconds: float = 0.0

    def add(self, photo: Photo, parsed: ParsedPhoto) -> None:
        """Count a photo or a frame that was parsed."""
        self.pictures += 1
        found = len(parsed.faces)
        self.faces += found
        if not found or parsed.faces[0].placed == "whole":
            self.without.append(photo)


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
    """Parse photos and write their results, while the next ones are read.

    Args:
        parser: made with the settings of `folder`.
        photos: files that can be read as photos, or cannot.
        folder: of the results.
        tally: counts them.
        force: parse again what is done, and replace results of other photos.
        workers: threads that read photos and find faces; see `FaceParser.parse_many`.
        listener: hears of progress.

    Raises:
        EagrctlError: a result cannot be written. What is in the folder is whole all the same, and so it is after an
            interrupt.
    """
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

    # Leaving the pool waits for what is being written, whatever the reason: no result stays half a result.
    with ThreadPoolExecutor(WRITERS, "write") as pool:
        results = parser.parse_many((photo.path for photo, _ in pending), workers=workers)
        with closing(results):
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
    task = "looking for results"
    pending = []
    for place, photo in enumerate(photos):
        if place % 100 == 0:
            listener(Progress(task, place, len(photos)))
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
    listener(Progress(task, len(photos), len(photos)))
    return pending
