import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.errors import EagrctlError, SourceError
from eagrctl.parsing.files import ResultFolder, make_folder, write_probabilities
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.record import Stamp
from eagrctl_tests.parsing.photos import SETTINGS, SIZE, parsed_photo, results_in


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    Image.fromarray(parsed_photo().image).save(tmp_path / "one.jpg")
    return Photo(tmp_path / "one.jpg", "trip/one.v2")


def stamp_of(photo: Photo) -> Stamp:
    stamp = Stamp.of(photo.path)
    assert stamp is not None
    return stamp


def names(folder: ResultFolder) -> list[str]:
    return sorted(path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file())


def test_all_that_is_wanted_is_written(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out", per_face=True, probabilities=True)
    parsed = parsed_photo(1, 2, probabilities=True)
    folder.write(photo, parsed, stamp_of(photo))
    endings = (".face-1.png", ".face-2.png", ".json", ".npz", ".overlay.jpg", ".png")
    assert names(folder) == [f"trip/one.v2{ending}" for ending in endings]
    labels = np.asarray(Image.open(folder.path / "trip/one.v2.png"))
    assert np.array_equal(labels, parsed.labels)
    second = np.asarray(Image.open(folder.path / "trip/one.v2.face-2.png"))
    assert second.shape == labels.shape
    assert not second[:, :76].any()
    assert np.array_equal(second[2:66, 76:140], parsed.faces[1].labels)
    record = folder.read(photo)
    assert record is not None
    assert record.files == {
        "labels": "trip/one.v2.png",
        "overlay": "trip/one.v2.overlay.jpg",
        "faces": ("trip/one.v2.face-1.png", "trip/one.v2.face-2.png"),
        "probabilities": "trip/one.v2.npz",
    }
    assert folder.is_done(photo)


def test_labels_and_json_are_written_always(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out", overlay=False)
    folder.write(photo, parsed_photo(1, 0), stamp_of(photo))
    assert names(folder) == ["trip/one.v2.json", "trip/one.v2.png"]
    assert not np.asarray(Image.open(folder.path / "trip/one.v2.png")).any()


@pytest.mark.parametrize(
    ("then", "now", "faces", "done"),
    [
        ({}, {}, 1, True),
        ({}, {"overlay": False}, 1, True),
        ({"overlay": False}, {}, 1, False),
        ({}, {"per_face": True}, 1, False),
        ({}, {"per_face": True}, 0, True),
        ({}, {"probabilities": True}, 1, False),
        ({}, {"probabilities": True}, 0, True),
        ({"per_face": True, "probabilities": True}, {}, 2, True),
    ],
)
def test_a_photo_is_done_where_all_that_is_wanted_is_there(
    tmp_path: Path, photo: Photo, then: dict[str, bool], now: dict[str, bool], faces: int, done: bool
) -> None:
    parsed = parsed_photo(1, faces, probabilities=True)
    results_in(tmp_path / "out", **then).write(photo, parsed, stamp_of(photo))
    assert results_in(tmp_path / "out", **now).is_done(photo) == done


def test_a_photo_that_changed_is_not_done(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    assert not folder.is_done(photo)
    folder.write(photo, parsed_photo(), stamp_of(photo))
    os.utime(photo.path, ns=(5, 5))
    assert not folder.is_done(photo)
    folder.claim(photo)


def test_other_settings_do_it_again(tmp_path: Path, photo: Photo) -> None:
    results_in(tmp_path / "out").write(photo, parsed_photo(), stamp_of(photo))
    folder = results_in(tmp_path / "out", replace(SETTINGS, weights_sha256="other"))
    assert not folder.is_done(photo)
    folder.claim(photo)


def test_a_result_that_is_gone_is_made_again(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    folder.write(photo, parsed_photo(), stamp_of(photo))
    (folder.path / "trip/one.v2.overlay.jpg").unlink()
    assert not folder.is_done(photo)


def test_results_that_are_no_longer_true_are_taken_away(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out", per_face=True)
    folder.write(photo, parsed_photo(1, 3), stamp_of(photo))
    folder.write(photo, parsed_photo(1, 1), stamp_of(photo))
    assert [name for name in names(folder) if ".face-" in name] == ["trip/one.v2.face-1.png"]


@pytest.mark.parametrize("name", ["one.v2.png", "one.v2.json"])
def test_what_something_else_wrote_is_never_replaced(tmp_path: Path, photo: Photo, name: str) -> None:
    folder = results_in(tmp_path / "out")
    (folder.path / "trip").mkdir()
    Image.new("L", (3, 3)).save(folder.path / "trip" / name, "PNG")
    for force in (False, True):
        with pytest.raises(SourceError, match=rf"trip/{name} is in the way, which eagrctl parse did not write"):
            folder.claim(photo, force)


def test_the_result_of_another_photo_is_replaced_by_force_alone(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    folder.write(photo, parsed_photo(), stamp_of(photo))
    (tmp_path / "other.jpg").write_bytes(b"another one")
    other = Photo(tmp_path / "other.jpg", photo.name)
    with pytest.raises(SourceError, match=r"one.v2.json is the result of .*/one.jpg: name another folder .* --force"):
        folder.claim(other)
    folder.claim(other, force=True)


def test_a_photo_that_was_moved_is_done_still(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    folder.write(photo, parsed_photo(), stamp_of(photo))
    moved = Photo(photo.path.rename(tmp_path / "moved.jpg"), photo.name)
    assert folder.is_done(moved)
    folder.claim(moved)


def test_what_a_killed_run_left_is_replaced(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    folder.write(photo, parsed_photo(), stamp_of(photo))
    folder.place(photo, ".json").unlink()
    folder.claim(photo)


@pytest.mark.parametrize("failing", [".png", ".overlay.jpg", ".face-2.png", ".npz", ".json"])
def test_where_one_file_cannot_be_written_none_is_left(
    tmp_path: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    folder = results_in(tmp_path / "out", per_face=True, probabilities=True)
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if str(target).endswith("v2" + failing):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EagrctlError, match=rf"v2{failing} \(No space left on device\): make room") as caught:
        folder.write(photo, parsed_photo(1, 2, probabilities=True), stamp_of(photo))
    assert not isinstance(caught.value, SourceError)
    assert names(folder) == []


def test_a_name_that_is_too_long_concerns_its_photo_alone(tmp_path: Path) -> None:
    folder = results_in(tmp_path / "out")
    with pytest.raises(SourceError, match="its name is too long"):
        folder.write(Photo(tmp_path / "one.jpg", "n" * 254), parsed_photo(), Stamp(1, 1))


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(EagrctlError, match="there is a file of that name; name another --output"):
            make_folder(path)


def test_colours_of_the_labels_are_those_of_the_classes(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    folder.write(photo, parsed_photo(), stamp_of(photo))
    with Image.open(folder.path / "trip/one.v2.png") as picture:
        shown = np.asarray(picture.convert("RGB"))
    assert np.array_equal(shown, np.array(CELEBAMASK_HQ.colours)[parsed_photo().labels])


def test_probabilities_are_kept_with_all_that_maps_them_to_the_photo(tmp_path: Path) -> None:
    photo = parsed_photo(3, 2, probabilities=True)
    write_probabilities(photo.faces, photo.classes, SIZE, tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz") as kept:
        assert kept["probabilities"].dtype == np.float16
        assert kept["probabilities"].shape == (2, 19, 7, 7)
        for place, face in enumerate(photo.faces):
            assert face.probabilities is not None
            assert np.abs(kept["probabilities"][place] - face.probabilities).max() < 1e-3
            assert np.array_equal(kept["matrices"][place], face.matrix)
        assert tuple(kept["classes"]) == photo.classes
        assert kept["size"] == SIZE


def test_probabilities_that_were_not_asked_for_cannot_be_written(tmp_path: Path) -> None:
    photo = parsed_photo()
    with pytest.raises(ValueError, match="without probabilities"):
        write_probabilities(photo.faces, photo.classes, SIZE, tmp_path / "p.npz")
    assert not list(tmp_path.iterdir())


def forge(folder: ResultFolder, photo: Photo, **files: object) -> None:
    """Let the record of a photo's result list other files."""
    path = folder.place(photo, ".json")
    table = json.loads(path.read_text())
    table["files"] = {**table["files"], **files}
    path.write_text(json.dumps(table))


@pytest.mark.parametrize("name", ["victim.png", "trip/two.png", "trip/one.v2.thesis.png", "trip/one.v2.face-0.png"])
def test_a_record_that_lists_other_files_removes_none(tmp_path: Path, photo: Photo, name: str) -> None:
    folder = results_in(tmp_path / "out")
    folder.write(photo, parsed_photo(), stamp_of(photo))
    victim = folder.path / name
    victim.write_text("years of work")
    forge(folder, photo, more=name)
    assert not folder.is_done(photo)
    for force in (False, True):
        with pytest.raises(SourceError, match=r"one\.v2\.json lists files that are not of such a result"):
            folder.claim(photo, force)
    folder.write(photo, parsed_photo(), stamp_of(photo))
    assert victim.read_text() == "years of work"


@pytest.mark.parametrize("name", ["../victim.png", "/victim.png", "trip/../../victim.png"])
def test_a_record_that_leaves_its_folder_is_none(tmp_path: Path, photo: Photo, name: str) -> None:
    folder = results_in(tmp_path / "out")
    folder.write(photo, parsed_photo(), stamp_of(photo))
    forge(folder, photo, more=name)
    assert folder.read(photo) is None


def test_a_folder_that_a_link_leads_out_of_is_refused(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    (folder.path / "trip").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match=r"trip leads out of .*out: take that link away"):
        folder.claim(photo)
    linked = results_in(tmp_path / "link")
    linked.path.rmdir()
    linked.path.symlink_to(tmp_path / "elsewhere")
    linked.claim(photo)  # the folder itself may be a link to a large disk


@pytest.mark.parametrize("ending", [".overlay.jpg", ".npz", ".face-1.png"])
def test_files_of_a_result_without_its_labels_are_somebodys(tmp_path: Path, photo: Photo, ending: str) -> None:
    folder = results_in(tmp_path / "out")
    folder.place(photo, "").parent.mkdir()
    folder.place(photo, ending).symlink_to("nowhere")
    with pytest.raises(SourceError, match="is in the way"):
        folder.claim(photo)


def test_a_pipe_in_the_place_of_a_result_keeps_nobody_waiting(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    folder.place(photo, "").parent.mkdir()
    for ending in (".json", ".png"):
        os.mkfifo(folder.place(photo, ending))
    with pytest.raises(SourceError, match="is in the way"):
        folder.claim(photo)


def test_what_a_killed_run_left_beside_its_labels_is_taken_away(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out", per_face=True, probabilities=True)
    folder.write(photo, parsed_photo(1, 3, probabilities=True), stamp_of(photo))
    folder.place(photo, ".json").unlink()
    (folder.path / "trip" / "one.v2.notes.txt").write_text("mine")
    folder.claim(photo)
    results_in(tmp_path / "out").write(photo, parsed_photo(1, 1), stamp_of(photo))
    assert names(folder) == [f"trip/one.v2{end}" for end in (".json", ".notes.txt", ".overlay.jpg", ".png")]


def test_a_name_that_is_too_long_can_be_claimed_and_asked_for(tmp_path: Path, photo: Photo) -> None:
    folder = results_in(tmp_path / "out")
    long = Photo(photo.path, "n" * 250)
    assert not folder.is_done(long)
    folder.claim(long)
    with pytest.raises(SourceError, match="its name is too long"):
        folder.write(long, parsed_photo(), stamp_of(photo))
    assert names(folder) == []


def test_a_photo_whose_name_is_no_text_is_done_the_second_time(tmp_path: Path, photo: Photo) -> None:
    odd = Photo(photo.path.rename(photo.path.with_name("one\udcff.jpg")), "one\udcff")
    folder = results_in(tmp_path / "out")
    folder.write(odd, parsed_photo(), stamp_of(odd))
    assert folder.is_done(odd)
    folder.claim(odd)
