from dataclasses import dataclass

import numpy as np
import pytest

from eagrctl.data.align import TEMPLATE
from eagrctl.data.aligner import ANNOTATED, Aligner, detected, listed, photo_to_source
from eagrctl.data.labels import edge_mask
from eagrctl.data.source import Sample
from eagrctl.errors import NoFaceError
from eagrctl.faces.found import FoundFace
from eagrctl.geometry import invert, transform
from eagrctl.readers.synthetic.source import paint


def square(photo_side: int = 80) -> Sample:
    """A square in a 40 x 40 label map, and a photo that may be larger."""
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 12:28] = 1
    photo = np.kron(labels * 255, np.ones((photo_side // 40, photo_side // 40), np.uint8))
    return Sample("square", np.repeat(photo[..., None], 3, axis=2), labels)


@pytest.mark.parametrize("photo_side", [40, 80])
def test_the_photo_and_its_labels_stay_in_register_when_the_photo_is_larger(photo_side: int) -> None:
    aligned = Aligner(60).align(square(photo_side))
    agree = (aligned.image[..., 0] > 127) == (aligned.labels == 1)
    assert agree.mean() > 0.99
    assert aligned.source_size == (40, 40)
    assert np.array_equal(aligned.edges, edge_mask(aligned.labels))
    assert not aligned.centred


def test_annotated_eyes_land_on_the_template() -> None:
    face = paint(3, 200)
    assert face.landmarks is not None
    aligned = Aligner(473, ANNOTATED).align(face)
    homogeneous = np.column_stack([face.landmarks, np.ones(5)])
    distance = np.linalg.norm(homogeneous @ aligned.matrix.T - (TEMPLATE * 473 - 0.5), axis=1)
    assert distance.max() < 40  # a least-squares fit of all five
    agree = (aligned.image.mean(axis=2) > 0).mean()
    assert agree > 0.5


def test_listed_landmarks_are_taken_by_name() -> None:
    face = paint(3, 200, name="someone")
    assert face.landmarks is not None
    bare = Sample(face.name, face.image, face.labels)
    from_file = Aligner(129, listed({"someone": face.landmarks}, "from points.txt")).align(bare)
    annotated = Aligner(129, ANNOTATED).align(face)
    assert np.array_equal(from_file.matrix, annotated.matrix)


@dataclass(frozen=True)
class Finder:
    """Stands in for dlib: says where it was asked to look, and answers in the photo's frame."""

    answer: np.ndarray | None
    asked: list[np.ndarray | None]
    description: str = "dlib"
    identity: str = "dlib"

    def find(self, image: np.ndarray, near: np.ndarray | None = None) -> np.ndarray | None:
        self.asked.append(near)
        return self.answer

    def find_all(self, image: np.ndarray) -> list[FoundFace]:
        raise NotImplementedError


def test_detected_landmarks_are_brought_from_the_photo_to_the_source_frame() -> None:
    points = np.array([[30.0, 30], [50, 30], [40, 40], [32, 52], [48, 52]])
    sample = square(80)
    to_source = photo_to_source(sample)
    asked: list[np.ndarray | None] = []
    found = detected(Finder(points, asked)).find(sample)
    assert found is not None
    assert np.allclose(found, (points + 0.5) / 2 - 0.5)
    annotated = Sample("square", sample.image, sample.labels, found)
    detected(Finder(points, asked)).find(annotated)
    assert asked[0] is None
    assert asked[1] is not None
    assert np.allclose(asked[1], points)
    assert np.allclose(to_source @ [0, 0, 1], [-0.25, -0.25])


@pytest.mark.parametrize("answer", [None, np.full((5, 2), np.nan), np.full((5, 2), 7.0), TEMPLATE * 3])
def test_a_face_without_landmarks_is_centred_or_skipped(answer: np.ndarray | None) -> None:
    source = detected(Finder(answer, []))
    wide = Sample("wide", np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8))
    aligned = Aligner(33, source, "centre").align(wide)
    assert aligned.centred
    middle = invert(aligned.matrix) @ [16, 16, 1]
    assert np.allclose(middle, [29.5, 19.5])
    with pytest.raises(NoFaceError, match=r"no face found in wide \(landmarks dlib\): --fallback centre keeps it"):
        Aligner(33, source, "skip").align(wide)


def test_the_description_says_where_landmarks_came_from() -> None:
    assert Aligner(33).description == "none: the whole frame, resized"
    assert "annotated by the dataset; faces without are centred" in Aligner(33, ANNOTATED).description


@pytest.mark.parametrize("wider", [0.5, 2.0])
def test_a_wider_frame_shows_as_many_times_as_much_around_the_same_middle(wider: float) -> None:
    face = paint(3, 200)
    usual, wide = Aligner(129, ANNOTATED).align(face), Aligner(129, ANNOTATED, wider=wider).align(face)
    middle = np.array([64.0, 64.0])
    assert transform(wide.matrix, transform(invert(usual.matrix), middle[None]))[0] == pytest.approx(middle)
    scales = [np.hypot(*each.matrix[:, 0]) for each in (usual, wide)]
    assert scales[0] / scales[1] == pytest.approx(wider)
    assert (wide.labels == 255).mean() >= (usual.labels == 255).mean() or wider < 1
    assert Aligner(129, ANNOTATED, wider=wider).description != Aligner(129, ANNOTATED).description
