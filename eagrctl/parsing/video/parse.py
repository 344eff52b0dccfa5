"""A video -> its results in a folder.

For a video that is called NAME:

* `NAME.frames/000001.png` and so on, by the numbers of the frames: labels, as those of a photo.
* `NAME.overlay.mp4`: the frames under the colours of their classes, and `NAME.legend.png`, which names these.
* `NAME.json`: what was found, and how (see `eagrctl.parsing.record`).

Frames are handled one by one, so a long video needs no more memory than a short one. They are written in parts (see
`eagrctl.parsing.video.parts`), from which an interrupted run goes on; at the end the results are moved into place, the
JSON last.
"""

import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

from eagrctl import __version__
from eagrctl.arrays import Pixels
from eagrctl.data.labels import BACKGROUND
from eagrctl.drawing.formats import save_whole
from eagrctl.drawing.overlay import SHORTEST, coloured, legend
from eagrctl.errors import SourceError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.files import printable, replacing
from eagrctl.parsing.files import FRAME, WRITERS, ResultFolder, make_folder, writing
from eagrctl.parsing.parsed import Failed, ParsedPhoto, Tally
from eagrctl.parsing.parser import FaceParser
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.record import Record, Stamp, found_in, head_of, path_of, write_record
from eagrctl.parsing.video.frames import Frame, VideoReader
from eagrctl.parsing.video.parts import LENGTH, Parts, parts_of
from eagrctl.parsing.video.writing import join_parts, part_writer

MISSING = 0.5  # A video that ends so many seconds before its file says is reported.

# Of what is left beside the JSON, in the order in which it is moved into place.
_ENDINGS = {"frames": ".frames", "overlay": ".overlay.mp4", "legend": ".legend.png"}


def parse_video(
    parser: FaceParser,
    video: Photo,
    folder: ResultFolder,
    tally: Tally,
    *,
    every: int = 1,
    steady: bool = True,
    force: bool = False,
    workers: int | None = None,
    listener: Listener = ignore,
) -> None:
    """Parse a video and write its results, unless they are there; arguments as for `eagrctl.parsing.batch.parse_files`.

    `tally` counts the video, its frames and its faces.

    Raises:
        EagrctlError: a result cannot be written.
    """
    started = time.perf_counter()
    tally.total += 1
    if not force and folder.is_done(video, every, steady):
        tally.skipped += 1
        return
    try:
        folder.claim(video, force)
        reader = VideoReader(video.path, every)
        stamp = Stamp.of(video.path) or Stamp(0, 0)
        record = folder.place(video, ".json")
        make_folder(record.parent)
        how = {"every": every, "steady": steady}
        key = [__version__, path_of(video), asdict(stamp), asdict(folder.settings), how, folder.scheme, LENGTH]
        with writing(record), parts_of(record.parent, video.name, key, folder.wanted.overlay) as parts:
            frames = _parsed(parser, reader, video, parts, tally, steady, workers, listener)
            for first in frames:
                part = chain([first], islice(frames, LENGTH - 1))
                _write_part(parts, folder, reader.rate / every, video, part)
            if not parts.count:
                raise SourceError(f"{printable(video.path)} holds no frames: copy or fetch it again")
            _finish(video, folder, reader, parts, stamp, how)
    except SourceError as error:
        tally.failed.append((video, str(error)))
    tally.seconds += time.perf_counter() - started


def _parsed(
    parser: FaceParser,
    reader: VideoReader,
    video: Photo,
    parts: Parts,
    tally: Tally,
    steady: bool,
    workers: int | None,
    listener: Listener,
) -> Iterator[tuple[Frame, ParsedPhoto]]:
    """The frames behind the parts that are whole, each with what was found in it."""
    task, name = f"parsing {printable(video.path.name)}", printable(video.path)
    under_way: deque[Frame] = deque()
    faces, done = parts.faces, parts.done
    seconds = math.inf

    def frames() -> Iterator[tuple[Pixels, float]]:
        for frame in reader.behind(parts.last):
            under_way.append(frame)
            yield frame.pixels, frame.seconds

    def parsed() -> Generator[ParsedPhoto | Failed, None, None]:
        if steady:
            return parser.parse_film(frames(), workers=workers, memory=parts.memory)
        return parser.parse_many((pixels for pixels, _ in frames()), workers=workers)

    if done:
        listener(Notice(f"{name} goes on from frame {parts.last + 1:,}"))
    listener(Progress(task, done, max(done, reader.expected)))
    with closing(parsed()) as photos:
        for photo in photos:
            frame = under_way.popleft()
            if isinstance(photo, Failed):
                raise SourceError(f"{name}, frame {frame.number}: {photo.error}")
            tally.add(video, photo)
            faces, done, seconds = faces + len(photo.faces), done + 1, frame.seconds
            listener(Progress(task, done, max(done + 1, reader.expected), f"{faces:,} faces"))
            yield frame, photo
    listener(Progress(task, done, done))
    if reader.lost:
        listener(Notice(f"{name}: {reader.lost} packets are damaged; their frames are left out", warning=True))
    if reader.resized:
        text = f"{name}: {reader.resized} frames have another size than the first, and were brought to it"
        listener(Notice(text, warning=True))
    if done and reader.duration and reader.duration - seconds > MISSING + reader.every / reader.rate:
        says = f"{name} says that it lasts {reader.duration:.1f} seconds, and its pictures end after {seconds:.1f}"
        listener(Notice(f"{says}: it may be truncated", warning=True))


def _write_part(
    parts: Parts, folder: ResultFolder, rate: Fraction, video: Photo, frames: Iterator[tuple[Frame, ParsedPhoto]]
) -> None:
    """Write what was found in some frames, at least one; what was begun and not ended is no part."""
    first = next(frames)
    size = first[0].pixels.shape[0], first[0].pixels.shape[1]
    occurring: set[int] = set()
    records: list[Record] = []
    with ExitStack() as stack:
        write = None
        if folder.wanted.overlay:
            write = stack.enter_context(part_writer(parts.film(parts.count), rate, parts.size or size))
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS, "write"))
        drawing: deque[tuple[Frame, Future[Pixels | None]]] = deque()

        def draw(frame: Frame, labels: Pixels) -> Pixels | None:
            folder.save(labels, parts.picture(frame.number))
            return coloured(frame.pixels, labels, folder.labels) if write else None

        def encode(until: int) -> None:
            while len(drawing) > until:
                frame, drawn = drawing.popleft()
                pixels = drawn.result()
                if write and pixels is not None:
                    write(pixels, frame.seconds)

        for frame, photo in chain([first], frames):
            occurring.update(number for number, share in enumerate(photo.shares.values()) if share)
            drawing.append((frame, pool.submit(draw, frame, photo.labels)))
            labels = _labels_of(video, frame.number)
            head = {"frame": frame.number, "seconds": round(frame.seconds, 6), "labels": labels}
            records.append(head | found_in(photo))
            encode(2 * WRITERS - 1)
        encode(0)
    parts.add(parts.size or size, records, occurring)


def _finish(video: Photo, folder: ResultFolder, reader: VideoReader, parts: Parts, stamp: Stamp, how: Record) -> None:
    """Make the results of the parts, and move them into place: frames first, the JSON last."""
    shown = folder.wanted.overlay
    endings = (_ENDINGS if shown else {"frames": _ENDINGS["frames"]}) | {"record": ".json"}
    kept = {kind: folder.place(video, ending) for kind, ending in endings.items()}
    with ExitStack() as stack:
        # Left in the reverse order.
        made = {kind: stack.enter_context(replacing(kept[kind])) for kind in reversed([*endings]) if kind != "frames"}
        files = {kind: f"{video.name}{ending}" for kind, ending in endings.items() if kind != "record"}
        head = head_of(video, stamp, parts.size or (0, 0), folder.labels.names, folder.settings, folder.size, files)
        head["video"]["rate"] = float(reader.rate)
        if folder.scheme:
            head["scheme"] = folder.scheme
        total = {"frames": parts.done, "faces": parts.faces}
        # Parts may come from anywhere, and choose no file.
        frames = (each | {"labels": _labels_of(video, each["frame"])} for each in parts.records())
        write_record(made["record"], head | how, "frames", frames, {"found": total})
        if shown:
            join_parts(parts.films, made["overlay"], reader)
            save_whole(legend(folder.labels, sorted(parts.occurring - {BACKGROUND}), SHORTEST), made["legend"], "PNG")
        # Those of an earlier run, frames last: they tell that the others are ours.
        for ending in (".json", *reversed(_ENDINGS.values())):
            _clear(folder.place(video, ending))
        parts.frames.replace(kept["frames"])


def _labels_of(video: Photo, frame: int) -> str:
    """Where the labels of a frame lie, by its number."""
    return f"{video.name}.frames/{frame:06}.png"


def _clear(path: Path) -> None:
    """Remove a file, a link or a folder of frames, if it is there; OSError where it holds something else."""
    if path.is_dir() and not path.is_symlink():
        for frame in path.iterdir():
            if FRAME.fullmatch(frame.name):
                frame.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
