import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

import eagrctl.parsing.video.frames as video_file
from eagrctl.errors import SourceError
from eagrctl.parsing.video.frames import VideoReader, video_writer
from eagrctl_tests.parsing.video.videos import LEFT, RIGHT, ROTATIONS, picture, rotated, write_video


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 7, Fraction(30000, 1001))
    reader = VideoReader(path)
    frames = list(reader)
    assert (reader.rate, reader.expected) == (Fraction(30000, 1001), 7)
    assert reader.duration == pytest.approx(7 * 1001 / 30000, abs=1e-3)
    assert [frame.number for frame in frames] == list(range(1, 8))
    assert [frame.seconds for frame in frames] == pytest.approx([place * 1001 / 30000 for place in range(7)], abs=1e-3)
    for place, frame in enumerate(frames):
        assert frame.pixels.shape == (48, 64, 3)
        assert np.abs(frame.pixels.astype(int) - picture(place)).mean() < 12


def test_every_third_frame_begins_with_the_first(tmp_path: Path) -> None:
    reader = VideoReader(write_video(tmp_path / "clip.mkv", 8), every=3)
    assert [frame.number for frame in reader] == [1, 4, 7]
    assert reader.expected == 3


@pytest.mark.parametrize("turn", ROTATIONS)
def test_a_video_that_was_filmed_turned_is_upright(tmp_path: Path, turn: int) -> None:
    path = rotated(write_video(tmp_path / "clip.mp4", 2), turn)
    shown = next(iter(VideoReader(path))).pixels.astype(int)
    expected = np.rot90(picture(0), -turn // 90)  # the file says how far players turn it clockwise
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 12


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("empty.mp4", "cannot be read as a video"),
        ("text.mp4", "cannot be read as a video"),
        ("headless.mp4", "cannot be read as a video"),
        ("sound.mp4", "holds no moving pictures that can be decoded: give a video"),
        ("missing.mp4", "is missing"),
    ],
)
def test_what_is_no_video_is_one_line(tmp_path: Path, name: str, complaint: str) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("dear diary\n" * 50)
    whole = write_video(tmp_path / "whole.mp4", 20).read_bytes()
    (tmp_path / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    write_video(tmp_path / "sound.mp4", 0, sound=True)
    with pytest.raises(SourceError, match=complaint) as caught:
        VideoReader(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_video_of_which_nothing_can_be_decoded_is_one_line(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 40, front=True, codec="libx264")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = b"\xff" * (len(data) - start)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"clip.mp4 is truncated or damaged.*: copy or fetch it again"):
        list(VideoReader(path))


def test_without_pyav_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SourceError, match=r"pip install 'eagrctl\[video\]'"):
        VideoReader(tmp_path / "clip.mp4")


@pytest.mark.parametrize("encoders", [video_file.ENCODERS, ("no such encoder", "mpeg4")])
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_a_video_that_is_written_has_the_frames_the_rate_and_the_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoders: tuple[str, ...], size: tuple[int, int]
) -> None:
    monkeypatch.setattr(video_file, "ENCODERS", encoders)
    rate = Fraction(24000, 1001)
    halves = np.empty((*size, 3), np.uint8)
    halves[:, :32], halves[:, 32:] = LEFT, RIGHT
    with video_writer(tmp_path / "clip.mp4.part", rate, size) as write:
        for place in range(9):
            write(halves, place / float(rate))
    reader = VideoReader(tmp_path / "clip.mp4.part")
    frames = list(reader)
    assert float(reader.rate) == pytest.approx(float(rate), rel=1e-4)
    assert len(frames) == 9
    assert frames[4].pixels.shape == (size[0] // 2 * 2, size[1] // 2 * 2, 3)
    for colour, columns in ((LEFT, slice(4, 24)), (RIGHT, slice(40, 58))):
        assert np.abs(frames[4].pixels[10:30, columns].astype(int) - colour).max() < 12


def test_frames_of_another_size_and_of_one_time_do_not_stop_it(tmp_path: Path) -> None:
    with video_writer(tmp_path / "clip.mp4", Fraction(25), (48, 64)) as write:
        for size in ((48, 64), (30, 80), (60, 20)):
            write(np.full((*size, 3), 200, np.uint8), 0.0)
    assert [frame.pixels.shape for frame in VideoReader(tmp_path / "clip.mp4")] == [(48, 64, 3)] * 3


def test_the_rotation_that_tests_write_is_a_matrix_of_the_format(tmp_path: Path) -> None:
    path = rotated(write_video(tmp_path / "clip.mp4", 1), 90)
    place = path.read_bytes().index(b"tkhd") + 44
    assert struct.unpack(">9i", path.read_bytes()[place : place + 36])[:5] == (0, 1 << 16, 0, -(1 << 16), 0)


def with_sound(video: Path, path: Path, codec: str) -> Path:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(video), "-f", "lavfi", "-i", "sine=d=1"]
    subprocess.run([*command, "-c:v", "copy", "-c:a", codec, "-shortest", str(path)], check=True)
    return path


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_sound_is_copied_as_it_is_and_begins_with_the_first_frame(tmp_path: Path, name: str) -> None:
    def heard(path: Path) -> list[tuple[float, bytes]]:
        with av.open(str(path)) as container:
            (stream,) = container.streams.audio
            packets = [packet for packet in container.demux(stream) if packet.dts is not None]
            return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]

    path = with_sound(write_video(tmp_path / "silent.mp4", 25), tmp_path / name, "aac")
    reader = VideoReader(path)
    with video_writer(tmp_path / "copy.mp4", reader.rate, (48, 64), reader) as write:
        for frame in reader:
            write(frame.pixels, frame.seconds)
    before, after = heard(path), heard(tmp_path / "copy.mp4")
    before = [packet for packet in before if packet[0] >= 0]
    assert [data for _, data in after] == [data for _, data in before]
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=0.03)
    assert len(list(VideoReader(tmp_path / "copy.mp4"))) == 25


def test_sound_that_an_mp4_does_not_hold_is_left_out(tmp_path: Path) -> None:
    path = with_sound(write_video(tmp_path / "silent.mp4", 5), tmp_path / "clip.mkv", "pcm_s16le")
    reader = VideoReader(path)
    with video_writer(tmp_path / "copy.mp4", reader.rate, (48, 64), reader) as write:
        for frame in reader:
            write(frame.pixels, frame.seconds)
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert not container.streams.audio
