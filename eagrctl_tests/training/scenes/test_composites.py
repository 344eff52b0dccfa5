from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eagrctl.training.scenes import composites
from eagrctl.training.scenes.composites import SceneRecipe, scene
from eagrctl.training.scenes.covers import Frame, covered, hidden_under
from eagrctl.training.scenes.crops import crop, pointed
from eagrctl.training.scenes.development import developed
from eagrctl.training.scenes.materials import HeadAbout
from eagrctl.training.scenes.pasting import MIRRORED, box_face, head_face, paste
from eagrctl_tests.training.scenes.stock import BOX, POINTS, head, stock

RECIPE = SceneRecipe(192, photos=0.3, backgrounds=0.2, covered=0.4, turned=0.3, squeezed=0.3, nearest=4.0)


def test_a_scene_follows_from_seed_epoch_and_number() -> None:
    material = stock()
    for number in range(6):
        one, same = (scene(material, RECIPE, 3, 1, number) for _ in range(2))
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, same, strict=True))
    others = [scene(material, RECIPE, *key).image for key in ((3, 1, 0), (4, 1, 0), (3, 2, 0), (3, 1, 1))]
    assert len({each.tobytes() for each in others}) == 4


def test_scenes_are_what_they_say() -> None:
    material, faces, empty, hidden, left_out = stock(), 0, 0, 0, 0
    for number in range(60):
        made = scene(material, RECIPE, 0, 0, number)
        assert made.image.shape == (192, 192, 3)
        assert made.image.dtype == np.uint8
        count = len(made.boxes)
        assert made.points.shape == (count, 5, 2)
        assert made.eyes.shape == made.covered.shape == made.turns.shape == (count,)
        assert (made.boxes[:, 2:] > made.boxes[:, :2]).all()
        known = made.points[np.isfinite(made.points)]
        assert ((known >= 0) & (known <= 191)).all()
        # Points lie in their box, or close to it.
        middles = 0.5 * (made.boxes[:, :2] + made.boxes[:, 2:])
        sizes = np.sqrt(np.prod(made.boxes[:, 2:] - made.boxes[:, :2], axis=1))
        off = np.abs(made.points - middles[:, None]).max(axis=2) / np.maximum(sizes, 1)[:, None]
        assert (off[np.isfinite(off)] < 0.75).all()
        faces, empty = faces + count, empty + (count == 0)
        hidden, left_out = hidden + int(np.isnan(made.points).any()), left_out + len(made.ignored)
    assert faces > 60
    assert empty >= 5
    assert hidden
    assert left_out


def test_without_photos_or_heads_there_are_only_the_others() -> None:
    material = stock()
    bare = replace(material, heads=(), photos=())
    assert all(not len(scene(bare, RECIPE, 0, 0, number).boxes) for number in range(8))
    photos = replace(material, heads=())
    every = replace(RECIPE, photos=1.0, backgrounds=0.0)
    boxes = [len(scene(photos, every, 0, 0, number).boxes) for number in range(12)]
    assert max(boxes) == 1


@pytest.mark.parametrize("degrees", [0, 37, 180])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_face_is_moved_as_its_pixels_are(degrees: int, mirror: bool) -> None:
    picture = Image.new("RGB", (90, 110))
    face = box_face(np.array([20.0, 30, 60, 90]), np.array([[30.0, 45], [50, 45], [40, 60], [33, 75], [47, 75]]))
    spots = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)]
    for spot, (x, y) in zip(spots, face.points, strict=True):
        picture.paste(spot, (int(x) - 3, int(y) - 3, int(x) + 4, int(y) + 4))
    angle, side = np.deg2rad(degrees), -1.0 if mirror else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([side, 1.0])
    matrix = np.column_stack([1.5 * turn, np.array([100.0, 100]) - 1.5 * turn @ face.frame.middle])
    canvas = Image.new("RGB", (200, 200), "white")
    paste(canvas, picture, Image.new("L", picture.size, 255), matrix)
    moved = face.moved(matrix)
    order = MIRRORED if mirror else range(5)
    for spot, (x, y) in zip([spots[place] for place in order], moved.points, strict=True):
        assert canvas.getpixel((round(x), round(y))) == spot
    assert np.allclose(moved.frame.middle, [100, 100])
    reach = np.hypot(30 * np.cos(angle), 45 * np.sin(angle))
    assert np.allclose(moved.box[[0, 2]], [100 - reach, 100 + reach])
    assert np.isclose((moved.turn - degrees + 180) % 360 - 180, 0, atol=1e-6)


def test_what_is_painted_over_a_face_hides_points() -> None:
    made = head(0)
    assert isinstance(made.about, HeadAbout)
    face, hidden, changed = head_face(made.about), np.zeros(5, int), 0
    for seed in range(60):
        picture, opacity, points = covered(
            made.picture(), made.opacity(), face.frame, face.points, np.random.default_rng(seed)
        )
        assert picture.size == opacity.size == made.picture().size
        assert (np.asarray(opacity) >= np.asarray(made.opacity())).all()
        kept = np.isfinite(points).all(axis=1)
        assert np.array_equal(points[kept], face.points[kept])
        hidden += ~kept
        changed += int(np.abs(np.asarray(picture).astype(int) - np.asarray(made.picture())).max() > 20)
    assert (hidden > 2).all()
    assert changed == 60


def test_points_under_something_are_not_known() -> None:
    hides = np.zeros((10, 10), np.uint8)
    hides[5:] = 255
    points = np.array([[2.0, 2], [2, 7], [np.nan, np.nan], [30, 30], [-4, 1]])
    assert np.isnan(hidden_under(hides, points)[:, 0]).tolist() == [False, True, True, True, False]


def test_places_of_a_face_lie_along_its_axes() -> None:
    frame = Frame(np.array([10.0, 20]), np.array([[4.0, 3], [-6, 8]]))
    assert frame.at([(0, 0), (1, 0), (0, -1)]) == [(10, 20), (14, 23), (16, 12)]
    assert frame.reach == 5


def test_photos_are_spoilt_in_many_ways_and_keep_their_size() -> None:
    photo = np.asarray(stock().photos[0].picture())[:100, 150:270]
    spoilt = [developed(photo, np.random.default_rng(seed)) for seed in range(80)]
    assert {each.shape for each in spoilt} == {photo.shape}
    means = np.array([each.mean() for each in spoilt])
    assert means.min() < 0.55 * photo.mean()
    assert means.max() > 1.3 * photo.mean()
    assert any((each[..., 0] == each[..., 1]).all() for each in spoilt)
    assert np.array_equal(spoilt[0], developed(photo, np.random.default_rng(0)))


def test_crops_show_a_face_upright_near_their_middle() -> None:
    material = stock()
    heads, faces = pointed(material)
    assert len(heads) == 4
    assert [number for _, number in faces] == [0]
    made = [crop(material, heads, faces, 0, 0, number) for number in range(60)]
    again = crop(material, heads, faces, 0, 0, 7)
    assert np.array_equal(again.image, made[7].image)
    assert all(each.image.shape == (128, 128, 3) for each in made)
    points = np.stack([each.points for each in made])
    assert np.nanmedian(points, axis=0)[:, 1][[0, 2, 3]].tolist() == sorted(np.nanmedian(points, axis=0)[[0, 2, 3], 1])
    eyes = points[np.isfinite(points[:, :2]).all(axis=(1, 2)), :2]
    assert (eyes[:, 1, 0] > eyes[:, 0, 0]).all()
    assert (np.isfinite(points).all(axis=(1, 2))).mean() > 0.5
    assert BOX[0] < POINTS[0][0] < BOX[2]


def test_a_face_in_which_nothing_shows_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(RECIPE, photos=0.0, backgrounds=0.0)
    made = [scene(stock(), recipe, 0, 0, number) for number in range(6)]
    monkeypatch.setattr(composites, "developed", lambda image, random: np.full_like(image, 9))
    dark = [scene(stock(), recipe, 0, 0, number) for number in range(6)]
    assert any(len(each.boxes) for each in made)
    for lit, unlit in zip(made, dark, strict=True):
        assert not len(unlit.boxes)
        assert len(unlit.ignored) == len(lit.ignored) + len(lit.boxes)
