from dataclasses import dataclass

import numpy as np
import pytest

from eagrctl.data.align import TEMPLATE
from eagrctl.data.index import ShardIndex
from eagrctl.errors import DataError
from eagrctl.events import Progress
from eagrctl.faces.found import FoundFace
from eagrctl.training.detector.landmark_errors import NEAR, LandmarkErrors, landmark_errors
from eagrctl.training.scenes.label_landmarks import LabelLandmarks
from eagrctl_tests.faces.astronauts import prepare_astronauts


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ShardIndex:
    return prepare_astronauts(tmp_path_factory.mktemp("astronauts"), count=3, hidden=1)


@dataclass
class Moved:
    """Answers with what the labels show, moved."""

    by: np.ndarray
    answers: int = 99
    description: str = "moved"
    identity: str = "moved"

    def find(self, image: np.ndarray, near: np.ndarray | None = None) -> np.ndarray | None:
        self.answers -= 1
        assert near is not None
        return near + self.by if self.answers >= 0 else None

    def find_all(self, image: np.ndarray) -> list[FoundFace]:
        raise NotImplementedError


def errors(faces: ShardIndex, by: object, split: str = "train", answers: int = 99) -> LandmarkErrors:
    finder = Moved(np.broadcast_to(np.array(by, float), (5, 2)), answers)
    (row,) = landmark_errors(faces, split, [finder])
    return row


def test_points_that_are_right_have_no_error(faces: ShardIndex) -> None:
    row = errors(faces, 0)
    assert (row.finder, row.faces, row.found) == ("moved", 3, 1.0)  # of four, one has a hidden eye
    assert row.eyes.shape == row.mouth.shape == row.aligned.shape == (3, 2)
    assert not row.eyes.any()
    assert not row.mouth.any()
    assert (row.eyes_within(0.01), row.eyes_near, row.faces_near) == (1, 1, 1)
    assert row.seconds >= 0


def test_errors_are_shares_of_the_distance_between_the_eyes(faces: ShardIndex) -> None:
    truth = LabelLandmarks.of(faces).read(faces.read("train", 0).labels)
    distance = np.hypot(*(truth[1] - truth[0]))
    row = errors(faces, (3, 4))
    assert np.allclose(row.eyes, 5 / distance)
    assert np.allclose(row.mouth, 5 / distance)
    # Aligned, the template's eyes are 0.24 of the frame apart.
    assert np.allclose(row.aligned, 5 / distance * 0.24, rtol=0.05)
    assert (5 / distance * 0.24 <= NEAR) == (row.eyes_near == 1)
    assert row.eyes_within(4.9 / distance) == 0
    assert row.eyes_within(5.1 / distance) == 1


def test_one_eye_off_is_half_of_the_eyes_and_no_face(faces: ShardIndex) -> None:
    by = np.zeros((5, 2))
    by[1] = 0, 12
    by[2:] = np.nan
    row = errors(faces, by)
    assert row.eyes_within(0.1) == 0.5
    assert row.mouth.size == 0
    assert row.faces_near == 0
    # Two points fit exactly, so that what is wrong with one of them is wrong with it alone.
    assert np.allclose(row.aligned[:, 0], 0)
    assert row.eyes_near == 0.5


def test_a_face_that_is_missed_counts_against_the_predictor_only(faces: ShardIndex) -> None:
    row = errors(faces, 0, answers=2)
    assert row.found == pytest.approx(2 / 3)
    assert len(row.eyes) == 2


def test_no_face_at_all_is_an_error(faces: ShardIndex) -> None:
    with pytest.raises(DataError, match="split val, is found with both eyes labelled: give other data"):
        errors(faces, 0, split="val", answers=0)
    with pytest.raises(DataError, match="has no split 'test'"):
        errors(faces, 0, split="test")


def test_progress_goes_from_nothing_to_all(faces: ShardIndex) -> None:
    events: list[object] = []
    landmark_errors(faces, "val", [Moved(np.zeros(2))], events.append)  # type: ignore[list-item]
    assert [(event.done, event.total) for event in events if isinstance(event, Progress)] == [(0, 2), (1, 2), (2, 2)]


def test_the_template_puts_its_eyes_as_far_apart_as_these_tests_say() -> None:
    assert np.hypot(*(TEMPLATE[1] - TEMPLATE[0])) == pytest.approx(0.24)
