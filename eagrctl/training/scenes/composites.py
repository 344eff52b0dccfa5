"""Photos to learn from, made on the fly: heads pasted on backgrounds, real photos, and backgrounds alone.

A scene follows from seed, epoch and number, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from eagrctl.arrays import Landmarks, Matrix, Pixels
from eagrctl.documents import Number, Whole, Written
from eagrctl.faces.detection.network import LARGEST_STRIDE
from eagrctl.geometry import stretch_matrix
from eagrctl.recipe import Share
from eagrctl.training.scenes.covers import covered
from eagrctl.training.scenes.development import developed
from eagrctl.training.scenes.materials import HeadAbout, Material, PhotoAbout, known_points
from eagrctl.training.scenes.pasting import PlacedFace, Stock, box_face, ground, head_face, inside, paste, relit

LEAST_SIZE = 7.0  # pixels; a smaller face, the square root of its box's area, neither counts nor is denied
LEAST_SEEN = 0.35  # of a face's ellipse that other heads and the frame leave; with less, likewise
LEAST_SEEN_COVERED = 0.6  # the same of a face that is covered besides
LEAST_CONTRAST = 5.0  # levels of grey; the standard deviation in the middle of a face; with less, likewise
LEAST_INSIDE = 0.5  # of the box of a real photo's face, in the frame; with less, likewise
EYES_APART = 0.9  # in halves of a face's width


@dataclass(frozen=True)
class SceneRecipe(Written):
    """What scenes are made of.

    Attributes:
        size: side of a scene, in pixels.
        photos, backgrounds: shares of scenes that are real photos, or have no face; all others are composites.
        covered: share of pasted heads that something covers.
        turned: share of faces that are turned by any angle; the others by 45 degrees at most, most of them less.
        squeezed: share of pasted heads that are narrowed, for views from the side.
        nearest: the smallest distance of two eyes, in pixels.
    """

    size: Annotated[Whole, Field(ge=64, le=2048, multiple_of=LARGEST_STRIDE)]
    photos: Share
    backgrounds: Share
    covered: Share
    turned: Share
    squeezed: Share
    nearest: Annotated[Number, Field(ge=1, le=100)]


class Scene(NamedTuple):
    """A photo and what is known of its faces.

    Attributes:
        image: (S, S, 3) uint8.
        boxes: (M, 4) float32; they reach beyond the photo where it cuts a face.
        points: (M, 5, 2) float32, NaN where one is hidden or unknown.
        ignored: (K, 4) float32, regions in which nothing counts.
        eyes: (M,) float32, the distance of the eyes in pixels, as far as it can be told from the face's width.
        covered: (M,) bool, whether something covers the face.
        turns: (M,) float32, how far the face was turned, in degrees; real photos' faces count as upright before.
    """

    image: Pixels
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    ignored: NDArray[np.float32]
    eyes: NDArray[np.float32]
    covered: NDArray[np.bool_]
    turns: NDArray[np.float32]


def scene(stock: Stock, recipe: SceneRecipe, seed: int, epoch: int, number: int) -> Scene:
    """The scene of a number in an epoch."""
    random = np.random.default_rng((seed, epoch, number))
    kind = random.random()
    if kind < recipe.photos and stock.photos:
        return _of_photo(stock, recipe, random)
    canvas = ground(stock, recipe.size, random)
    if kind < recipe.photos + recipe.backgrounds or not stock.heads:
        return _scene(canvas, recipe.size, [], [], random)
    return _composite(canvas, stock, recipe, random)


def _scene(
    canvas: Image.Image,
    size: int,
    faces: Sequence[PlacedFace],
    left_out: Sequence[NDArray[np.float64]],
    random: np.random.Generator,
) -> Scene:
    """Develop the picture, and gather what is known; `left_out` are boxes in which nothing counts."""
    image = developed(np.asarray(canvas), random)
    plain = [face.size >= LEAST_SIZE and _contrast(image, face) >= LEAST_CONTRAST for face in faces]
    counted = [face for face, shows in zip(faces, plain, strict=True) if shows]
    ignored = [*left_out, *(face.box for face, shows in zip(faces, plain, strict=True) if not shows)]
    eyes = [EYES_APART * float(np.hypot(*face.frame.axes[0])) for face in counted]
    return Scene(
        image,
        np.array([face.box for face in counted], np.float32).reshape(-1, 4),
        np.array([inside(face.points, size) for face in counted], np.float32).reshape(-1, 5, 2),
        np.array(ignored, np.float32).reshape(-1, 4),
        np.array(eyes, np.float32),
        np.array([face.covered for face in counted], bool),
        np.array([face.turn for face in counted], np.float32),
    )


def _contrast(image: Pixels, face: PlacedFace) -> float:
    """The standard deviation of grey levels in the middle of a face; 0 where the frame leaves none of it."""
    reach = 0.6 * np.hypot(*face.frame.axes)
    left, top = np.maximum(np.floor(face.frame.middle - reach), 0).astype(int)
    right, bottom = np.maximum(np.ceil(face.frame.middle + reach) + 1, 0).astype(int)
    part = image[top:bottom, left:right]
    return float(part.mean(axis=2).std()) if part.size else 0.0


def _turn(recipe: SceneRecipe, random: np.random.Generator) -> float:
    """An angle in radians."""
    if random.random() < recipe.turned:
        return float(random.uniform(-np.pi, np.pi))
    return float(np.deg2rad(np.clip(random.normal(0, 18), -45, 45)))


def _matrix(
    scale: float, turn: float, squeeze: float, mirror: bool, middle: NDArray[np.float64], to: NDArray[np.float64]
) -> Matrix:
    """Squeeze along the first axis, mirror, turn and scale about a point, and put it somewhere."""
    side = -1.0 if mirror else 1.0
    cosine, sine = np.cos(turn), np.sin(turn)
    linear = scale * np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([side * squeeze, 1.0])
    return np.column_stack([linear, to - linear @ middle])


def _of_photo(stock: Stock, recipe: SceneRecipe, random: np.random.Generator) -> Scene:
    """A real photo, scaled so that one of its faces has a size drawn, shifted, now and then turned."""
    material = stock.photos[int(random.integers(len(stock.photos)))]
    about = material.about
    assert isinstance(about, PhotoAbout)
    picture, size = material.picture(), recipe.size
    boxes = np.array(about.boxes, np.float64).reshape(-1, 4)
    faces = [box_face(box, known_points(points)) for box, points in zip(boxes, about.points, strict=True)]
    whole = size / max(picture.size)
    if faces:
        face = faces[random.integers(len(faces))]
        wanted = np.exp(random.uniform(np.log(9), np.log(300)))
        scale = float(np.clip(wanted / face.size, 0.5 * whole, max(3.0 * whole, 1.0)))
        focus = face.frame.middle
    else:
        scale, focus = whole, 0.5 * np.array(picture.size)
    turn = _turn(recipe, random) if random.random() < 0.25 else 0.0
    room = scale * np.array(picture.size)
    # Where the photo is smaller than the scene it stays in view; where it is larger, the face does.
    if (room <= size).all() and not turn:
        to = random.uniform(0, 1, 2) * (size - room) + scale * focus
    else:
        to = random.uniform(0.15, 0.85, 2) * size
    matrix = _matrix(scale, turn, 1.0, bool(random.random() < 0.5), focus, to)
    canvas = ground(stock, size, random) if random.random() < 0.6 else Image.new("RGB", (size, size), _grey(random))
    paste(canvas, picture, Image.new("L", picture.size, 255), matrix)
    ignored = [
        box_face(box, known_points(None)).moved(matrix) for box in np.array(about.ignored, np.float64).reshape(-1, 4)
    ]
    moved = [face.moved(matrix) for face in faces]
    counted = [face for face in moved if _share_inside(face.box, size) >= LEAST_INSIDE]
    left_out = [face.box for face in moved if 0 < _share_inside(face.box, size) < LEAST_INSIDE]
    return _scene(canvas, size, counted, [*left_out, *(face.box for face in ignored)], random)


def _grey(random: np.random.Generator) -> tuple[int, int, int]:
    level = int(random.choice([0, 0, 128, 255]))
    return level, level, level


def _share_inside(box: NDArray[np.float64], size: int) -> float:
    kept = np.clip(box, 0, size)
    return float(np.prod(kept[2:] - kept[:2])) / max(float(np.prod(box[2:] - box[:2])), 1e-9)


def _composite(canvas: Image.Image, stock: Stock, recipe: SceneRecipe, random: np.random.Generator) -> Scene:
    """Heads pasted on a background, one to thirty."""
    size = recipe.size
    low, high = ((1, 2), (2, 4), (4, 11), (11, 31))[random.choice(4, p=(0.34, 0.26, 0.26, 0.14))]
    count = int(random.integers(low, high))
    largest = max(0.5 * size / np.sqrt(count), 2 * recipe.nearest)
    base = np.exp(random.uniform(np.log(recipe.nearest), np.log(largest)))
    faces: list[PlacedFace] = []
    owner = np.full((size, size), -1, np.int16)
    for _ in range(count):
        head = stock.heads[int(random.integers(len(stock.heads)))]
        apart = float(np.clip(base * np.exp(random.normal(0, 0.3)), recipe.nearest, 0.6 * size))
        placed = _free_place(faces, apart, size, random)
        if placed is not None:
            faces.append(_pasted(canvas, owner, len(faces), head, apart, placed, recipe, random))
    counted, left_out = [], []
    for number, face in enumerate(faces):
        seen, visible = _seen(owner, number, face)
        if seen >= (LEAST_SEEN_COVERED if face.covered else LEAST_SEEN):
            counted.append(replace(face, points=visible, covered=face.covered or seen < 0.75))
        elif seen > 0:
            left_out.append(face.box)
    return _scene(canvas, size, counted, left_out, random)


def _free_place(
    faces: Sequence[PlacedFace], apart: float, size: int, random: np.random.Generator
) -> NDArray[np.float64] | None:
    """A place for a face, mostly one that hides no other; None where there is hardly any."""
    over = random.random() < 0.12
    reach = 1.4 * apart
    for _ in range(12):
        edge = 0.0 if random.random() < 0.15 else min(reach, 0.45 * size)
        place = random.uniform(edge, size - edge, 2)
        close = 0.6 if over else 1.0
        if all(np.hypot(*(place - face.frame.middle)) > close * (reach + 0.5 * face.size) for face in faces):
            return place
    return None


def _pasted(
    canvas: Image.Image,
    owner: NDArray[np.int16],
    number: int,
    head: Material,
    apart: float,
    place: NDArray[np.float64],
    recipe: SceneRecipe,
    random: np.random.Generator,
) -> PlacedFace:
    """Dress a head, turn and scale it, and paste it."""
    about = head.about
    assert isinstance(about, HeadAbout)
    opacity = head.opacity()
    scale = apart / (EYES_APART * about.reach[0])
    # What shrinks much is read shrunk: that is quicker, looks better, and paint costs less.
    picture = head.picture(next((factor for factor in (8, 4, 2) if scale * factor < 0.6), 1))
    down = stretch_matrix(opacity.size[::-1], picture.size[::-1])
    factor = opacity.width / picture.width
    opacity = opacity.resize(picture.size, Image.Resampling.BILINEAR) if factor > 1 else opacity
    face = head_face(about).moved(down)
    if random.random() < recipe.covered:
        picture, opacity, points = covered(picture, opacity, face.frame, face.points, random)
        face = replace(face, points=points, covered=True)
    if random.random() < 0.5:
        picture = relit(picture, random)
    squeeze = random.uniform(0.6, 0.95) if random.random() < recipe.squeezed else 1.0
    turn = _turn(recipe, random) - about.roll
    matrix = _matrix(scale * factor, turn, squeeze, bool(random.random() < 0.5), face.frame.middle, place)
    paste(canvas, picture, opacity, matrix, owner, number)
    return face.moved(matrix)


_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_DISC = np.concatenate([radius * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1) for radius in (0.3, 0.6, 0.85)])


def _seen(owner: NDArray[np.int16], number: int, face: PlacedFace) -> tuple[float, Landmarks]:
    """The share of a face that is seen, and its points, NaN where another head or the frame hides them."""

    def shown(places: NDArray[np.float64]) -> NDArray[np.bool_]:
        at = np.nan_to_num(places.round(), nan=-1).astype(int)
        inside = ((at >= 0) & (at < owner.shape[0])).all(axis=1)
        x, y = np.where(inside[:, None], at, 0).T
        own: NDArray[np.bool_] = inside & (owner[y, x] == number)
        return own

    share = float(shown(face.frame.middle + _DISC @ face.frame.axes).mean())
    return share, np.where(shown(face.points)[:, None], face.points, np.nan)
