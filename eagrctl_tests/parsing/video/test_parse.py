import errno
import json
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from eagrctl.errors import EagrctlError
from eagrctl.events import Notice, Progress
from eagrctl.locks import locked
from eagrctl.parsing.files import ResultFolder
from eagrctl.parsing.parsed import Tally
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.video.frames import VideoReader
from eagrctl.parsing.video.parse import parse_video
from eagrctl_tests.parsing.photos import PaintedParser, results_in
from eagrctl_tests.parsing.video.videos import write_video


@pytest.fixture
def clip(tmp_path: Path) -> Photo:
    return Photo(write_video(tmp_path / "clip.mp4", 9, Fraction(10)), "trip/clip")


def run(video: Photo, folder: ResultFolder, **options: Any) -> tuple[Tally, PaintedParser]:
    parser, tally = PaintedParser(), Tally()
    parse_video(parser, video, folder, tally, **options)  # type: ignore[arg-type]
    return tally, parser


def names(folder: ResultFolder) -> list[str]:
    return sorted(path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file())


def test_a_video_leaves_labels_of_each_frame_an_overlay_a_legend_and_json(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    events: list[Progress | Notice] = []
    tally, _ = run(clip, folder, listener=events.append)
    assert (tally.total, tally.pictures, tally.faces, tally.failed) == (1, 9, 9, [])
    frames = [f"trip/clip.frames/{number:06}.png" for number in range(1, 10)]
    assert names(folder) == [*frames, "trip/clip.json", "trip/clip.legend.png", "trip/clip.overlay.mp4"]
    with Image.open(folder.path / frames[4]) as labels:
        assert (labels.mode, labels.size) == ("P", (64, 48))
        assert set(np.unique(np.asarray(labels))) >= {1, 13}
    shown = VideoReader(folder.path / "trip/clip.overlay.mp4")
    assert (shown.rate, shown.expected) == (10, 9)
    assert [frame.pixels.shape for frame in shown] == [(48, 64, 3)] * 9
    told = [event for event in events if isinstance(event, Progress)]
    assert {event.task for event in told} == {"parsing clip.mp4"}
    assert told[-1].done == told[-1].total == 9
    assert not [event for event in events if isinstance(event, Notice)]


def test_the_json_lists_the_frames(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    run(clip, folder, every=4)
    record = json.loads((folder.path / "trip/clip.json").read_text())
    assert record["video"]["path"] == str(clip.path.resolve())
    assert (record["video"]["width"], record["video"]["height"], record["video"]["rate"]) == (64, 48, 10)
    assert record["every"] == 4
    assert [frame["frame"] for frame in record["frames"]] == [1, 5, 9]
    assert [frame["seconds"] for frame in record["frames"]] == [0, 0.4, 0.8]
    assert record["found"] == {"frames": 3, "faces": 3}
    for frame in record["frames"]:
        assert (folder.path / frame["labels"]).is_file()
        labels = np.asarray(Image.open(folder.path / frame["labels"]))
        assert frame["shares"]["hair"] == pytest.approx((labels == 13).mean(), abs=1e-6)
        assert frame["faces"][0]["box"] == [16, 20, 56, 60]
    for name in record["files"].values():
        assert (folder.path / name).exists()


def test_every_fourth_frame_makes_an_overlay_of_the_same_length(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    run(clip, folder, every=4)
    shown = VideoReader(folder.path / "trip/clip.overlay.mp4")
    assert [frame.seconds for frame in shown] == pytest.approx([0, 0.4, 0.8])


def test_without_overlay_there_is_neither_video_nor_legend(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out", overlay=False)
    run(clip, folder, every=9)
    assert names(folder) == ["trip/clip.frames/000001.png", "trip/clip.json"]
    assert run(clip, folder, every=9)[0].skipped == 1
    assert run(clip, results_in(tmp_path / "out"), every=9)[0].skipped == 0


def test_a_video_that_is_done_is_skipped_until_something_changes(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    run(clip, folder, every=3)
    tally, parser = run(clip, folder, every=3)
    assert (tally.skipped, parser.seen) == (1, [])
    assert run(clip, folder, every=3, force=True)[0].skipped == 0
    assert run(clip, folder, every=5)[0].skipped == 0
    assert len(list((folder.path / "trip/clip.frames").iterdir())) == 2
    os.utime(clip.path, ns=(1, 1))
    assert run(clip, folder, every=5)[0].skipped == 0


@pytest.mark.parametrize("name", ["clip.json", "clip.overlay.mp4", "clip.legend.png", "clip.frames/notes.txt"])
def test_what_something_else_wrote_is_never_replaced(tmp_path: Path, clip: Photo, name: str) -> None:
    folder = results_in(tmp_path / "out")
    foreign = folder.path / "trip" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text("years of work")
    for force in (False, True):
        tally, parser = run(clip, folder, force=force)
        assert "is in the way, which eagrctl parse did not write" in tally.failed[0][1]
        assert parser.seen == []
    assert foreign.read_text() == "years of work"
    assert len(names(folder)) == 1


def test_the_result_of_another_video_is_replaced_by_force_alone(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    run(clip, folder, every=9)
    other = Photo(write_video(tmp_path / "other.mp4", 3), clip.name)
    tally, _ = run(other, folder)
    assert "is the result of" in tally.failed[0][1]
    assert run(other, folder, force=True)[0].pictures == 3


def test_a_video_without_frames_is_a_bad_file(tmp_path: Path) -> None:
    write_video(tmp_path / "sound.mp4", 0, sound=True)
    whole = write_video(tmp_path / "whole.mkv", 30).read_bytes()
    # Up to the first cluster of frames, and a little of it.
    (tmp_path / "header.mkv").write_bytes(whole[: whole.index(b"\x1f\x43\xb6\x75") + 20])
    folder = results_in(tmp_path / "out")
    for name, complaint in (("sound.mp4", "holds no moving pictures"), ("header.mkv", "holds no frames")):
        tally, _ = run(Photo(tmp_path / name, "none"), folder)
        assert complaint in tally.failed[0][1]
    assert names(folder) == []


def test_a_video_that_ends_too_early_is_told_of(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 60, front=True).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    events: list[Progress | Notice] = []
    tally, parser = run(Photo(tmp_path / "cut.mp4", "cut"), results_in(tmp_path / "out"), listener=events.append)
    assert not tally.failed
    assert 5 < len(parser.seen) < 50
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "says that it lasts 2.4 seconds" in notice.text
    assert notice.warning


def test_without_pyav_a_video_is_a_bad_file(tmp_path: Path, clip: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    tally, _ = run(clip, results_in(tmp_path / "out"))
    assert "pip install 'eagrctl[video]'" in tally.failed[0][1]


@pytest.mark.parametrize("what", ["files.save_labels", "video.parse.save_whole", "record.compact"])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    tmp_path: Path, clip: Photo, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = results_in(tmp_path / "out")
    run(clip, folder, every=3)
    before = contents(folder)
    calls = 0

    def full(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls > 1 or what.endswith("save_whole"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"eagrctl.parsing.{what}", full)
    with pytest.raises(EagrctlError, match=r"cannot write .*clip.json \(No space left on device\): make room"):
        run(clip, folder)
    assert {name: content for name, content in contents(folder).items() if ".eagrctl" not in name} == before
    monkeypatch.undo()
    run(clip, folder)
    assert not [name for name in names(folder) if ".eagrctl" in name]
    assert len(names(folder)) == 12


def test_an_interrupt_before_the_first_part_leaves_nothing(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    interrupt(clip, folder, 4)
    assert names(folder) == []
    assert [path.name for path in (folder.path / "trip").iterdir()] == []


class Killed(PaintedParser):
    """Stops in the middle, as Ctrl-C does."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def parse_many(self, *arguments: Any, **options: Any) -> Any:
        for number, parsed in enumerate(super().parse_many(*arguments, **options)):
            if number == self.frames:
                raise KeyboardInterrupt
            yield parsed


def interrupt(video: Photo, folder: ResultFolder, frames: int, **options: Any) -> Tally:
    tally = Tally()
    with pytest.raises(KeyboardInterrupt):
        parse_video(Killed(frames), video, folder, tally, **options)  # type: ignore[arg-type]
    return tally


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eagrctl.parsing.video.parse.LENGTH", 3)


def contents(folder: ResultFolder) -> dict[str, bytes]:
    return {name: (folder.path / name).read_bytes() for name in names(folder)}


def assert_same(folder: ResultFolder, other: ResultFolder) -> None:
    """All files to the last byte; but overlays by what they show: FFmpeg does not write them alike each time."""
    found, expected = contents(folder), contents(other)
    film = "trip/clip.overlay.mp4"
    assert {name: content for name, content in found.items() if name != film} == {
        name: content for name, content in expected.items() if name != film
    }
    shown, wanted = (list(VideoReader(each.path / film)) for each in (folder, other))
    assert [frame.seconds for frame in shown] == [frame.seconds for frame in wanted]
    for frame, same in zip(shown, wanted, strict=True):
        assert np.abs(frame.pixels.astype(int) - same.pixels).mean() < 4


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize("frames", [3, 4, 8])
def test_an_interrupted_film_goes_on_from_its_last_whole_part(tmp_path: Path, clip: Photo, frames: int) -> None:
    whole, folder = results_in(tmp_path / "whole"), results_in(tmp_path / "out")
    run(clip, whole)
    interrupt(clip, folder, frames)
    assert {Path(name).parts[1].rsplit(".")[-1] for name in names(folder)} == {"film"}
    events: list[Progress | Notice] = []
    tally, _ = run(clip, folder, listener=events.append)
    kept = frames // 3 * 3
    assert tally.pictures == 9 - kept
    assert [event.text for event in events if isinstance(event, Notice)] == [
        f"{clip.path} goes on from frame {kept + 1}"
    ]
    assert_same(folder, whole)


@pytest.mark.usefixtures("short_parts")
def test_what_was_begun_in_another_way_is_begun_anew(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    interrupt(clip, folder, 7)
    assert run(clip, folder, steady=False)[0].pictures == 9
    interrupt(clip, folder, 7, force=True)
    os.utime(clip.path, (0, 0))
    assert run(clip, folder, force=True)[0].pictures == 9
    assert [name for name in names(folder) if ".eagrctl" in name] == []


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize("ruin", ["0000.json", "0000.nut", "frames/000002.png"])
@pytest.mark.parametrize("how", ["gone", "other"])
def test_a_damaged_part_counts_as_nothing(tmp_path: Path, clip: Photo, ruin: str, how: str) -> None:
    whole, folder = results_in(tmp_path / "whole"), results_in(tmp_path / "out")
    run(clip, whole)
    interrupt(clip, folder, 7)
    (part,) = (folder.path / "trip").glob(".eagrctl-*.film")
    (part / ruin).unlink()
    if how == "other":
        (part / ruin).mkdir()
    assert run(clip, folder)[0].pictures == 9
    assert_same(folder, whole)


@pytest.mark.usefixtures("short_parts")
def test_a_part_chooses_no_file(tmp_path: Path, clip: Photo) -> None:
    whole, folder = results_in(tmp_path / "whole"), results_in(tmp_path / "out")
    run(clip, whole)
    interrupt(clip, folder, 7)
    (part,) = (folder.path / "trip").glob(".eagrctl-*.film/0000.json")
    written = part.read_text(encoding="utf-8")
    part.write_text(written.replace("trip/clip.frames/000002.png", "../../secret.png"), encoding="utf-8")
    assert part.read_text(encoding="utf-8") != written
    run(clip, folder)
    assert_same(folder, whole)


@pytest.mark.usefixtures("short_parts")
def test_a_link_in_the_place_of_parts_is_not_followed(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    interrupt(clip, folder, 7)
    (part,) = (folder.path / "trip").glob(".eagrctl-*.film")
    part.rename(tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    assert run(clip, folder)[0].pictures == 9
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before


@pytest.mark.usefixtures("short_parts")
def test_two_processes_do_not_parse_one_film_into_one_folder(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    interrupt(clip, folder, 4)
    (part,) = (folder.path / "trip").glob(".eagrctl-*.film")
    with locked(part):
        tally, _ = run(clip, folder)
    assert "is being filled by another eagrctl" in tally.failed[0][1]
    assert run(clip, folder)[0].pictures == 6


def test_what_a_killed_run_left_in_the_place_of_results_is_replaced(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    # Killed while the results were being moved into place.
    (folder.path / "trip" / "clip.frames").mkdir(parents=True)
    (folder.path / "trip" / "clip.frames" / "000007.png").touch()
    (folder.path / "trip" / "clip.overlay.mp4").touch()
    assert run(clip, folder, every=9)[0].pictures == 1
    assert names(folder) == [
        "trip/clip.frames/000001.png",
        "trip/clip.json",
        "trip/clip.legend.png",
        "trip/clip.overlay.mp4",
    ]


@pytest.mark.parametrize("name", ["notes.txt", "7.png"])
def test_a_folder_of_frames_that_holds_something_else_is_left_alone(tmp_path: Path, clip: Photo, name: str) -> None:
    folder = results_in(tmp_path / "out")
    run(clip, folder, every=9)
    mine = folder.path / "trip" / "clip.frames" / name
    mine.write_text("years of work")
    tally, _ = run(clip, folder, force=True)
    assert "lists files that are not of such a result" in tally.failed[0][1]
    assert mine.read_text() == "years of work"


def test_a_link_in_the_place_of_frames_is_not_followed(tmp_path: Path, clip: Photo) -> None:
    folder = results_in(tmp_path / "out")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "000001.png").write_text("years of work")
    (folder.path / "trip").mkdir()
    (folder.path / "trip" / "clip.frames").symlink_to(victim)
    tally, _ = run(clip, folder, force=True)
    assert "is in the way" in tally.failed[0][1]
    assert (victim / "000001.png").read_text() == "years of work"


def test_a_pipe_that_is_called_like_a_video_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.mp4")
    tally, _ = run(Photo(tmp_path / "clip.mp4", "clip"), results_in(tmp_path / "out"))
    assert "is a pipe, a socket or a device" in tally.failed[0][1]


def test_metadata_that_are_no_text_are_no_reason_to_refuse_a_video(tmp_path: Path, clip: Photo) -> None:
    with av.open(str(clip.path)) as source, av.open(str(tmp_path / "titled.mkv"), "w") as target:
        target.metadata["title"] = "QQQQ"
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    data = (tmp_path / "titled.mkv").read_bytes()
    assert b"QQQQ" in data
    (tmp_path / "titled.mkv").write_bytes(data.replace(b"QQQQ", b"\xff\xfe\xe4\xf6"))
    tally, _ = run(Photo(tmp_path / "titled.mkv", "titled"), results_in(tmp_path / "out"))
    assert not tally.failed
