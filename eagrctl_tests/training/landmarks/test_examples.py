import numpy as np
import pytest

from eagrctl.data.index import ShardIndex
from eagrctl.events import Notice, Progress
from eagrctl.training.landmarks import examples as module
from eagrctl.training.landmarks.examples import LandmarkExample, examples
from eagrctl_tests.faces.astronauts import LEFT_EYE, LEFT_MOUTH, RIGHT_EYE, RIGHT_MOUTH, prepare_astronauts

POINTS = np.array([LEFT_EYE, RIGHT_EYE, (224, 127), LEFT_MOUTH, RIGHT_MOUTH], float)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ShardIndex:
    """Four faces to learn from, one with a hidden eye and two photos of nothing among the training samples."""
    return prepare_astronauts(tmp_path_factory.mktemp("astronauts"), count=4, hidden=1, faceless=2)


def test_faces_that_do_not_show_all_landmarks_are_left_out_and_counted(faces: ShardIndex) -> None:
    events: list[object] = []
    found = list(examples(faces, "train", events.append))
    assert len(found) == 4
    (text,) = [event.text for event in events if isinstance(event, Notice)]
    assert text.startswith("4 of 7 faces to learn from; left out: 1 with a hidden eye")
    assert "2 that dlib's detector does not find" in text
    progress = [event for event in events if isinstance(event, Progress)]
    assert (progress[-1].done, progress[-1].total) == (7, 7)


def test_an_example_shows_the_face_where_its_landmarks_say(faces: ShardIndex) -> None:
    left, top, right, bottom = 179, 83, 266, 170
    for example in examples(faces, "train"):
        assert example.image.dtype == np.uint8
        assert example.image.ndim == 2
        # The box of dlib's detector is smaller than what examples are shrunk to: this one keeps its size.
        offset = np.array([left, top]) - example.box[:2]
        assert np.allclose(example.box + np.tile(offset, 2), [left, top, right, bottom], atol=2)
        assert np.linalg.norm(example.landmarks + offset - POINTS, axis=1).max() < 3
        assert (example.box[:2] >= 0.4 * 87 - 2).all()


def test_a_large_face_is_shrunk_and_its_landmarks_with_it() -> None:
    photo = np.zeros((1000, 1000, 3), np.uint8)
    photo[400:420, 300:320] = [30, 60, 91]
    example = module._example(photo, np.array([200.0, 250, 799, 849]), np.array([[309.5, 409.5]] * 5))
    assert abs(example.box[2] - example.box[0] - module.SIDE) < 1.5
    rows, columns = np.nonzero(example.image > 30)
    assert np.allclose([columns.mean(), rows.mean()], example.landmarks[0], atol=0.2)
    across, down = example.landmarks[0].round().astype(int)
    assert abs(int(example.image[down, across]) - (30 + 60 + 91) // 3) <= 2


def test_a_mirrored_face_has_its_left_and_right_exchanged() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    example = LandmarkExample(grey, np.array([0.0, 0, 2, 2]), np.array([[0, 0], [3, 0], [1, 1], [0, 2], [2, 2]], float))
    mirrored = example.mirrored()
    assert np.array_equal(mirrored.image, np.fliplr(grey))
    assert np.array_equal(mirrored.box, [1, 0, 3, 2])
    assert np.array_equal(mirrored.landmarks, [[0, 0], [3, 0], [2, 1], [1, 2], [3, 2]])
    back = mirrored.mirrored()
    assert all(np.array_equal(getattr(back, name), getattr(example, name)) for name in ("image", "box", "landmarks"))


def test_a_varied_face_keeps_its_landmarks_and_has_another_box_and_light() -> None:
    grey = np.tile(np.linspace(60, 180, 100), (100, 1)).astype(np.uint8)
    example = LandmarkExample(grey, np.array([20.0, 20, 80, 80]), np.arange(10.0).reshape(5, 2))
    random = np.random.default_rng(1)
    varied = [example.varied(random) for _ in range(400)]
    boxes = np.array([one.box for one in varied])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert np.allclose(sides[:, 0], sides[:, 1])
    assert np.log(sides[:, 0] / 60).std() == pytest.approx(module.BOX_SCALE, rel=0.15)
    assert ((boxes[:, :2] + boxes[:, 2:]) / 2 - 50).std() == pytest.approx(60 * module.BOX_SHIFT, rel=0.15)
    means = np.array([one.image.mean() for one in varied])
    assert means.mean() == pytest.approx(120, abs=4)
    assert means.std() == pytest.approx(module.BRIGHTNESS, rel=0.25)
    assert all(np.array_equal(one.landmarks, example.landmarks) for one in varied)
    assert all((np.diff(one.image[0].astype(int)) >= 0).all() for one in varied)  # light changes, the order does not
