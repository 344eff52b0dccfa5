import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from eagrctl.parsing.video import writing
from eagrctl.parsing.video.frames import VideoReader
from eagrctl.parsing.video.writing import join_parts, part_writer
from eagrctl_tests.parsing.video.videos import LEFT, RIGHT, write_video


def copy_of(reader: VideoReader, path: Path) -> None:
    with part_writer(path.with_suffix(".part"), reader.rate, (48, 64)) as write:
        for frame in reader:
            write(frame.pixels, frame.seconds)
    join_parts([path.with_suffix(".part")], path, reader)


@pytest.mark.parametrize("encoders", [writing.ENCODERS, ("no such encoder", "mpeg4")])
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_a_video_that_is_written_has_the_frames_the_rate_and_the_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoders: tuple[str, ...], size: tuple[int, int]
) -> None:
    monkeypatch.setattr(writing, "ENCODERS", encoders)
    rate = Fraction(24000, 1001)
    halves = np.empty((*size, 3), np.uint8)
    halves[:, :32], halves[:, 32:] = LEFT, RIGHT
    parts = []
    for number, places in enumerate((range(4), range(4, 5), range(5, 9))):
        parts.append(tmp_path / f"{number}.part")
        with part_writer(parts[-1], rate, size) as write:
            for place in places:
                write(halves, place / float(rate))
    join_parts(parts, tmp_path / "clip.mp4.part", VideoReader(parts[0]))
    reader = VideoReader(tmp_path / "clip.mp4.part")
    frames = list(reader)
    assert float(reader.rate) == pytest.approx(float(rate), rel=1e-4)
    assert [frame.seconds for frame in frames] == pytest.approx([place / rate for place in range(9)], abs=1e-4)
    assert frames[4].pixels.shape == (size[0] // 2 * 2, size[1] // 2 * 2, 3)
    for colour, columns in ((LEFT, slice(4, 24)), (RIGHT, slice(40, 58))):
        assert np.abs(frames[4].pixels[10:30, columns].astype(int) - colour).max() < 12


def test_frames_of_another_size_and_of_one_time_do_not_stop_it(tmp_path: Path) -> None:
    for part in ("a.mp4", "b.mp4"):
        with part_writer(tmp_path / part, Fraction(25), (48, 64)) as write:
            for size in ((48, 64), (30, 80), (60, 20)):
                write(np.full((*size, 3), 200, np.uint8), 0.0)
    join_parts([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "clip.mp4", VideoReader(tmp_path / "a.mp4"))
    assert [frame.pixels.shape for frame in VideoReader(tmp_path / "clip.mp4")] == [(48, 64, 3)] * 6


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
    copy_of(reader, tmp_path / "copy.mp4")
    before, after = heard(path), heard(tmp_path / "copy.mp4")
    before = [packet for packet in before if packet[0] >= 0]
    assert [data for _, data in after] == [data for _, data in before]
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=0.03)
    assert len(list(VideoReader(tmp_path / "copy.mp4"))) == 25


def test_sound_that_an_mp4_does_not_hold_is_left_out(tmp_path: Path) -> None:
    path = with_sound(write_video(tmp_path / "silent.mp4", 5), tmp_path / "clip.mkv", "pcm_s16le")
    reader = VideoReader(path)
    copy_of(reader, tmp_path / "copy.mp4")
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert not container.streams.audio
