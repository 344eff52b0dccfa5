"""A film out of frames, in parts: an interrupted one keeps those that are whole, and they are joined at the end."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.errors import EagrctlError
from eagrctl.parsing.video.frames import VideoReader, pyav

# Encoders by preference: the first plays everywhere; the last is in every build of FFmpeg.
ENCODERS = ("libx264", "libopenh264", "mpeg4")

# Codecs of sound that every player finds in an MP4.
SOUNDS = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})

# Ticks a second of a video that is written. All usual rates take whole ticks, and mpeg4 allows at most 65,535.
TICKS = 60_000

# FFmpeg's number for the colours of BT.601, by which it converts RGB to YUV unless told otherwise. It is stated because
# players assume BT.709 for large videos.
_BT601 = 5


@contextmanager
def part_writer(path: Path, rate: Fraction, size: tuple[int, int]) -> Iterator[Callable[[Pixels, float], None]]:
    """Write a part of a film: H.264 where FFmpeg has it, else MPEG-4.

    It is a NUT, which keeps times as they are, where an MP4 rounds its first to milliseconds. No frame refers to a
    later one, so that parts can stand one behind the other as they are.

    Args:
        path: of the file, whatever its ending.
        rate: frames a second, for those who ask the file.
        size: height and width of the frames. Where one is odd, the last row or column is left out, which encoders want.

    Yields:
        What appends a frame, (H, W, 3) uint8, that is shown from so many seconds of the film on, later than the one
        before.

    Raises:
        EagrctlError: PyAV has no encoder.
        OSError: the file cannot be written.
    """
    av = pyav()
    height, width = (max(2, side // 2 * 2) for side in size)
    with av.open(str(path.absolute()), "w", format="nut") as container:
        stream = container.add_stream(_encoder(av), rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        context = stream.codec_context
        context.time_base, context.colorspace = Fraction(1, TICKS), _BT601
        if context.name == "libx264":
            context.options = {"crf": "20", "preset": "veryfast", "bf": "0"}
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


def join_parts(parts: Sequence[Path], path: Path, sound: VideoReader) -> None:
    """Put the parts of a film one behind the other, as they are, into an MP4.

    Args:
        parts: of `part_writer`, in order; at least one.
        path: of the file, whatever its ending.
        sound: a video that has been read, whose sound is copied where an MP4 can hold it, and else left out.

    Raises:
        OSError: a part cannot be read, or the file cannot be written.
    """
    av = pyav()
    with av.open(str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        with av.open(str(parts[0].absolute())) as first:
            track = container.add_stream_from_template(first.streams.video[0])
        with _sound(sound, container) as copy_sound:
            last = -1
            for part in parts:
                with av.open(str(part.absolute())) as source:
                    for packet in source.demux(source.streams.video[0]):
                        if packet.dts is None:  # the end
                            continue
                        if packet.dts <= last:  # of frames of one time, the next is a tick later
                            packet.dts = packet.pts = last + 1
                        last = packet.dts
                        copy_sound(float(packet.pts * packet.time_base))
                        packet.stream = track
                        container.mux(packet)
            copy_sound(math.inf)


@contextmanager
def _sound(video: VideoReader, target: Any) -> Iterator[Callable[[float], None]]:
    """What copies a video's sound, up to so many seconds, into a container; nothing where it cannot."""
    av = pyav()
    with av.open(str(video.path.absolute()), metadata_errors="replace") as source:
        stream = source.streams.best("audio")
        context = stream and stream.codec_context
        if context is None or context.name.removesuffix("float") not in SOUNDS:
            yield lambda _: None
            return
        track = target.add_stream_from_template(stream)
        packets = source.demux(stream)
        # None of the file's clocks begins with the first frame, from which the written ones count.
        waiting: Any = None
        later = round(video.start / stream.time_base)

        def copy(until: float) -> None:
            nonlocal waiting
            while True:
                if waiting is None:
                    try:
                        waiting = next(packets, None)
                    except av.error.FFmpegError:  # what is behind the damage cannot be found
                        return
                    if waiting is None:
                        return
                    if waiting.dts is None or waiting.pts is None or waiting.pts < later:
                        waiting = None
                        continue
                if (waiting.pts - later) * stream.time_base > until:
                    return
                waiting.pts, waiting.dts = waiting.pts - later, max(0, waiting.dts - later)
                waiting.stream = track
                target.mux(waiting)
                waiting = None

        yield copy


def _encoder(av: ModuleType) -> str:
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
        except (ValueError, LookupError):  # PyAV's UnknownCodecError
            continue
        return name
    raise EagrctlError(f"this PyAV has none of the encoders {', '.join(ENCODERS)}: write no overlay with --no-overlay")
