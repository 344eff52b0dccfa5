"""Frames as ffmpeg itself gives them: turned, mirrored, with square pixels, of the stream that it takes."""

import struct
import subprocess
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from eagrctl.errors import SourceError
from eagrctl.parsing.video.frames import VideoReader
from eagrctl_tests.parsing.video.videos import picture, write_video

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
# The eight ways in which a rectangle lies on itself, as a display matrix's a, b, c and d.
TURNS = [(a, 0, 0, d) for a, d in product((1, -1), repeat=2)] + [(0, b, c, 0) for b, c in product((1, -1), repeat=2)]
ASPECTS = [Fraction(1), Fraction(4, 3), Fraction(3, 4)]
# Stretches the shorter side of a pixel, so that none is lost.
SQUARE = "scale='if(gt(sar,1),iw*sar,iw)':'if(gt(sar,1),ih,ih/sar)':flags=bicubic,setsar=1"


def film(path: Path, aspect: Fraction = Fraction(1), codec: str = "mpeg4", side: int = 1, frames: int = 3) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = (
            48 * side,
            64 * side,
            "yuvj420p" if codec == "mjpeg" else "yuv420p",
        )
        stream.codec_context.sample_aspect_ratio = aspect
        stream.codec_context.bit_rate = 4_000_000
        for place in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(place, (48 * side, 64 * side)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def laid(path: Path, turn: tuple[int, int, int, int]) -> Path:
    """Have players lay a film so, by its track's header."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in turn)
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def shown_by_ffmpeg(path: Path, size: tuple[int, int], filters: str = SQUARE) -> np.ndarray:
    command = [FFMPEG, "-v", "error", "-i", str(path), "-vf", filters, "-f", "rawvideo", "-pix_fmt", "rgb24"]
    raw = subprocess.run([*command, "-fps_mode", "passthrough", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, *size, 3)


def agree(path: Path, filters: str = SQUARE) -> list[np.ndarray]:
    ours = [frame.pixels for frame in VideoReader(path)]
    theirs = shown_by_ffmpeg(path, ours[0].shape[:2], filters)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).mean() < 3
    return ours


@pytest.mark.parametrize("aspect", ASPECTS, ids=str)
@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_turns_mirrors_and_pixels_that_are_not_square(
    tmp_path: Path, turn: tuple[int, int, int, int], aspect: Fraction
) -> None:
    agree(laid(film(tmp_path / "film.mp4", aspect), turn))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *((f"film.{kind}", "mpeg4") for kind in ("mkv", "mov", "avi", "ts", "3gp", "m4v")),
        *((f"film.{kind}", "libx264") for kind in ("mkv", "mov", "ts", "m2ts", "flv")),
        *((f"film.{kind}", "mpeg2video") for kind in ("mpg", "ts", "mkv", "vob")),
        *(("film.flv", "flv"), ("film.wmv", "wmv2"), ("film.webm", "libvpx")),
    ],
)
def test_containers_and_codecs(tmp_path: Path, name: str, codec: str) -> None:
    agree(film(tmp_path / name, Fraction(1) if codec == "flv" else Fraction(4, 3), codec, frames=12))


def test_an_attached_picture_is_no_film_though_it_is_first_and_larger(tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    Image.fromarray(picture(9, (480, 640))).save(cover)
    inputs = ["-i", str(cover), "-i", str(film(tmp_path / "film.mp4"))]
    made = ["-c", "copy", "-disposition:0", "attached_pic"]
    both, alone = tmp_path / "both.mp4", tmp_path / "alone.mp4"
    subprocess.run([FFMPEG, "-v", "error", *inputs, "-map", "0", "-map", "1", *made, str(both)], check=True)
    assert len(agree(both)) == 3
    subprocess.run([FFMPEG, "-v", "error", *inputs, "-map", "0", *made, str(alone)], check=True)
    with pytest.raises(SourceError, match="holds no moving pictures"):
        VideoReader(alone)


def test_of_several_films_the_default_one_counts_then_the_largest(tmp_path: Path) -> None:
    small, large = film(tmp_path / "small.mp4"), film(tmp_path / "large.mp4", side=2)
    for number, (default, expected) in enumerate((("0", 96), ("default", 48))):
        path = tmp_path / f"{number}.mkv"
        command = [FFMPEG, "-v", "error", "-i", str(small), "-i", str(large), "-map", "0", "-map", "1", "-c", "copy"]
        subprocess.run([*command, "-disposition:0", default, "-disposition:1", "0", str(path)], check=True)
        assert agree(path)[0].shape[0] == expected


def test_frames_of_another_size_are_brought_to_the_firsts_and_counted(tmp_path: Path) -> None:
    parts = [film(tmp_path / f"{side}.ts", codec="mpeg2video", side=side, frames=12) for side in (1, 2)]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = agree(path, "scale=64:48:flags=bicubic,setsar=1")
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    reader = VideoReader(path)
    assert len(list(reader)) == len(frames)
    assert 10 <= reader.resized <= 12


def test_a_damaged_stretch_loses_its_frames_and_not_the_film(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", codec="mjpeg", frames=30)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 8
    middle = start + (data.index(b"moov", start) - start) // 2
    data[middle - 2500 : middle + 2500] = b"\xff" * 5000
    path.write_bytes(data)
    reader = VideoReader(path)
    frames = list(reader)
    assert reader.lost > 0
    assert 15 < len(frames) < 30
    assert frames[-1].seconds > 1.0  # the times of those behind it are their own


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    path = tmp_path / "uneven.mkv"
    times = [0, 40, 100, 350, 400, 1200]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for place, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(place), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert [frame.seconds for frame in VideoReader(path)] == pytest.approx([time / 1000 for time in times], abs=2e-3)


def test_a_film_of_one_frame_is_one(tmp_path: Path) -> None:
    assert len(list(VideoReader(write_video(tmp_path / "one.mp4", 1)))) == 1
