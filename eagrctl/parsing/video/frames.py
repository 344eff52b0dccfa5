"""Frames out of videos; the only module that imports PyAV, which is an extra (eagrctl[video])."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.errors import SourceError
from eagrctl.files import printable, require_regular


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video."""

    number: int  # counted from 1
    seconds: float  # from the beginning
    pixels: Pixels  # (H, W, 3) uint8, RGB, upright


def video_suffixes() -> frozenset[str]:
    """The endings of all kinds that PyAV knows, in lower case, each with its dot; empty where it is not installed."""
    try:
        av = pyav()
    except SourceError:
        return frozenset()
    names: set[str] = set()
    for name in av.formats_available:
        with suppress(ValueError):  # a kind of a device
            names |= av.ContainerFormat(name).extensions
    return frozenset(f".{name.lower()}" for name in names)


def is_film(path: Path) -> bool:
    """Whether PyAV opens a file and finds moving pictures in it, and does not take text or a picture for such."""
    try:
        reader = VideoReader(path)
    except SourceError:
        return False
    return reader.container != "tty" and not reader.container.endswith("_pipe")


class VideoReader:
    """A video, of which one of `every` frames is read, from the first on, as players show it.

    Of several streams of pictures, the one that ffmpeg takes: no attached cover, then the default one, then the
    largest. Frames are turned and mirrored as the file says, and stretched until pixels are square; those of another
    size than the first are stretched to its size. What cannot be decoded is left out, and counted.

    Attributes:
        container: FFmpeg's name for the kind of file.
        rate: frames a second, as the file says.
        expected: how many frames will be read, about; 0 where the file does not tell.
        duration: seconds, as the file says; None where it does not.
        lost: packets that could not be decoded, so far.
        resized: frames that had another size than the first, so far.
        start: the time of the first frame in the file, in seconds, once it was read.

    Raises:
        SourceError: missing, unreadable, or no video; or PyAV is not installed.
    """

    def __init__(self, path: Path, every: int = 1) -> None:
        self.path, self.every = path, every
        self.lost = self.resized = 0
        self.start = 0.0
        with self._open() as container:
            stream = self._stream(container)
            self.container: str = container.format.name
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            self.duration: float | None = None
            if stream.duration is not None and stream.time_base is not None:
                self.duration = float(stream.duration * stream.time_base)
            elif container.duration is not None:
                self.duration = container.duration / 1_000_000
            frames = stream.frames or (round(self.duration * self.rate) if self.duration else 0)
            self.expected: int = -(-frames // every)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order; SourceError where nothing of the video can be decoded, or it ends early."""
        return self.behind(0)

    def behind(self, last: int) -> Iterator[Frame]:
        """The frames whose number is above `last`; those before are decoded all the same, because others build on them.

        Raises:
            SourceError: nothing of the video can be decoded, or it ends early.
        """
        self.lost = self.resized = 0
        with self._open() as container:
            stream = self._stream(container)
            stream.thread_type = "AUTO"
            aspect = stream.sample_aspect_ratio or Fraction(1)
            size: tuple[int, int] | None = None
            for number, frame in enumerate(self._decoded(container, stream), start=1):
                if (number - 1) % self.every:
                    continue
                seconds = float((number - 1) / self.rate) if frame.time is None else frame.time
                stored = frame.height, frame.width
                if size is None:
                    self.start, size = seconds, stored
                self.resized += stored != size
                if number <= last:
                    continue
                yield Frame(number, seconds - self.start, _upright(frame, _square(size, aspect)))

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """The frames of a stream, as they are stored, without those that cannot be decoded."""
        av, name, number = pyav(), printable(self.path), 0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
            except av.error.FFmpegError as error:  # the container itself: nothing behind it is found
                raise self._damaged(number, error) from None
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                self.lost += 1
                last = error
                continue
            for frame in frames:
                number += 1
                yield frame
        if not number and self.lost:
            raise self._damaged(0, last) from None
        if not number:
            raise SourceError(f"{name} holds no frames: copy or fetch it again")

    def _damaged(self, number: int, error: Exception) -> SourceError:
        after = f" after frame {number}" if number else ""
        said = f"{printable(self.path)} is truncated or damaged{after} ({_reason(error)})"
        return SourceError(f"{said}: copy or fetch it again")

    def _open(self) -> Any:
        av = pyav()
        name = printable(self.path)
        try:
            require_regular(self.path, SourceError)
            # Absolute, because FFmpeg takes what stands before a colon for a protocol.
            container = av.open(str(self.path.absolute()), metadata_errors="replace")
        except FileNotFoundError:
            raise SourceError(f"{name} is missing: check its name and folder") from None
        except (OSError, av.error.FFmpegError) as error:
            raise SourceError(f"{name} cannot be read as a video ({_reason(error)}): copy or fetch it again") from None
        if self._stream(container) is None:
            container.close()
            raise SourceError(f"{name} holds no moving pictures that can be decoded: give a video")
        return container

    @staticmethod
    def _stream(container: Any) -> Any:
        """The stream that ffmpeg would take; None where there is none but attached pictures."""
        kinds = pyav().stream.Disposition
        # A stream whose codec this FFmpeg has not has no context.
        films = [each for each in container.streams.video if not each.disposition & kinds.attached_pic]
        films = [each for each in films if each.codec_context is not None]

        def rank(stream: Any) -> tuple[bool, int]:
            context = stream.codec_context
            return bool(stream.disposition & kinds.default), context.width * context.height

        return max(films, key=rank, default=None)


def pyav() -> ModuleType:
    """PyAV; SourceError where it is not installed."""
    try:
        import av
    except ImportError:
        raise SourceError("videos need PyAV, which is not installed: pip install 'eagrctl[video]'") from None
    module: ModuleType = av
    return module


def _square(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Height and width of a picture whose pixels are made square, by stretching the shorter of their sides."""
    height, width = size
    return (height, int(width * aspect)) if aspect > 1 else (int(height / aspect), width)


def _upright(frame: Any, size: tuple[int, int]) -> Pixels:
    """A frame's pixels as players show them, of (height, width) before it is turned."""
    height, width = size
    if (frame.height, frame.width) != size:
        frame = frame.reformat(width=width, height=height, interpolation="BICUBIC")
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(_turned(pixels, frame))


def _turned(pixels: Pixels, frame: Any) -> Pixels:
    """Turned and mirrored as a frame's display matrix says: cameras store pixels as the sensor lies.

    The matrix has three rows of three; its first four numbers that matter, a, b, c and d, take x to a x + c y and y to
    b x + d y. As ffmpeg, this reads the angle first, and what remains is a mirror.
    """
    found = frame.side_data.get(pyav().sidedata.sidedata.Type.DISPLAYMATRIX)
    if found is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5]
    quarters = round(math.degrees(math.atan2(b, a)) / 90) % 4
    if quarters == 1:
        return np.rot90(pixels, -1) if c <= 0 else pixels.swapaxes(0, 1)
    if quarters == 3:
        return np.rot90(pixels) if c >= 0 else np.rot90(pixels, 2).swapaxes(0, 1)
    if quarters == 2:
        return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return pixels[::-1] if d < 0 else pixels


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
