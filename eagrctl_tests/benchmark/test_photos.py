from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from eagrctl.benchmark.photos import PARTS, PhotoSpeed, faces_of, measure_photos
from eagrctl.checkpoint import load_checkpoint
from eagrctl.errors import EagrctlError, SourceError
from eagrctl.events import Notice, Progress
from eagrctl.faces.finders import open_finder
from eagrctl.inference.predict import Segmenter
from eagrctl.parsing.parser import FaceParser
from eagrctl_tests.faces.test_landmarks import LEFT_EYE, NOSE_BASE, RIGHT_EYE, train


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = [RIGHT_EYE[1], RIGHT_EYE[0], LEFT_EYE[0], LEFT_EYE[1], NOSE_BASE]
    return train(tmp_path_factory.mktemp("points") / "tiny_5.dat", parts)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    for name, picture in (("face", Image.fromarray(astronaut())), ("none", Image.new("RGB", (90, 90), "grey"))):
        picture.save(tmp_path / f"{name}.png")
    return [tmp_path / "face.png", tmp_path / "none.png"]


def test_parts_and_whole_are_of_the_same_photos(tiny_checkpoint: Path, points: Path, photos: list[Path]) -> None:
    parser = FaceParser(tiny_checkpoint, device="cpu", predictor=points)
    predictor = Segmenter.of(load_checkpoint(tiny_checkpoint), torch.device("cpu"))
    events: list[Progress | Notice] = []
    speed = measure_photos(parser, predictor, photos, events.append)
    assert speed.photos == 2
    assert speed.faces == len(parser.parse(photos[0]).faces)
    assert tuple(speed.seconds) == PARTS
    assert all(seconds > 0 for seconds in speed.seconds.values())
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2]


def test_faces_a_second_count_everything() -> None:
    assert PhotoSpeed(3, 6, dict.fromkeys(PARTS, 1.0), 2.0).faces_per_second == 3


def test_faces_are_what_the_network_sees(points: Path, photos: list[Path]) -> None:
    faces = faces_of(photos, 49, open_finder("dlib", points))
    assert faces
    assert all(face.shape == (49, 49, 3) for face in faces)
    with pytest.raises(EagrctlError, match="no face was found in 1 photo:"):
        faces_of(photos[1:], 49, open_finder("dlib", points))


def test_a_photo_that_cannot_be_read_is_named(tiny_checkpoint: Path, points: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    parser = FaceParser(tiny_checkpoint, device="cpu", predictor=points)
    predictor = Segmenter.of(load_checkpoint(tiny_checkpoint), torch.device("cpu"))
    with pytest.raises(SourceError, match=r"bad\.jpg"):
        measure_photos(parser, predictor, [tmp_path / "bad.jpg"])
