"""Videos -> their results in a folder; see `eagrctl.parsing.video.results`."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing

from eagrctl.arrays import Pixels
from eagrctl.errors import SourceError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.faces.photo import printable
from eagrctl.parsing.batch import Tally
from eagrctl.parsing.files import ResultFolder
from eagrctl.parsing.parsed import Failed, ParsedPhoto
from eagrctl.parsing.parser import FaceParser
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.video.frames import Frame, VideoReader
from eagrctl.parsing.video.results import VideoResults

# A video that ends so many seconds before its file says is worth a word.
MISSING = 0.5


def parse_video(
    parser: FaceParser,
    video: Photo,
    folder: ResultFolder,
    tally: Tally,
    *,
    every: int = 1,
    force: bool = False,
    workers: int | None = None,
    listener: Listener = ignore,
) -> None:
    """Parse a video and write its results, unless they are there.

    Args:
        parser: made with the settings of `folder`.
        video: the file and its name.
        folder: of the results.
        tally: counts the video, its frames and its faces.
        every: every how many frames one is parsed.
        force: parse again what is done.
        workers: as for `FaceParser.parse_many`.
        listener: hears of progress.

    Raises:
        EagrctlError: a result cannot be written, or PyAV is not installed.
    """
    started = time.perf_counter()
    results = VideoResults(video, folder, every)
    tally.total += 1
    if not force and results.are_done():
        tally.skipped += 1
        return
    try:
        results.claim(force)
        reader = VideoReader(video.path, every)
        results.write(reader, _parsed(parser, reader, video, tally, workers, listener))
    except SourceError as error:
        tally.failed.append((video, str(error)))
    tally.seconds += time.perf_counter() - started


def _parsed(
    parser: FaceParser, reader: VideoReader, video: Photo, tally: Tally, workers: int | None, listener: Listener
) -> Iterator[tuple[Frame, ParsedPhoto]]:
    """The frames with what was found in each."""
    task, name = f"parsing {printable(video.path.name)}", printable(video.path)
    under_way: deque[Frame] = deque()
    faces = done = 0
    seconds = 0.0

    def frames() -> Iterator[Pixels]:
        for frame in reader:
            under_way.append(frame)
            yield frame.pixels

    listener(Progress(task, 0, reader.expected))
    with closing(parser.parse_many(frames(), workers=workers)) as photos:
        for photo in photos:
            frame = under_way.popleft()
            if isinstance(photo, Failed):
                raise SourceError(f"{name}, frame {frame.number}: {photo.error}")
            tally.add(video, photo)
            faces, done, seconds = faces + len(photo.faces), done + 1, frame.seconds
            listener(Progress(task, done, max(done + 1, reader.expected), f"{faces:,} faces"))
            yield frame, photo
    listener(Progress(task, done, done))
    if done and reader.duration and reader.duration - seconds > MISSING + reader.every / reader.rate:
        says = f"{name} says that it lasts {reader.duration:.1f} seconds, and its pictures end after {seconds:.1f}"
        listener(Notice(f"{says}: it may be truncated", warning=True))
