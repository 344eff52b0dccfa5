import pickle
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from eagrctl.errors import AlignmentError, CheckpointError
from eagrctl.faces.finders import SHIPPED, open_finder
from eagrctl.files import sha256_of

EYES = np.array([[203.0, 102], [246, 104]])


def test_the_detector_that_ships_finds_a_face_and_its_points() -> None:
    finder = open_finder()
    assert finder.description == "eagrctl's detector"
    assert finder.identity == sha256_of(SHIPPED)
    (face,) = finder.find_all(astronaut())
    assert np.allclose(face.landmarks[:2], EYES, atol=6)
    assert 0.8 <= face.confidence <= 1
    assert face.look == 512
    landmarks = finder.find(astronaut())
    assert landmarks is not None
    assert np.array_equal(landmarks, face.landmarks)
    assert finder.find(astronaut()[250:]) is None


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_however_a_photo_lies_the_face_is_found_with_its_turn(quarters: int) -> None:
    (face,) = open_finder().find_all(np.rot90(astronaut(), -quarters))
    assert face.roll is not None
    assert abs((face.roll - 90 * quarters + 180) % 360 - 180) < 10


def test_a_known_landmark_says_which_face_is_meant() -> None:
    finder, two = open_finder(), np.concatenate([astronaut()[:256, 96:352]] * 2, axis=1)
    for shift in (0, 256):
        near = np.full((5, 2), np.nan)
        near[:2] = EYES + np.array([shift - 96, 0])
        found = finder.find(two, near)
        assert found is not None
        assert np.allclose(found[:2], near[:2], atol=8)


def test_a_finder_travels_as_a_path_and_works_on_the_other_side() -> None:
    finder = open_finder(SHIPPED)
    assert finder.description == "a detector, detector.safetensors"
    packed = pickle.dumps(finder)
    assert len(packed) < 1000
    there = pickle.loads(packed)
    assert np.array_equal(there.find(astronaut()), finder.find(astronaut()))


@pytest.mark.parametrize("shape", [(1, 1), (60, 2000), (700, 900)])
def test_no_face_is_found_in_black_white_or_noise(shape: tuple[int, int]) -> None:
    finder = open_finder()
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for photo in (np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 255, np.uint8), noise):
        assert finder.find_all(photo) == []


def test_what_is_no_detector_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    cases = [
        ("gone.safetensors", None, AlignmentError, "there is no detector gone.safetensors"),
        (tmp_path / "a.txt", None, AlignmentError, "is no detector"),
        (tmp_path / "a.safetensors", None, CheckpointError, "not a file of weights"),
        ("own", tmp_path / "points.dat", AlignmentError, "--predictor is for dlib's detector"),
        ("dlib", tmp_path / "points.dat", AlignmentError, "which is not a file"),
        (None, tmp_path / "points.dat", AlignmentError, "which is not a file"),
    ]
    for detector, predictor, kind, said in cases:
        with pytest.raises(kind, match=said) as caught:
            open_finder(detector, predictor)
        assert "\n" not in str(caught.value)
