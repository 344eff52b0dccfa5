"""The painter of synthetic faces: what it promises of photos, labels and landmarks, and its source."""

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eagrctl.data.labels import HELEN
from eagrctl.data.source import SPLITS, Sample
from eagrctl.errors import SourceError
from eagrctl.readers.synthetic.source import SyntheticSource, paint

seeds = st.integers(0, 2**32)
COMPONENTS = HELEN.regions["overall"]


@pytest.fixture(scope="module")
def faces() -> list[Sample]:
    return [paint((7, number), 128) for number in range(60)]


def centroid(sample: Sample, name: str) -> NDArray[np.float64] | None:
    rows, columns = np.nonzero(sample.labels == HELEN.id(name))
    return np.array([columns.mean(), rows.mean()]) if len(rows) else None


def agreements(faces: Sequence[Sample], first: str, second: str, axis: int) -> float:
    """How often, where both parts show, the first lies before the second along the face's own x (0) or y (1) axis."""
    found = []
    for face in faces:
        assert face.landmarks is not None
        along = face.landmarks[1] - face.landmarks[0]
        across = np.array([-along[1], along[0]])
        here, there = centroid(face, first), centroid(face, second)
        if here is not None and there is not None:
            found.append(float((there - here) @ (along, across)[axis]) > 0)
    assert len(found) > 0.8 * len(faces)
    return float(np.mean(found))


def component_f1(right: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    return 200 * float((right & predicted).sum()) / max(1, int(right.sum() + predicted.sum()))


@settings(max_examples=10)
@given(seed=seeds, size=st.integers(32, 96))
def test_a_face_has_the_shapes_types_and_ids_it_promises(seed: int, size: int) -> None:
    face = paint(seed, size, "someone")
    assert face.name == "someone"
    assert face.image.shape == (size, size, 3)
    assert face.image.dtype == np.uint8
    assert face.labels.shape == (size, size)
    assert face.labels.dtype == np.uint8
    assert face.labels.max() < len(HELEN)
    assert face.landmarks is not None
    assert face.landmarks.shape == (5, 2)
    assert face.landmarks.dtype == np.float64
    assert np.isfinite(face.landmarks).all()


@settings(max_examples=5)
@given(seed=seeds)
def test_the_same_seed_gives_the_same_pixels(seed: int) -> None:
    first, second = paint(seed, 64), paint(seed, 64)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)


def test_different_seeds_give_different_faces(faces: list[Sample]) -> None:
    assert len({face.image.tobytes() for face in faces}) == len(faces)
    assert len({face.labels.tobytes() for face in faces}) == len(faces)


@settings(max_examples=10)
@given(seed=seeds)
def test_a_face_is_the_same_at_every_size(seed: int) -> None:
    small, large = paint(seed, 64), paint(seed, 128)
    assert np.mean(np.kron(small.labels, np.ones((2, 2), np.uint8)) == large.labels) >= 0.95
    assert small.landmarks is not None
    assert large.landmarks is not None
    np.testing.assert_allclose((small.landmarks + 0.5) * 2, large.landmarks + 0.5)
    halved = large.image.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(halved - small.image).mean() < 12


def test_nearly_every_face_shows_every_part(faces: list[Sample]) -> None:
    for name in HELEN.names:
        shown = np.mean([(face.labels == HELEN.id(name)).any() for face in faces])
        least = {"inner mouth": 0.3, "hair": 0.75}.get(name, 0.9)
        assert shown >= least, f"{name} shows on {shown:.0%} of faces"


def test_some_mouths_are_closed_and_some_heads_bald(faces: list[Sample]) -> None:
    for name in ("inner mouth", "hair"):
        assert any(not (face.labels == HELEN.id(name)).any() for face in faces), name


def test_a_face_fills_a_good_part_of_the_frame(faces: list[Sample]) -> None:
    def height(face: Sample) -> float:
        rows = np.flatnonzero(((face.labels > 0) & (face.labels < HELEN.id("hair"))).any(1))
        return float(np.ptp(rows) + 1) / len(face.labels)

    assert np.mean([0.45 <= height(face) <= 0.95 for face in faces]) >= 0.9


@pytest.mark.parametrize(
    ("first", "second", "axis"),
    [
        ("left eye", "right eye", 0),
        ("left brow", "right brow", 0),
        ("left eye", "nose", 0),
        ("nose", "right eye", 0),
        ("left brow", "left eye", 1),
        ("right brow", "right eye", 1),
        ("left eye", "nose", 1),
        ("nose", "upper lip", 1),
        ("upper lip", "inner mouth", 1),
        ("inner mouth", "lower lip", 1),
    ],
)
def test_parts_lie_where_a_face_has_them(faces: list[Sample], first: str, second: str, axis: int) -> None:
    shown = (
        [f for f in faces if (f.labels == HELEN.id("inner mouth")).any()] if "inner mouth" in first + second else faces
    )
    assert agreements(shown, first, second, axis) >= 0.95


def test_landmarks_lie_in_their_parts(faces: list[Sample]) -> None:
    parts = ({4}, {5}, {6}, {7, 8, 9}, {7, 8, 9})
    hits = []
    for face in faces:
        assert face.landmarks is not None
        for (x, y), ids in zip(face.landmarks, parts, strict=True):
            column, row = round(float(x)), round(float(y))
            around = face.labels[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4]
            hits.append(bool(np.isin(around, list(ids)).any()))
    # The rest are hidden by hair or by an occluder.
    assert np.mean(hits) >= 0.93


def test_occluders_are_the_exception_and_hide_little(faces: list[Sample]) -> None:
    areas = np.array([np.isin(face.labels, COMPONENTS).sum() for face in faces])
    assert (areas > 0).all()
    assert np.mean(areas < 0.4 * np.median(areas)) < 0.1


def test_colour_alone_does_not_tell_the_parts(faces: list[Sample]) -> None:
    def bins(sample: Sample) -> NDArray[np.int64]:
        levels = sample.image.astype(np.int64) // 16
        bin_of_pixel: NDArray[np.int64] = levels @ np.array([256, 16, 1])
        return bin_of_pixel

    seen, unseen = faces[:40], faces[40:]
    everything = np.concatenate([bins(face).ravel() for face in seen])
    of_parts = np.concatenate([bins(face)[np.isin(face.labels, COMPONENTS)] for face in seen])
    share = np.bincount(of_parts, minlength=4096) / np.maximum(1, np.bincount(everything, minlength=4096))
    right = np.concatenate([np.isin(face.labels, COMPONENTS).ravel() for face in unseen])
    shares = np.concatenate([share[bins(face)].ravel() for face in unseen])
    # Even at the threshold that suits the unseen faces best, where colour says "this is a part of the face".
    best = max(component_f1(right, shares > threshold) for threshold in np.linspace(0.01, 0.6, 30))
    assert best < 25


def test_the_photo_shows_each_part_apart_from_what_surrounds_it(faces: list[Sample]) -> None:
    # A label border is an edge of the photo more often than a spot inside the skin is.
    steeper = []
    for face in faces:
        grey = face.image.mean(2)
        slope = np.hypot(*np.gradient(grey))
        border = np.isin(face.labels, COMPONENTS) & (np.roll(face.labels, 1, 0) != face.labels)
        skin = face.labels == HELEN.id("skin")
        steeper.append(slope[border].mean() > 1.3 * slope[skin].mean())
    assert np.mean(steeper) >= 0.9


@pytest.mark.parametrize(("seed", "size"), [(0, 31), (-1, 64), ((3, -1), 64)])
def test_paint_refuses_what_it_cannot_paint(seed: int | tuple[int, ...], size: int) -> None:
    with pytest.raises(ValueError, match=r"at least 32|non-negative"):
        paint(seed, size)


def test_the_source_lists_and_paints_its_faces() -> None:
    source = SyntheticSource({"train": 3, "test": 2}, seed=5, size=48)
    assert tuple(source.splits) == SPLITS
    assert source.splits["train"] == ("train-00000", "train-00001", "train-00002")
    assert source.splits["val"] == ()
    face = source.read("test", "test-00001")
    assert face.name == "test-00001"
    assert face.image.shape == (48, 48, 3)


def test_no_two_faces_of_a_source_are_the_same() -> None:
    source = SyntheticSource(dict.fromkeys(SPLITS, 4), size=32)
    drawn = {source.read(split, name).image.tobytes() for split in SPLITS for name in source.splits[split]}
    assert len(drawn) == 12
    again = SyntheticSource(dict.fromkeys(SPLITS, 4), seed=1, size=32)
    assert again.read("train", "train-00000").image.tobytes() not in drawn


def test_more_faces_leave_the_first_ones_as_they_are() -> None:
    few, many = (SyntheticSource({"val": count}, size=32).read("val", "val-00000") for count in (1, 100))
    np.testing.assert_array_equal(few.image, many.image)


def test_the_source_survives_pickling() -> None:
    source = SyntheticSource({"train": 2}, seed=3, size=32)
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    np.testing.assert_array_equal(again.read("train", "train-00001").image, source.read("train", "train-00001").image)


def test_provenance_says_how_to_paint_the_same_again() -> None:
    provenance = SyntheticSource({"train": 1}, seed=11, size=40).provenance
    assert provenance.dataset == "synthetic"
    assert provenance.variant.startswith("painter ")
    assert provenance.split_rule
    assert provenance.settings == {"painter seed": "11", "painted at": "40 x 40"}


@pytest.mark.parametrize(
    ("split", "name"),
    [
        ("train", "train-00002"),
        ("train", "val-00000"),
        ("train", "train-0"),
        ("train", "train-000001"),
        ("train", "train--0001"),
        ("train", "00000"),
        ("train", ""),
        ("val", "val-00000"),
        ("dev", "dev-00000"),
    ],
)
def test_an_unknown_face_is_a_source_error(split: str, name: str) -> None:
    with pytest.raises(SourceError, match=r"no painted face .* split"):
        SyntheticSource({"train": 2}).read(split, name)


@pytest.mark.parametrize(
    "arguments",
    [{"counts": {"dev": 1}}, {"counts": {"train": -1}}, {"counts": {}, "seed": -1}, {"counts": {}, "size": 31}],
)
def test_a_source_that_makes_no_sense_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no such split: dev|negative|at least 32"):
        SyntheticSource(**arguments)  # type: ignore[arg-type]
