import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from eagrctl.errors import SourceError
from eagrctl.parsing.video.frames import VideoReader
from eagrctl_tests.parsing.video.videos import ROTATIONS, picture, rotated, write_video


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


@pytest.mark.parametrize("every", [1, 3])
def test_the_frames_behind_one_are_those_of_the_whole(tmp_path: Path, every: int) -> None:
    reader = VideoReader(write_video(tmp_path / "clip.mp4", 11), every)
    whole = list(reader)
    behind = list(reader.behind(4))
    assert [frame.number for frame in behind] == [frame.number for frame in whole if frame.number > 4]
    for frame, same in zip(behind, whole[-len(behind) :], strict=True):
        assert frame.seconds == same.seconds
        np.testing.assert_array_equal(frame.pixels, same.pixels)


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


def test_the_rotation_that_tests_write_is_a_matrix_of_the_format(tmp_path: Path) -> None:
    path = rotated(write_video(tmp_path / "clip.mp4", 1), 90)
    place = path.read_bytes().index(b"tkhd") + 44
    assert struct.unpack(">9i", path.read_bytes()[place : place + 36])[:5] == (0, 1 << 16, 0, -(1 << 16), 0)
