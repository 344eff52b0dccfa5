import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from eagrctl.errors import EagrctlError, SourceError
from eagrctl.events import Notice, Progress
from eagrctl.files import TEMPORARY
from eagrctl.locks import locked
from eagrctl.parsing.batch import parse_files, parse_photos
from eagrctl.parsing.files import ResultFolder
from eagrctl.parsing.parsed import Tally
from eagrctl.parsing.photos import Photo
from eagrctl_tests.parsing.photos import PaintedParser, results_in


def photos_in(folder: Path, *names: str) -> list[Photo]:
    folder.mkdir(exist_ok=True)
    photos = [Photo(folder / f"{name}.jpg", name) for name in names]
    for photo in photos:
        Image.new("RGB", (4, 4)).save(photo.path)
    return photos


def run(photos: list[Photo], folder: ResultFolder, **options: Any) -> tuple[Tally, PaintedParser]:
    parser, tally = PaintedParser(), Tally()
    parse_photos(parser, photos, folder, tally, **options)  # type: ignore[arg-type]
    return tally, parser


def test_photos_are_parsed_and_counted(tmp_path: Path) -> None:
    photos = photos_in(tmp_path / "in", "a2", "b0", "c1")
    events: list[Progress | Notice] = []
    tally, _ = run(photos, results_in(tmp_path / "out"), listener=events.append)
    assert (tally.total, tally.pictures, tally.faces, tally.skipped) == (3, 3, 3, 0)
    assert tally.without == [photos[1]]
    assert tally.failed == []
    assert sorted(path.name for path in (tmp_path / "out").glob("*.json")) == ["a2.json", "b0.json", "c1.json"]
    told = [event for event in events if isinstance(event, Progress) and event.task == "parsing"]
    assert [event.done for event in told] == [0, 1, 2, 3]
    assert told[-1].note == "3 faces"


def test_the_same_again_skips_what_is_done(tmp_path: Path) -> None:
    photos, folder = photos_in(tmp_path / "in", "a1", "b2"), results_in(tmp_path / "out")
    run(photos[:1], folder)
    before = (tmp_path / "out" / "a1.json").stat().st_mtime_ns
    tally, parser = run(photos, folder)
    assert parser.seen == ["b2.jpg"]
    assert (tally.total, tally.skipped, tally.pictures) == (2, 1, 1)
    assert (tmp_path / "out" / "a1.json").stat().st_mtime_ns == before
    tally, parser = run(photos, folder, force=True)
    assert parser.seen == ["a1.jpg", "b2.jpg"]


def test_bad_files_are_listed_and_the_others_go_on(tmp_path: Path) -> None:
    photos = photos_in(tmp_path / "in", "a1", "b1", "c1", "d1")
    photos[1].path.write_bytes(b"no photo")
    (tmp_path / "out").mkdir()
    Image.new("L", (3, 3)).save(tmp_path / "out" / "c1.png")
    tally, parser = run(photos, results_in(tmp_path / "out"))
    assert parser.seen == ["a1.jpg", "b1.jpg", "d1.jpg"]
    assert tally.pictures == 2
    reasons = {photo.name: reason for photo, reason in tally.failed}
    assert reasons.keys() == {"b1", "c1"}
    assert "damaged" in reasons["b1"]
    assert "is in the way" in reasons["c1"]


def test_a_result_whose_name_is_too_long_is_a_bad_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, folder = photos_in(tmp_path / "in", "a1", "b1"), results_in(tmp_path / "out")
    real = ResultFolder.write

    def write(self: ResultFolder, photo: Photo, *rest: Any) -> None:
        if photo.name == "a1":
            raise SourceError("too long")
        real(self, photo, *rest)

    monkeypatch.setattr(ResultFolder, "write", write)
    tally, _ = run(photos, folder)
    assert tally.failed == [(photos[0], "too long")]
    assert (tmp_path / "out" / "b1.json").is_file()


@pytest.mark.parametrize("kilobytes", [0, 1, 3])
def test_a_disk_that_fills_up_stops_with_one_line_and_leaves_nothing_half(tmp_path: Path, kilobytes: int) -> None:
    photos_in(tmp_path / "in", *(f"{letter}3" for letter in "abcdefgh"))
    # A limit on the size of files makes real writes fail; nothing is pretended.
    code = f"""
import resource, signal, sys
from pathlib import Path
from eagrctl.parsing.photos import find_photos
from eagrctl.errors import EagrctlError
from eagrctl.files import TEMPORARY
from eagrctl.locks import locked
from eagrctl.parsing.batch import parse_files, parse_photos
from eagrctl.parsing.parsed import Tally
from eagrctl_tests.parsing.photos import PaintedParser, results_in
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes} * 1024, {kilobytes} * 1024))
try:
    parse_photos(PaintedParser(), find_photos([sys.argv[1]]), results_in(Path(sys.argv[2])), Tally())
except EagrctlError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, tmp_path / "in", tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("cannot write ")
    assert result.stdout.endswith(" (File too large)\n")
    assert result.stdout.count("\n") == 1
    assert not list((tmp_path / "out").iterdir())


def test_an_interrupt_leaves_whole_results_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, folder = photos_in(tmp_path / "in", "a1", "b1", "c1"), results_in(tmp_path / "out")
    closed = threading.Event()

    class Interrupted(PaintedParser):
        def parse_many(self, *arguments: Any, **options: Any) -> Any:
            try:
                for number, parsed in enumerate(super().parse_many(*arguments, **options)):
                    if number == 2:
                        raise KeyboardInterrupt
                    yield parsed
            finally:
                closed.set()

    with pytest.raises(KeyboardInterrupt):
        parse_photos(Interrupted(), photos, folder, Tally())  # type: ignore[arg-type]
    assert closed.is_set()
    endings = (".json", ".overlay.jpg", ".png")
    assert sorted(path.name for path in folder.path.iterdir()) == [
        name + end for name in ("a1", "b1") for end in endings
    ]
    assert all(folder.is_done(photo) for photo in photos[:2])


def test_a_folder_that_cannot_be_written_to_any_more_ends_the_work(tmp_path: Path) -> None:
    photos, folder = (
        photos_in(tmp_path / "in", *(f"{letter}1" for letter in "abcdefghijkl")),
        results_in(tmp_path / "out"),
    )
    (tmp_path / "out").rmdir()
    (tmp_path / "out").touch()
    parser = PaintedParser()
    with pytest.raises(EagrctlError, match="there is a file of that name"):
        parse_photos(parser, photos, folder, Tally())  # type: ignore[arg-type]
    assert len(parser.seen) < len(photos)


def test_while_one_fills_the_folder_another_one_is_told_and_takes_nothing_away(tmp_path: Path) -> None:
    photos = photos_in(tmp_path, "a1", "b2")
    folder = results_in(tmp_path / "out")
    with locked(folder.path), pytest.raises(EagrctlError, match="is being filled by another eagrctl"):
        parse_files(PaintedParser(), photos, folder)  # type: ignore[arg-type]
    assert parse_files(PaintedParser(), photos, folder)["photo"].skipped == 0  # type: ignore[arg-type]
    before = sorted(path.name for path in folder.path.iterdir())
    with locked(folder.path), pytest.raises(EagrctlError, match="is being filled by another eagrctl"):
        parse_files(PaintedParser(), photos, folder, force=True)  # type: ignore[arg-type]
    assert sorted(path.name for path in folder.path.iterdir()) == before


def test_what_killed_runs_left_unfinished_is_cleared_away(tmp_path: Path) -> None:
    photos = photos_in(tmp_path, "a1")
    folder = results_in(tmp_path / "out")
    stale = folder.path / TEMPORARY.replace("*", "0123456789abcdef")
    stale.write_text("half a picture")
    parse_files(PaintedParser(), photos, folder)  # type: ignore[arg-type]
    assert not stale.exists()
