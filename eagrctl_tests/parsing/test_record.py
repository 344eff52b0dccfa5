import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eagrctl.parsing.parsed import ParsedPhoto
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.record import (
    ParserSettings,
    Record,
    Recorded,
    RecordedFace,
    RecordedFile,
    Stamp,
    compact,
    face_record,
    found_in,
    head_of,
    path_of,
    read_record,
    write_record,
)
from eagrctl_tests.parsing.photos import SETTINGS, SIZE, parsed_photo


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    (tmp_path / "ä.jpg").write_bytes(b"12345")
    return Photo(tmp_path / "ä.jpg", "ä")


def record_of(photo: Photo, parsed: ParsedPhoto, stamp: Stamp, files: dict[str, str]) -> Record:
    return head_of(photo, stamp, parsed.labels.shape, parsed.classes, SETTINGS, SIZE, files) | found_in(parsed)


def write(record: Record, path: Path) -> None:
    write_record(path, {key: value for key, value in record.items() if key != "faces"}, "faces", record["faces"])


def result_of(photo: Photo, settings: ParserSettings = SETTINGS, faces: tuple[RecordedFace, ...] = ()) -> Recorded:
    status = photo.path.stat()
    file = RecordedFile(path_of(photo), status.st_size, status.st_mtime_ns, 140, 70)
    return Recorded("eagrctl parsed photo", file, (), settings, {}, faces=faces)


def test_a_record_is_json_that_says_what_was_found(tmp_path: Path, photo: Photo) -> None:
    parsed, stamp = parsed_photo(1, 2), Stamp.of(photo.path)
    assert stamp is not None
    write(record_of(photo, parsed, stamp, {"labels": "ä.png"}), tmp_path / "ä.json")
    record = json.loads((tmp_path / "ä.json").read_text(encoding="utf-8"))
    assert record["photo"] == {
        "path": str((tmp_path / "ä.jpg").resolve()),
        "bytes": 5,
        "modified": photo.path.stat().st_mtime_ns,
        "width": 140,
        "height": 70,
    }
    assert record["classes"] == list(parsed.classes)
    assert record["input"] == SIZE
    assert record["files"] == {"labels": "ä.png"}
    for number, name in enumerate(parsed.classes):
        assert record["shares"][name] == pytest.approx((parsed.labels == number).mean(), abs=1e-6)
    first, second = record["faces"]
    assert first["box"] == [16, 20, 56, 60]
    assert second["confidence"] == 1.25
    assert first["landmarks"] == [[26, 30], [46, 30.5], None, None, None]
    assert second["matrix"] == parsed.faces[1].matrix.tolist()
    assert second["window"] == [2, 76, 66, 140]
    assert (first["roll"], first["yaw"], first["look"]) == (1.4, None, 640)
    assert first["placed"] == "landmarks"
    hair = (parsed.faces[1].labels == 13).sum() / parsed.labels.size
    assert second["shares"]["hair"] == pytest.approx(hair, abs=1e-6)
    assert sum(second["shares"].values()) == pytest.approx(1, abs=1e-5)
    assert "ä" in (tmp_path / "ä.json").read_text(encoding="utf-8")


def test_what_a_face_has_not_is_null() -> None:
    parsed = parsed_photo()
    bare = replace(parsed.faces[0], box=None, confidence=None, landmarks=None, placed="crop")
    record = face_record(bare, parsed.classes, 4900)
    assert (record["box"], record["confidence"], record["landmarks"], record["placed"]) == (None, None, None, "crop")
    assert (record["roll"], record["yaw"]) == (None, None)


def test_a_photos_record_is_read_whole_and_a_videos_up_to_its_frames(tmp_path: Path, photo: Photo) -> None:
    path = tmp_path / "a.json"
    record = record_of(photo, parsed_photo(1, 2), Stamp(1, 2), {"labels": "a.png"})
    write(record, path)
    assert json.loads(path.read_text(encoding="utf-8")) == record
    found = read_record(path)
    assert found is not None
    assert (found.settings, found.names, found.shares) == (SETTINGS, ["a.png"], record["shares"])
    assert [list(face.box or ()) for face in found.faces] == [face["box"] for face in record["faces"]]
    assert read_record(path, "video") is None
    video = Photo(photo.path.with_suffix(".mp4"), "ä")
    head = head_of(video, Stamp(1, 2), (120, 140), parsed_photo(1, 2).classes, SETTINGS, SIZE, {})
    assert head["video"]["width"] == 140
    for frames in (0, 2):
        write_record(path, head, "frames", ({"frame": number} for number in range(frames)), {"found": frames})
        listed = {"frames": [{"frame": number} for number in range(frames)], "found": frames}
        assert json.loads(path.read_text(encoding="utf-8")) == head | listed
        found = read_record(path, "video")
        assert found is not None
        assert (found.file.width, found.settings) == (140, SETTINGS)


def test_a_record_of_version_0_1_0_is_read(tmp_path: Path, photo: Photo) -> None:
    record = record_of(photo, parsed_photo(), Stamp(1, 2), {"labels": "a.png"})
    old = {key: value for key, value in record["settings"].items() if not key.startswith("detector")}
    write(record | {"settings": old | {"predictor": "five-points.dat", "predictor_sha256": "ab"}}, tmp_path / "a.json")
    found = read_record(tmp_path / "a.json")
    assert found is not None
    assert (found.settings.detector, found.settings.detector_sha256) == (None, "ab")
    assert not SETTINGS.hold_for(found)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": "eagrctl parsed photo", "version": 0}', "\udcff"])
def test_what_is_no_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_record(tmp_path / "a.json") is None
    assert read_record(tmp_path / "missing.json") is None


def test_settings_hold_where_files_are_the_same_by_content(tmp_path: Path, photo: Photo) -> None:
    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "b.pt").write_bytes(b"weights")
    (tmp_path / "c.pt").write_bytes(b"others")
    one, same, other = (ParserSettings.of(tmp_path / name, None, "crop") for name in ("a.pt", "b.pt", "c.pt"))
    assert one.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert one.detector is None
    record = result_of(photo, settings=one)
    assert same.hold_for(record)
    assert not other.hold_for(record)
    assert not replace(one, detector="another", detector_sha256="ef").hold_for(record)
    assert not replace(one, tta="mirror").hold_for(record)
    assert not replace(one, frame="head").hold_for(record)


@pytest.mark.parametrize(
    ("then", "now", "found", "holds"),
    [
        ("faces", "faces", False, True),
        ("faces", "whole", True, True),
        ("whole", "faces", True, True),
        ("faces", "whole", False, False),
        ("whole", "faces", False, False),
        ("crop", "faces", True, False),
        ("faces", "crop", True, False),
    ],
)
def test_photos_without_a_face_alone_depend_on_what_is_done_with_them(
    photo: Photo, then: str, now: str, found: bool, holds: bool
) -> None:
    faces = (RecordedFace("box", (1, 2, 3, 4)) if found else RecordedFace("whole"),)
    record = result_of(photo, replace(SETTINGS, finding=then), faces if found or then == "whole" else ())
    assert replace(SETTINGS, finding=now).hold_for(record) == holds


def test_a_stamp_changes_with_size_and_time(photo: Photo) -> None:
    stamp = Stamp.of(photo.path)
    assert stamp is not None
    record = result_of(photo)
    assert stamp.is_of(record)
    os.utime(photo.path, ns=(0, 1))
    changed = Stamp.of(photo.path)
    assert changed is not None
    assert not changed.is_of(record)
    assert not Stamp(stamp.bytes + 1, stamp.modified).is_of(record)
    assert Stamp.of(photo.path.with_name("missing")) is None


def test_a_name_of_no_encoding_can_be_written(tmp_path: Path) -> None:
    name = "b\udcff.jpg"
    (tmp_path / "real").write_bytes(b"1")
    record = record_of(Photo(tmp_path / name, "b"), parsed_photo(), Stamp(1, 1), {"labels": name})
    write(record, tmp_path / "a.json")
    found = read_record(tmp_path / "a.json")
    assert found is not None
    assert (found.file.path, found.names) == (str((tmp_path / name).resolve()), [name])
    assert compact({"a": np.pi}) == '{"a": 3.141592653589793}'


def test_a_link_is_known_by_what_it_leads_to(photo: Photo) -> None:
    link = photo.path.with_name("link.jpg")
    link.symlink_to(photo.path)
    assert path_of(Photo(link, "link")) == path_of(photo)
