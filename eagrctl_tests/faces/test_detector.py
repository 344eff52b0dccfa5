from itertools import permutations

import dlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data as photos
from skimage.data import astronaut

from eagrctl.faces import detector as module
from eagrctl.faces.detector import CERTAIN, FaceDetector, distinct_faces
from eagrctl.faces.found import choose_face
from eagrctl_tests.conftest import SUBSET

# The eyes of scikit-image's astronaut, measured by hand.
EYES = np.array([[203, 102], [246, 104.5]])


def scaled(photo: np.ndarray, width: int, height: int | None = None) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).resize((width, height or width)))


def holds(box: np.ndarray, points: np.ndarray) -> bool:
    return bool((points >= box[:2]).all() and (points <= box[2:]).all())


def looks(monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> list[tuple[int, int]]:
    """The sizes, width and height, of what the detector looks at in a photo."""
    seen = []
    real = dlib.get_frontal_face_detector()

    class Spy:
        def run(self, image: np.ndarray, upsampled: int, bar: float) -> object:
            seen.append((image.shape[1] << upsampled, image.shape[0] << upsampled))
            return real.run(image, upsampled, bar)

    monkeypatch.setattr(dlib, "get_frontal_face_detector", Spy)
    FaceDetector().find_all(photo)
    return seen


def test_one_face_is_one_face_whatever_the_size_of_the_photo() -> None:
    for side in (96, 256, 512, 1024, 2500):
        ((box, confidence),) = FaceDetector().find_all(scaled(astronaut(), side))
        assert holds(box, EYES * side / 512), side
        assert box[2] - box[0] < 0.3 * side
        assert confidence > CERTAIN


def test_a_portrait_takes_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(monkeypatch, astronaut()) == [(512, 512)]
    assert looks(monkeypatch, scaled(astronaut(), 3000, 2400)) == [(1600, 1280)]


def test_small_faces_are_looked_for_at_twice_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    far = np.full((1000, 1400, 3), 90, np.uint8)
    far[200:712, 300:812] = astronaut()
    assert looks(monkeypatch, far) == [(1400, 1000), (2800, 2000)]


def test_where_nothing_is_found_a_margin_is_added_and_then_the_size_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(monkeypatch, np.zeros((300, 600, 3), np.uint8)) == [(600, 300), (900, 600), (1200, 600)]
    assert looks(monkeypatch, np.zeros((50, 60, 3), np.uint8))[-1] == (240, 200)
    assert looks(monkeypatch, np.zeros((4000, 6000, 3), np.uint8))[-1] == (3200, 2133)


@pytest.mark.parametrize("name", ["camera", "chelsea", "coffee", "rocket", "brick", "grass", "coins", "page", "moon"])
def test_no_face_is_seen_where_there_is_none(name: str) -> None:
    photo = getattr(photos, name)()
    if photo.ndim == 2:
        photo = np.stack([photo] * 3, axis=-1)
    assert FaceDetector().find_all(np.ascontiguousarray(photo)) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 700, 3), (700, 1, 3), (5, 5, 3)])
def test_a_photo_of_any_shape_is_looked_at(shape: tuple[int, int, int]) -> None:
    assert FaceDetector().find_all(np.full(shape, 77, np.uint8)) == []


def test_grey_and_dark_faces_are_found() -> None:
    grey = np.asarray(Image.fromarray(astronaut()).convert("L").convert("RGB"))
    for photo in (grey, (astronaut() // 4).astype(np.uint8)):
        ((box, _),) = FaceDetector().find_all(photo)
        assert holds(box, EYES)


def test_a_face_that_the_border_cuts_is_found_with_a_box_beyond_the_border() -> None:
    for cut in (slice(0, 165), slice(0, 158)):  # at the chin, and below the lip
        ((box, _),) = FaceDetector().find_all(np.ascontiguousarray(scaled(astronaut(), 1024)[: 2 * cut.stop]))
        assert holds(box, EYES * 2)
        assert box[3] > 2 * cut.stop


def test_each_face_of_a_group_is_found_the_largest_first() -> None:
    photo = np.full((900, 1500, 3), 128, np.uint8)
    places = {(20, 20): 1.0, (700, 60): 2.0, (150, 550): 0.6}  # left, top: scale
    head = astronaut()[:240, 90:350]
    for (left, top), scale in places.items():
        copy = scaled(head, round(260 * scale), round(240 * scale))
        photo[top : top + copy.shape[0], left : left + copy.shape[1]] = copy
    found = FaceDetector().find_all(photo)
    assert len(found) == 3
    expected = sorted(places.items(), key=lambda place: -place[1])
    for (box, _), ((left, top), scale) in zip(found, expected, strict=True):
        assert holds(box, (EYES - [90, 0]) * scale + [left, top])


@pytest.mark.shared
def test_real_faces_of_many_sizes_are_found_in_one_photo() -> None:
    names = (SUBSET / "train.txt").read_text().split()[:12]
    photo = np.zeros((1100, 1500, 3), np.uint8)
    middles = []
    for number, name in enumerate(names):
        side = (140, 200, 260, 320)[number % 4]
        left, top = 370 * (number % 4), 350 * (number // 4)
        picture = Image.open(next((SUBSET / "images").glob(f"{name.split('.')[0]}.*"))).convert("RGB")
        photo[top : top + side, left : left + side] = np.asarray(picture.resize((side, side)))
        middles.append(np.array([[left + 0.5 * side, top + 0.55 * side]]))
    found = [box for box, _ in FaceDetector().find_all(photo)]
    assert sum(any(holds(box, middle) for box in found) for middle in middles) >= 11
    assert all(any(holds(box, middle) for middle in middles) for box in found)


def square(left: float, top: float, side: float) -> list[float]:
    return [left, top, left + side, top + side]


def test_doubtful_faces_count_where_there_is_no_certain_one_and_then_only_one() -> None:
    boxes = np.array([square(0, 0, 80), square(200, 0, 90), square(400, 0, 100)])
    assert distinct_faces(boxes, np.array([CERTAIN, CERTAIN - 0.01, 2])) == [2, 0]
    assert distinct_faces(boxes, np.array([0.01, 0.1, 0.05])) == [1]
    assert distinct_faces(boxes[:0], np.zeros(0)) == []


def test_of_boxes_that_show_one_face_the_most_certain_stands() -> None:
    boxes = np.array([square(0, 0, 100), square(20, 10, 100), square(40, 60, 30), square(95, 0, 100)])
    confidences = np.array([1.0, 1.5, 0.9, 0.8])
    for order in permutations(range(4)):
        rows = list(order)
        # The third is the mouth of the first two; the fourth is a neighbour whose cheek touches theirs.
        assert sorted(rows[row] for row in distinct_faces(boxes[rows], confidences[rows])) == [1, 3]


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(20, 200), st.floats(0.01, 3)), max_size=12)
)
def test_faces_are_distinct_and_sorted_and_the_surest_is_among_them(rows: list[tuple[int, int, int, float]]) -> None:
    boxes = np.array([square(*row[:3]) for row in rows], float).reshape(-1, 4)
    confidences = np.array([row[3] for row in rows])
    kept = distinct_faces(boxes, confidences)
    assert len(set(kept)) == len(kept)
    sides = [boxes[row, 2] - boxes[row, 0] for row in kept]
    assert sides == sorted(sides, reverse=True)
    if rows:
        assert confidences[kept].max() == confidences.max()
    for one in kept:
        for other in kept:
            corners = np.maximum(boxes[one, :2], boxes[other, :2]), np.minimum(boxes[one, 2:], boxes[other, 2:])
            common = float(np.prod(np.clip(corners[1] - corners[0], 0, None)))
            both = sum(float(np.prod(boxes[row, 2:] - boxes[row, :2])) for row in (one, other)) - common
            assert one == other or common <= module.SAME * both


def test_of_faces_alike_the_central_one_is_meant_and_of_central_ones_the_largest() -> None:
    boxes = np.array([[0, 0, 99, 99], [150, 150, 249, 249], [170, 170, 229, 229]], float)
    assert choose_face(boxes, np.ones(3), (400, 400)) == 1
    assert choose_face(boxes[[0, 2]], np.ones(2), (200, 200)) == 0
    assert choose_face(boxes[:0], np.ones(0), (400, 400)) is None


def test_the_face_that_holds_most_of_the_annotation_is_meant() -> None:
    boxes = np.array([[0, 0, 99, 99], [50, 50, 109, 109]], float)
    near = np.array([[20, 60], [60, 60], [105, 60], [60, 105], [np.nan, 60]])
    assert choose_face(boxes, np.ones(2), (400, 400), near) == 1
    assert choose_face(boxes, np.array([9, 0.1]), (400, 400), near) == 1
