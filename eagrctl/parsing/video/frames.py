"""Frames out of videos, and into one; the only module that imports PyAV, which is an extra (eagrctl[video])."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.errors import EagrctlError, SourceError
from eagrctl.files import printable, require_regular

# Encoders by preference: the first plays everywhere; the last is in every build of FFmpeg.
ENCODERS = ("libx264", "libopenh264", "mpeg4")

# Ticks a second of a video that is written. All usual rates take whole ticks, and mpeg4 allows at most 65,535.
TICKS = 60_000

# FFmpeg's number for the colours of BT.601, by which it converts RGB to YUV unless told otherwise. It is stated because
# players assume BT.709 for large videos.
_BT601 = 5


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video."""

    number: int  # counted from 1
    seconds: float  # from the beginning
    pixels: Pixels  # (H, W, 3) uint8, RGB, upright


class VideoReader:
    """A video, of which one of `every` frames is read, from the first on.

    Attributes:
        rate: frames a second, as the file says.
        expected: how many frames will be read, about; 0 where the file does not tell.
        duration: seconds, as the file says; None where it does not.

    Raises:
        SourceError: missing, unreadable, or no video; or PyAV is not installed.
    """

    def __init__(self, path: Path, every: int = 1) -> None:
        self.path, self.every = path, every
        with self._open() as container:
            stream = container.streams.video[0]
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            self.duration: float | None = None
            if stream.duration is not None and stream.time_base is not None:
                self.duration = float(stream.duration * stream.time_base)
            elif container.duration is not None:
                self.duration = container.duration / 1_000_000
            frames = stream.frames or (round(self.duration * self.rate) if self.duration else 0)
            self.expected: int = -(-frames // every)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order; SourceError where the video is damaged."""
        av = _av()
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            frames = container.decode(stream)
            start = None
            for number in count(1):
                try:
                    frame = next(frames, None)
                    if frame is None:
                        return
                    if (number - 1) % self.every:
                        continue
                    seconds = float((number - 1) / self.rate) if frame.time is None else frame.time
                    start = seconds if start is None else start
                    yield Frame(number, seconds - start, _upright(frame))
                except av.error.FFmpegError as error:
                    after = f" after frame {number - 1}" if number > 1 else ""
                    said = f"{printable(self.path)} is truncated or damaged{after} ({_reason(error)})"
                    raise SourceError(f"{said}: copy or fetch it again") from None

    def _open(self) -> Any:
        av = _av()
        name = printable(self.path)
        try:
            require_regular(self.path, SourceError)
            # Absolute, because FFmpeg takes what stands before a colon for a protocol.
            container = av.open(str(self.path.absolute()), metadata_errors="replace")
        except FileNotFoundError:
            raise SourceError(f"{name} is missing: check its name and folder") from None
        except (OSError, av.error.FFmpegError) as error:
            raise SourceError(f"{name} cannot be read as a video ({_reason(error)}): copy or fetch it again") from None
        if not container.streams.video:
            container.close()
            raise SourceError(f"{name} holds no pictures, only sound: give a video")
        return container


@contextmanager
def video_writer(path: Path, rate: Fraction, size: tuple[int, int]) -> Iterator[Callable[[Pixels, float], None]]:
    """Write a silent MP4: H.264 where FFmpeg has it, else MPEG-4.

    Args:
        path: of the file, whatever its ending.
        rate: frames a second, for those who ask the file.
        size: height and width of the frames. Where one is odd, the last row or column is left out, which encoders want.

    Yields:
        What appends a frame, (H, W, 3) uint8, that is shown from so many seconds on, later than the one before.

    Raises:
        EagrctlError: PyAV has no encoder.
        OSError: the file cannot be written.
    """
    av = _av()
    height, width = (max(2, side // 2 * 2) for side in size)
    with av.open(str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(_encoder(av), rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        context = stream.codec_context
        context.time_base, context.colorspace = Fraction(1, TICKS), _BT601
        if context.name == "libx264":
            context.options = {"crf": "20", "preset": "veryfast"}
        else:
            # About what the former takes at that quality.
            context.bit_rate = max(500_000, round(0.1 * height * width * rate))
        last = -1

        def write(pixels: Pixels, seconds: float) -> None:
            nonlocal last
            shown = np.ascontiguousarray(pixels[:height, :width])
            if shown.shape[:2] != (height, width):
                shown = np.pad(shown, [(0, height - shown.shape[0]), (0, width - shown.shape[1]), (0, 0)])
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            last = frame.pts = max(last + 1, round(seconds * TICKS))
            frame.time_base = Fraction(1, TICKS)
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())


def _av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise SourceError("videos need PyAV, which is not installed: pip install 'eagrctl[video]'") from None
    module: ModuleType = av
    return module


def _encoder(av: ModuleType) -> str:
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
        except (ValueError, LookupError):  # PyAV's UnknownCodecError
            continue
        return name
    raise EagrctlError(f"this PyAV has none of the encoders {', '.join(ENCODERS)}: write no overlay with --no-overlay")


def _upright(frame: Any) -> Pixels:
    """A frame's pixels as players show them: cameras store them as the sensor lies, and say how to turn them."""
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
