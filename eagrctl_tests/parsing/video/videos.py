"""Small videos, written with PyAV itself and not with what is tested."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

LEFT, RIGHT = (220, 60, 80), (40, 90, 210)
# How far a player is told to turn a video clockwise, in degrees, and the matrix that tells it.
ROTATIONS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def picture(place: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Two halves, and a bright square in the upper left corner that moves to the right."""
    pixels = np.empty((*size, 3), np.uint8)
    pixels[:, : size[1] // 2], pixels[:, size[1] // 2 :] = LEFT, RIGHT
    pixels[4:16, 2 * place : 2 * place + 12] = 240
    return pixels


def write_video(
    path: Path,
    frames: int,
    rate: Fraction = Fraction(25),
    *,
    sound: bool = False,
    front: bool = False,
    codec: str = "mpeg4",
) -> Path:
    """A video of so many frames; a track of sound alone where there are none.

    Args:
        path: of the file; its ending decides the kind.
        frames: their number.
        rate: a second.
        sound: whether there is a track of sound.
        front: whether the table of contents of an MP4 is in front, so that a part of the file can be opened.
        codec: the encoder.
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"} if front else {}) as container:
        if frames:
            stream = container.add_stream(codec, rate=rate)
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            stream.codec_context.bit_rate = 4_000_000
            for place in range(frames):
                frame = av.VideoFrame.from_ndarray(picture(place % 20), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        if sound:
            track = container.add_stream("aac", rate=44100)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 44100
            container.mux(track.encode(silence))
            container.mux(track.encode())
    return path


def rotated(path: Path, turn: int) -> Path:
    """Tell players to turn an MP4, in its track's header, as phones do."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in ROTATIONS[turn])
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
