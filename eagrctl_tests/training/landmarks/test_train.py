import os
import signal
from pathlib import Path

import dlib
import numpy as np
import pytest
from skimage.data import astronaut

from eagrctl.data.index import ShardIndex
from eagrctl.errors import DataError
from eagrctl.events import Notice, Progress
from eagrctl.faces.landmarks import DlibLandmarks
from eagrctl.training.landmarks import train as module
from eagrctl.training.landmarks.examples import examples
from eagrctl.training.landmarks.train import PredictorOptions, fit, train_predictor
from eagrctl_tests.faces.astronauts import LEFT_EYE, LEFT_MOUTH, RIGHT_EYE, RIGHT_MOUTH, prepare_astronauts

QUICK = PredictorOptions(depth=2, cascades=3, trees=30, pixels=60, tests=10, starts=5, copies=0)
POINTS = np.array([LEFT_EYE, RIGHT_EYE, (224, 127), LEFT_MOUTH, RIGHT_MOUTH], float)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ShardIndex:
    """Four faces to learn from, one with a hidden eye and two photos of nothing among the training samples."""
    return prepare_astronauts(tmp_path_factory.mktemp("astronauts"), count=4, hidden=1, faceless=2)


def test_what_was_trained_finds_the_points_in_the_photo(faces: ShardIndex, tmp_path: Path) -> None:
    events: list[object] = []
    path = train_predictor(faces.root, "train", tmp_path / "five.dat", QUICK, events.append)
    assert list(tmp_path.iterdir()) == [path]
    finder = DlibLandmarks(path)
    assert finder.description == "dlib, eye centres, nose and mouth corners, five.dat"
    found = finder.find(astronaut())
    assert found is not None
    assert np.linalg.norm(found - POINTS, axis=1).max() < 4
    (face,) = finder.find_all(astronaut())
    assert np.linalg.norm(face.landmarks - POINTS, axis=1).max() < 4
    tasks = [event.task for event in events if isinstance(event, Progress)]
    assert set(tasks) == {"finding faces", "fitting trees"}
    assert any(isinstance(event, Notice) for event in events)


def test_the_same_seed_gives_the_same_predictor(faces: ShardIndex, tmp_path: Path) -> None:
    learnt = list(examples(faces, "train"))
    for name, options in (("a", QUICK), ("b", QUICK), ("c", PredictorOptions(**{**vars(QUICK), "seed": 1}))):
        fit(learnt, options).save(str(tmp_path / name))
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_split_without_a_usable_face_is_refused(tmp_path: Path) -> None:
    index = prepare_astronauts(tmp_path / "data", count=0, hidden=1, faceless=1)
    with pytest.raises(DataError, match=r"no face of .*, split train, shows both eyes, nose and mouth"):
        train_predictor(index.root, "train", tmp_path / "five.dat", QUICK)
    with pytest.raises(DataError, match="has no split 'test'; it has train, val"):
        train_predictor(index.root, "test", tmp_path / "five.dat", QUICK)
    assert not list(tmp_path.glob("five*"))


def test_a_process_that_is_killed_leaves_one_line_and_no_file(faces: ShardIndex, tmp_path: Path) -> None:
    def kill(event: Progress | Notice) -> None:
        if isinstance(event, Progress) and event.task == "fitting trees":
            (child,) = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()[-1:]
            os.kill(int(child), signal.SIGKILL)

    long = PredictorOptions(depth=4, cascades=30, trees=500)
    with pytest.raises(DataError, match=r"ended early \(exit code -9.*ask for fewer --starts"):
        train_predictor(faces.root, "train", tmp_path / "five.dat", long, kill)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_the_process_that_trains(faces: ShardIndex, tmp_path: Path) -> None:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    seen: list[str] = []

    def interrupt(event: Progress | Notice) -> None:
        if isinstance(event, Progress) and event.task == "fitting trees":
            seen.extend(children.read_text().split()[-1:])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_predictor(faces.root, "train", tmp_path / "five.dat", PredictorOptions(cascades=30), interrupt)
    assert seen
    assert not Path(f"/proc/{seen[0]}").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_predictor_cut_short_by_a_full_disk_is_not_kept(
    faces: ShardIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "five.dat"
    real = module.DlibLandmarks

    def halved(written: Path) -> DlibLandmarks:
        written.write_bytes(written.read_bytes()[: written.stat().st_size // 2])
        return real(written)

    monkeypatch.setattr(module, "DlibLandmarks", halved)
    with pytest.raises(DataError, match=r"five\.dat could not be written whole: is the disk full\?"):
        train_predictor(faces.root, "train", path, QUICK)
    assert list(tmp_path.iterdir()) == []


def test_dlib_takes_what_is_asked_for(faces: ShardIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def train(images: list[np.ndarray], detections: list[list[object]], options: object) -> None:
        asked.update({name: getattr(options, name) for name in dir(options) if not name.startswith("_")})
        asked["images"] = len(images)

    monkeypatch.setattr(dlib, "train_shape_predictor", train)
    fit(list(examples(faces, "train")), PredictorOptions(3, 7, 11, 0.2, 13, 17, 19, 2, True, 2, 23))
    expected = {
        "tree_depth": 3,
        "cascade_depth": 7,
        "num_trees_per_cascade_level": 11,
        "num_test_splits": 13,
        "feature_pool_size": 17,
        "oversampling_amount": 19,
        "num_threads": 2,
        "random_seed": "23",
        "images": 24,
    }
    assert {name: asked[name] for name in expected} == expected
    assert asked["nu"] == pytest.approx(0.2)
