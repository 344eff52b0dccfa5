from pathlib import Path

import pytest

from eagrctl.cli.parse import NAMED, counted, show
from eagrctl.parsing.batch import Tally
from eagrctl.parsing.photos import Photo
from eagrctl_tests.parsing.photos import results_in


def test_of_many_photos_without_a_face_some_are_named_and_the_rest_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [Photo(Path(f"{number}.jpg"), str(number)) for number in range(NAMED + 7)]
    tally = Tally(len(photos), pictures=len(photos), without=photos, seconds=2.0)
    show({"photo": tally}, results_in(tmp_path), photos)
    out, err = capsys.readouterr()
    assert f"No face was found in {NAMED + 7} photos" in err
    assert sum(line.startswith("  ") and line.endswith(".jpg") for line in err.splitlines()) == NAMED
    assert "  and 7 more" in err
    assert " faces a second " in out


def test_bad_files_are_all_named_and_a_rate_needs_faces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = [Photo(Path(f"{number}.jpg"), str(number)) for number in range(300)]
    tally = Tally(300, failed=[(photo, f"{photo.path} is damaged") for photo in photos], seconds=1.0)
    show({"photo": tally}, results_in(tmp_path), photos)
    out, err = capsys.readouterr()
    assert err.count("Error: ") == 300
    assert "Wrote" not in err
    (row,) = [line for line in out.splitlines() if "│ photos" in line]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["photos", "300", "0", "0", "300", "0", "1.0", ""]


def test_numbers_agree_with_their_nouns() -> None:
    assert (counted(1, "face"), counted(0, "face"), counted(1200, "photo")) == ("1 face", "0 faces", "1,200 photos")
