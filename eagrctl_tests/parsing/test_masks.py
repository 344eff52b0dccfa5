import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from eagrctl.arrays import Matrix
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.errors import EagrctlError
from eagrctl.inference.mapping import map_labels
from eagrctl.parsing.masks import classes_of, face_mask, mask_of, mask_request, read_groups
from eagrctl.parsing.merging import merge_faces
from eagrctl.parsing.parsed import ParsedFace, ParsedPhoto

SIZE, GRID, CLASSES, PHOTO = 33, 9, 4, (40, 48)
NAMES = CELEBAMASK_HQ.names


def parsed_face(logits: np.ndarray, matrix: Matrix) -> ParsedFace:
    labels = map_labels(logits, matrix, SIZE, PHOTO)
    window = (0, 0, *PHOTO)
    return ParsedFace(matrix, window, labels, matrices=(matrix,), size=SIZE, logits=logits)


def turned(angle: float = 0.3, scale: float = 0.8, across: float = 2.0) -> Matrix:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cosine, -sine, across], [sine, cosine, -3.0]])


def random_logits(seed: int, classes: int = CLASSES) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (classes, GRID, GRID)).astype(np.float32)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_of_two_classes_a_mask_is_the_probability_of_interpolated_logits(seed: int) -> None:
    # Of two classes, the log-odds are their logits' difference, which interpolates like they do.
    logits, matrix = random_logits(seed, 2), turned()
    mask = face_mask(parsed_face(logits, matrix), frozenset({1}))
    for row, column in np.random.default_rng(seed).integers(0, PHOTO[0], (30, 2)):
        x, y = matrix @ [column, row, 1]
        if not (0 <= x <= SIZE - 1 and 0 <= y <= SIZE - 1):
            continue
        u, v = (place * (GRID - 1) / (SIZE - 1) for place in (x, y))
        left, top = min(int(u), GRID - 2), min(int(v), GRID - 2)
        p, q = u - left, v - top
        cell = logits[:, top : top + 2, left : left + 2]
        at = cell[:, 0, 0] * (1 - p) * (1 - q) + cell[:, 0, 1] * p * (1 - q)
        at = at + cell[:, 1, 0] * (1 - p) * q + cell[:, 1, 1] * p * q
        assert mask[row, column] == pytest.approx(softmax(at)[1], abs=1e-4)


@given(st.integers(0, 1000))
def test_sure_masks_are_the_labels_masks_of_all_classes_sum_to_one_or_nothing_and_none_is_outside(seed: int) -> None:
    logits, matrix = random_logits(seed), turned()
    face = parsed_face(logits, matrix)
    places = np.stack(np.meshgrid(np.arange(PHOTO[1]), np.arange(PHOTO[0])), axis=-1) @ matrix[:, :2].T + matrix[:, 2]
    seen = ((places > -0.5) & (places < SIZE - 0.5)).all(axis=-1)
    assert mask_of([face], frozenset(range(1, CLASSES)), PHOTO)[~seen].max(initial=0) == 0
    for label in range(1, CLASSES):
        mask = mask_of([face], frozenset({label}), PHOTO)
        assert mask.dtype == np.float32
        assert 0 <= mask.min() <= mask.max() <= 1
        assert (
            face.labels[mask > 0.5 + 1e-4] == label
        ).mean() > 0.97  # interpolated log-odds are no interpolated logits
    rest = mask_of([face], frozenset({0}), PHOTO)
    assert np.allclose(rest, 1 - mask_of([face], frozenset(range(1, CLASSES)), PHOTO), atol=1e-6)


def two_faces() -> list[ParsedFace]:
    """Both are sure that all they see is class 1 or class 2; they overlap."""
    faces = []
    for label, across in ((1, 0.0), (2, -20.0)):
        logits = np.zeros((CLASSES, GRID, GRID), np.float32)
        logits[label] = 30
        faces.append(parsed_face(logits, np.array([[1.0, 0, across], [0, 1.0, 0]])))
    return faces


def test_of_several_faces_each_pixel_goes_to_the_one_whose_label_it_has() -> None:
    faces = two_faces()
    labels = merge_faces(faces, PHOTO)
    assert {*np.unique(labels)} == {0, 1, 2}
    for label in (1, 2):
        assert np.allclose(mask_of(faces, frozenset({label}), PHOTO), labels == label, atol=1e-6)
    assert np.allclose(mask_of([], frozenset({1}), PHOTO), 0)


def test_growing_and_shrinking_move_the_edge_by_so_many_pixels_and_feathering_softens_it() -> None:
    faces = two_faces()[:1]
    plain, grown, shrunk = (mask_of(faces, frozenset({1}), PHOTO, grow=grow) for grow in (0, 3, -3))
    rows = [int((mask[15] > 0.5).sum()) for mask in (plain, grown, shrunk)]
    assert rows[1] - rows[0] == rows[0] - rows[2] == 3  # at its right edge; the left one is the photo's
    soft = mask_of(faces, frozenset({1}), PHOTO, feather=2)
    assert ((soft > 0.02) & (soft < 0.98)).sum() > 3 * ((plain > 0.02) & (plain < 0.98)).sum()
    assert soft.sum() == pytest.approx(plain.sum(), rel=0.05)
    inverse = mask_of(faces, frozenset({0, 2, 3}), PHOTO, grow=-3)
    assert np.allclose(inverse, 1 - grown, atol=1e-6)
    for wrong in ({"feather": -1}, {"feather": math.nan}, {"grow": 5000}):
        with pytest.raises(EagrctlError, match="from 0 to 1000"):
            mask_of(faces, frozenset({1}), PHOTO, **wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hair", {"hair"}),
        ("l_lip", {"l_lip"}),
        ("lower-lip", {"l_lip"}),
        ("Lower lip", {"l_lip"}),
        ("lips", {"u_lip", "l_lip"}),
        ("eyes", {"l_eye", "r_eye"}),
        ("background", {"background"}),
        ("everything", set(NAMES) - {"background"}),
    ],
)
def test_parts_are_named_as_the_dataset_or_as_people_do_or_by_group(text: str, expected: set[str]) -> None:
    assert {NAMES[number] for number in classes_of(text, NAMES)} == expected


def test_groups_hold_for_other_datasets_and_own_ones_go_first(tmp_path: Path) -> None:
    assert {HELEN.names[number] for number in classes_of("whole-mouth", HELEN.names)} == {
        *("upper lip", "inner mouth", "lower lip"),
    }
    (tmp_path / "mine.toml").write_text('[groups]\nlips = ["mouth", "lower-lip"]\ntop = ["hair", "hat"]\n')
    groups = read_groups(tmp_path / "mine.toml")
    assert {NAMES[number] for number in classes_of("lips", NAMES, groups)} == {"mouth", "l_lip"}
    assert {NAMES[number] for number in mask_request("top", NAMES, groups).classes} == {"hair", "hat"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hairs", r"no class or group is called 'hairs' \(did you mean 'hair'"),
        ("mine=hair+nos", r"called 'nos' \(did you mean 'nose'"),
        ("mine=", "no class or group is called ''"),
        ("../x=hair", "a mask cannot be called '../x'"),
        ("overlay=hair", "a mask cannot be called 'overlay'"),
        ("=hair", "a mask cannot be called ''"),
        ("a b=hair", "a mask cannot be called 'a b'"),
    ],
)
def test_what_there_is_not_and_what_is_no_name_for_a_file_are_refused(text: str, said: str) -> None:
    with pytest.raises(EagrctlError, match=said) as caught:
        mask_request(text, NAMES)
    assert "\n" not in str(caught.value)


def test_a_request_may_put_parts_together() -> None:
    request = mask_request("lips=upper-lip+lower-lip+mouth", NAMES)
    assert request.name == "lips"
    assert {NAMES[number] for number in request.classes} == {"u_lip", "l_lip", "mouth"}


def test_a_photo_gives_masks_and_cutouts() -> None:
    image = np.full((*PHOTO, 3), 77, np.uint8)
    faces = tuple(two_faces())
    parsed = ParsedPhoto(image, merge_faces(faces, PHOTO), ("background", "hair", "hat", "nose"), faces)
    both = parsed.mask("hair+hat")
    assert np.allclose(both, parsed.labels > 0, atol=1e-6)
    cutout = parsed.cutout("hair")
    assert cutout.shape == (*PHOTO, 4)
    assert (cutout[..., :3] == 77).all()
    assert np.array_equal(cutout[..., 3] > 127, parsed.labels == 1)
    with pytest.raises(EagrctlError, match="no class or group is called 'beard'"):
        parsed.mask("beard")
