from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagrctl.faces.found import FoundFace
from eagrctl.parsing.video.tracking import GAP, TrackedFace, Tracker

SHAPE = np.array([[30.0, 40], [70, 40], [50, 60], [35, 80], [65, 80]])


def face(x: float, y: float = 0.0, size: float = 1.0) -> FoundFace:
    place = np.array([x, y])
    return FoundFace(np.array([x, y, x + 100 * size, y + 100 * size]), 0.9, SHAPE * size + place)


def followed(frames: list[list[FoundFace]]) -> list[list[TrackedFace]]:
    coming = ((number, number / 25, faces) for number, faces in enumerate(frames))
    found = list(Tracker().follow(coming))
    assert [item for item, _ in found] == list(range(len(frames)))
    return [faces for _, faces in found]


def numbers(frame: list[TrackedFace]) -> list[int]:
    return [each.number for each in frame]


def test_a_face_that_moves_evenly_is_one_and_does_not_lag() -> None:
    frames = [[face(3.0 * time, 2.0 * time)] for time in range(20)]
    for time, found in enumerate(followed(frames)):
        assert numbers(found) == [0]
        assert found[0].face.landmarks == pytest.approx(frames[time][0].landmarks)
        assert found[0].face.box == pytest.approx(frames[time][0].box)


@pytest.mark.parametrize("period", [20, 24, 50])
def test_a_face_that_nods_is_followed(period: int) -> None:
    """Within a twelfth of how far it goes, which an average over as many frames misses by far more."""
    swing = 10 * np.sin(2 * np.pi * np.arange(60) / period)
    found = followed([[face(x)] for x in swing])
    seen = np.array([each[0].face.landmarks[0][0] - SHAPE[0][0] for each in found])
    assert np.abs(seen - swing)[6:-6].max() < 10 / 12
    averaged = np.convolve(swing, np.full(11, 1 / 11), "same")
    assert np.abs(seen - swing)[6:-6].max() < 0.2 * np.abs(averaged - swing)[6:-6].max()


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_a_still_face_trembles_less(seed: int) -> None:
    random = np.random.default_rng(seed)
    places = random.normal(0, 2, (60, 2))
    found = followed([[face(x, y)] for x, y in places])
    steady = np.array([each[0].face.landmarks[0] - SHAPE[0] for each in found])[5:-5]
    assert np.linalg.norm(steady, axis=1).mean() < 0.65 * np.linalg.norm(places[5:-5], axis=1).mean()


@pytest.mark.parametrize("missed", range(1, GAP + 3))
def test_a_face_that_is_missed_is_carried_over_a_few_frames_and_no_more(missed: int) -> None:
    frames = [[face(2.0 * time)] for time in range(30)]
    for time in range(10, 10 + missed):
        frames[time] = []
    found = followed(frames)
    for time in range(10, 10 + missed):
        assert len(found[time]) == (missed <= GAP)
    assert {number for each in found for number in numbers(each)} == ({0} if missed <= GAP else {0, 1})
    if missed <= GAP:
        assert found[11 if missed > 1 else 10][0].face.box[0] == pytest.approx(22 if missed > 1 else 20, abs=1e-6)


def test_before_the_first_and_after_the_last_time_nothing_is_made_up() -> None:
    frames: list[list[FoundFace]] = [[], [], [face(0)], [face(0)], [], [], []]
    assert [len(each) for each in followed(frames)] == [0, 0, 1, 1, 0, 0, 0]


def test_ten_faces_that_cross_keep_their_numbers() -> None:
    # Five go right and five go left, on lines of their own that lie less than a face apart.
    def at(time: int) -> list[FoundFace]:
        right = [face(12.0 * time, 60.0 * row, 0.5) for row in range(5)]
        left = [face(480 - 12.0 * time, 60.0 * row + 30, 0.5) for row in range(5)]
        faces = right + left
        order = np.random.default_rng(time).permutation(10)
        return [faces[place] for place in order]

    found = followed([at(time) for time in range(41)])
    rows: dict[int, set[float]] = {}
    for frame in found:
        assert len(set(numbers(frame))) == 10
        for each in frame:
            rows.setdefault(each.number, set()).add(round(float(each.face.box[1]) / 30))
    assert len(rows) == 10
    assert all(len(row) == 1 for row in rows.values())


def test_points_that_are_not_known_stay_so_and_largest_faces_come_first() -> None:
    lame = FoundFace(face(0).box, 0.5, np.vstack([SHAPE[:2], np.full((3, 2), np.nan)]))
    for frame in followed([[face(400, size=0.5), lame]] * 8):
        assert [each.face.box[2] - each.face.box[0] for each in frame] == pytest.approx([100, 50])
        assert np.isfinite(frame[0].face.landmarks).tolist() == [[True] * 2] * 2 + [[False] * 2] * 3


def test_frames_come_as_they_are_asked_for() -> None:
    read = 0

    def endless() -> Iterator[tuple[int, float, list[FoundFace]]]:
        nonlocal read
        while True:
            read += 1
            yield read, read / 25, [face(0)]

    frames = Tracker().follow(endless())
    for number in range(1, 10):
        assert next(frames)[0] == number
        assert read == number + GAP
