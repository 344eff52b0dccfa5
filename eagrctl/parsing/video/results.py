"""The files that a parsed video leaves, and whether they are there already.

For a video that is called NAME:

* `NAME.frames/000001.png` and so on, by the numbers of the frames: labels, as those of a photo.
* `NAME.overlay.mp4`: the frames under the colours of their classes, and `NAME.legend.png`, which names these.
* `NAME.json`: keys as in `eagrctl.parsing.record`, but `video` for `photo`, with `rate` in frames a second and
  `every`; `frames`, each with its number, `seconds`, `labels`, `faces` and `shares`; and `found`: how many frames were
  parsed, and how many faces.

Frames pass through one by one, so that a long video needs no more memory than a short one. Everything is written under
names that end in `.part`, and moved into place when the video has ended; the JSON is moved last. A video that was
interrupted is begun again.
"""

import json
import re
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from eagrctl.arrays import Pixels
from eagrctl.data.labels import BACKGROUND
from eagrctl.drawing.formats import save_labels, save_whole
from eagrctl.drawing.overlay import SHORTEST, coloured, legend
from eagrctl.errors import SourceError
from eagrctl.faces.photo import printable
from eagrctl.parsing.batch import WRITERS
from eagrctl.parsing.files import ResultFolder, make_folder, unwritable
from eagrctl.parsing.parsed import ParsedPhoto
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.record import VERSION, Record, Stamp, compact, face_record, path_of, read_record, rounded
from eagrctl.parsing.video.frames import Frame, VideoReader, VideoWriter

FORMAT = "eagrctl parsed video"

_FRAME = re.compile(r"\d{6,}\.png")


class VideoResults:
    """The results of one video.

    Args:
        video: the file and its name.
        folder: of all results.
        every: every how many frames one is parsed.
    """

    def __init__(self, video: Photo, folder: ResultFolder, every: int) -> None:
        self.video, self.folder, self.every = video, folder, every
        self.record = folder.result_of(video)
        self.frames = folder.path / f"{video.name}.frames"
        self.overlay = folder.path / f"{video.name}.overlay.mp4"
        self.legend = folder.path / f"{video.name}.legend.png"

    def are_done(self) -> bool:
        """Whether all that is wanted of this very video is there, made with the same settings."""
        record, stamp = self._written(), Stamp.of(self.video.path)
        return (
            record is not None
            and stamp is not None
            and stamp.is_of(record, "video")
            and record.get("every") == self.every
            and self.folder.settings.alike(record)
            and self.frames.is_dir()
            and (not self.folder.wanted.overlay or self.overlay.is_file())
        )

    def claim(self, force: bool) -> None:
        """Make sure that nothing but results of this video is replaced; as `ResultFolder.claim`.

        Raises:
            SourceError: a file in its place was written by something else, or for another video.
        """
        remedy = "name another folder with --output"
        record, stamp = self._written(), Stamp.of(self.video.path)
        if record is None:
            # Frames are moved into place first, and taken away last: without them, nothing else is ours.
            ours = self.frames.is_dir() and all(_FRAME.fullmatch(each.name) for each in self.frames.iterdir())
            others = [self.record] if ours else [self.record, self.overlay, self.legend, self.frames]
            for foreign in others:
                if foreign.exists():
                    raise SourceError(f"{foreign} is in the way, which eagrctl parse did not write: {remedy}")
        elif not force:
            other = record.get("video", {}).get("path")
            if other != path_of(self.video) and not (stamp and stamp.is_of(record, "video")):
                raise SourceError(f"{self.record} is the result of {other}: {remedy}, or replace it with --force")

    def write(self, reader: VideoReader, parsed: Iterator[tuple[Frame, ParsedPhoto]]) -> None:
        """Write what was found, frame by frame.

        Args:
            reader: of the video.
            parsed: its frames, in order.

        Raises:
            SourceError: it has no frames.
            EagrctlError: a file cannot be written; none is left then.
        """
        wanted, label_set = self.folder.wanted, self.folder.labels
        make_folder(self.record.parent)
        with self._parts() as parts, ExitStack() as stack:
            lines = stack.enter_context(_Lines(parts["record"]))
            pool = stack.enter_context(ThreadPoolExecutor(WRITERS, "write"))
            drawing: deque[tuple[Frame, Future[Pixels | None]]] = deque()
            occurring: set[int] = set()
            encoder: VideoWriter | None = None

            def draw(frame: Frame, labels: Pixels) -> Pixels | None:
                save_labels(labels, label_set, parts["frames"] / f"{frame.number:06}.png")
                return coloured(frame.pixels, labels, label_set) if wanted.overlay else None

            def encode(until: int) -> None:
                while len(drawing) > until:
                    frame, drawn = drawing.popleft()
                    pixels = drawn.result()
                    if encoder is not None and pixels is not None:
                        encoder.write(pixels, frame.seconds)

            count = faces = 0
            for frame, photo in parsed:
                if not count:
                    lines.begin(self._head(reader, photo))
                    if wanted.overlay:
                        size = photo.labels.shape[0], photo.labels.shape[1]
                        encoder = stack.enter_context(VideoWriter(parts["overlay"], reader.rate / self.every, size))
                count, faces = count + 1, faces + len(photo.faces)
                lines.add(self._frame(frame, photo))
                occurring.update(number for number, share in enumerate(photo.shares.values()) if share)
                drawing.append((frame, pool.submit(draw, frame, photo.labels)))
                encode(2 * WRITERS - 1)
            encode(0)
            if not count:
                raise SourceError(f"{printable(self.video.path)} holds no frames: copy or fetch it again")
            lines.end({"found": {"frames": count, "faces": faces}})
            if wanted.overlay:
                named = sorted(occurring - {BACKGROUND})
                save_whole(legend(label_set, named, SHORTEST), parts["legend"], "PNG")

    @contextmanager
    def _parts(self) -> Iterator[dict[str, Path]]:
        """Temporary places, which become the results when the block ends well, and are taken away when it does not."""
        kept = {"frames": self.frames, "record": self.record}
        if self.folder.wanted.overlay:
            kept |= {"overlay": self.overlay, "legend": self.legend}
        parts = {kind: path.with_name(path.name + ".part") for kind, path in kept.items()}
        try:
            for part in parts.values():
                _clear(part)
            parts["frames"].mkdir()
            yield parts
            for path in (self.record, self.overlay, self.legend, self.frames):
                _clear(path)
            # In the order of `kept`, but the record last.
            for kind in sorted(kept, key="record".__eq__):
                parts[kind].replace(kept[kind])
        except OSError as error:
            raise unwritable(self.record, error) from error
        finally:
            for part in parts.values():
                _clear(part)

    def _written(self) -> Record | None:
        return read_record(self.record, FORMAT, until="frames")

    def _head(self, reader: VideoReader, photo: ParsedPhoto) -> Record:
        height, width = photo.labels.shape
        stamp = asdict(Stamp.of(self.video.path) or Stamp(0, 0))
        return {
            "format": FORMAT,
            "version": VERSION,
            "video": {
                "path": path_of(self.video),
                **stamp,
                "width": width,
                "height": height,
                "rate": float(reader.rate),
            },
            "every": self.every,
            "classes": list(photo.classes),
            "settings": asdict(self.folder.settings),
            "input": self.folder.size,
            "files": {
                "frames": f"{self.video.name}.frames",
                **(
                    {"overlay": f"{self.video.name}.overlay.mp4", "legend": f"{self.video.name}.legend.png"}
                    if self.folder.wanted.overlay
                    else {}
                ),
            },
        }

    def _frame(self, frame: Frame, photo: ParsedPhoto) -> Record:
        return {
            "frame": frame.number,
            "seconds": round(frame.seconds, 6),
            "labels": f"{self.video.name}.frames/{frame.number:06}.png",
            "shares": rounded(photo.shares),
            "faces": [face_record(face, photo.classes, photo.labels.size) for face in photo.faces],
        }


class _Lines:
    """Writes a record, a line for each key and each frame, as a context manager."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8")
        self._begun = False

    def begin(self, record: Record) -> None:
        self._file.write("{\n" + "".join(f"  {json.dumps(key)}: {compact(each)},\n" for key, each in record.items()))
        self._file.write('  "frames": [\n')

    def add(self, frame: Record) -> None:
        self._file.write(("," if self._begun else " ") + f"   {compact(frame)}\n")
        self._begun = True

    def end(self, record: Record) -> None:
        rest = "".join(f",\n  {json.dumps(key)}: {compact(each)}" for key, each in record.items())
        self._file.write(f"  ]{rest}\n}}\n")
        self._file.flush()

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()


def _clear(path: Path) -> None:
    """Remove a file or a folder of frames, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
