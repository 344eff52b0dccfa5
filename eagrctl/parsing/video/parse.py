"""A video -> its results in a folder.

For a video that is called NAME:

* `NAME.frames/000001.png` and so on, by the numbers of the frames: labels, as those of a photo.
* `NAME.overlay.mp4`: the frames under the colours of their classes, and `NAME.legend.png`, which names these.
* `NAME.json`: what was found, and how (see `eagrctl.parsing.record`).

Frames are handled one by one, so a long video needs no more memory than a short one. Everything is written under names
that begin with `.eagrctl-`, and moved into place when the video has ended; the JSON is moved last. A video that was
interrupted is begun again.
"""

import secrets
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from pathlib import Path

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
from eagrctl.parsing.record import Record, Stamp, found_in, head_of, write_record
from eagrctl.parsing.video.frames import Frame, VideoReader, video_writer

MISSING = 0.5  # A video that ends so many seconds before its file says is reported.

# Of what is left beside the JSON, in the order in which it is moved into place.
_UNFINISHED = ".eagrctl-{}.frames"  # what a folder of frames is called while it is filled
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
        _write(video, folder, reader, _parsed(parser, reader, video, tally, steady, workers, listener), steady)
    except SourceError as error:
        tally.failed.append((video, str(error)))
    tally.seconds += time.perf_counter() - started


def _parsed(
    parser: FaceParser,
    reader: VideoReader,
    video: Photo,
    tally: Tally,
    steady: bool,
    workers: int | None,
    listener: Listener,
) -> Iterator[tuple[Frame, ParsedPhoto]]:
    """The frames, each with what was found in it."""
    task, name = f"parsing {printable(video.path.name)}", printable(video.path)
    under_way: deque[Frame] = deque()
    faces = done = 0
    seconds = 0.0

    def frames() -> Iterator[tuple[Pixels, float]]:
        for frame in reader:
            under_way.append(frame)
            yield frame.pixels, frame.seconds

    def parsed() -> Generator[ParsedPhoto | Failed, None, None]:
        if steady:
            return parser.parse_film(frames(), workers=workers)
        return parser.parse_many((pixels for pixels, _ in frames()), workers=workers)

    listener(Progress(task, 0, reader.expected))
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


def _write(
    video: Photo,
    folder: ResultFolder,
    reader: VideoReader,
    parsed: Iterator[tuple[Frame, ParsedPhoto]],
    steady: bool,
) -> None:
    """Write what was found, frame by frame: all files or none; SourceError where there are no frames."""
    stamp = Stamp.of(video.path) or Stamp(0, 0)
    shown = folder.wanted.overlay
    endings = _ENDINGS if shown else {"frames": _ENDINGS["frames"]}
    occurring: set[int] = set()
    total = {"frames": 0, "faces": 0}
    with _parts(video, folder, endings | {"record": ".json"}) as parts, ExitStack() as stack:
        first = next(parsed, None)
        if first is None:
            raise SourceError(f"{printable(video.path)} holds no frames: copy or fetch it again")
        height, width = first[1].labels.shape
        if shown:
            write = stack.enter_context(
                video_writer(parts["overlay"], reader.rate / reader.every, (height, width), reader)
            )
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS, "write"))
        drawing: deque[tuple[Frame, Future[Pixels | None]]] = deque()

        def draw(frame: Frame, labels: Pixels) -> Pixels | None:
            folder.save(labels, parts["frames"] / f"{frame.number:06}.png")
            return coloured(frame.pixels, labels, folder.labels) if shown else None

        def encode(until: int) -> None:
            while len(drawing) > until:
                frame, drawn = drawing.popleft()
                pixels = drawn.result()
                if pixels is not None:
                    write(pixels, frame.seconds)

        def records() -> Iterator[Record]:
            for frame, photo in chain([first], parsed):
                total["frames"] += 1
                total["faces"] += len(photo.faces)
                occurring.update(number for number, share in enumerate(photo.shares.values()) if share)
                drawing.append((frame, pool.submit(draw, frame, photo.labels)))
                labels = f"{video.name}.frames/{frame.number:06}.png"
                yield {"frame": frame.number, "seconds": round(frame.seconds, 6), "labels": labels} | found_in(photo)
                encode(2 * WRITERS - 1)
            encode(0)

        files = {kind: f"{video.name}{ending}" for kind, ending in endings.items()}
        head = head_of(video, stamp, first[1], folder.settings, folder.size, files)
        head["video"]["rate"] = float(reader.rate)
        if folder.scheme:
            head["scheme"] = folder.scheme
        write_record(
            parts["record"], head | {"every": reader.every, "steady": steady}, "frames", records(), {"found": total}
        )
        if shown:
            save_whole(legend(folder.labels, sorted(occurring - {BACKGROUND}), SHORTEST), parts["legend"], "PNG")


@contextmanager
def _parts(video: Photo, folder: ResultFolder, endings: Mapping[str, str]) -> Iterator[dict[str, Path]]:
    """Temporary places, which become the results when the block ends well, and are taken away when it does not.

    Frames are moved into place first, and the record, which is the last of `endings`, last; the folder of frames is
    made. What a killed run left is taken away.
    """
    kept = {kind: folder.place(video, ending) for kind, ending in endings.items()}
    where = kept["record"].parent
    make_folder(where)
    with writing(kept["record"]), ExitStack() as stack:
        for stale in where.glob(_UNFINISHED.format("*")):
            _clear(stale)
        # Left in the reverse order.
        parts = {kind: stack.enter_context(replacing(kept[kind])) for kind in reversed([*endings]) if kind != "frames"}
        parts["frames"] = where / _UNFINISHED.format(secrets.token_hex(8))
        parts["frames"].mkdir()
        stack.callback(_clear, parts["frames"])
        yield parts
        # Those of an earlier run, frames last: they tell that the others are ours.
        for ending in (".json", *reversed(_ENDINGS.values())):
            _clear(folder.place(video, ending))
        parts["frames"].replace(kept["frames"])


def _clear(path: Path) -> None:
    """Remove a file, a link or a folder of frames, if it is there; OSError where it holds something else."""
    if path.is_dir() and not path.is_symlink():
        for frame in path.iterdir():
            if FRAME.fullmatch(frame.name):
                frame.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
