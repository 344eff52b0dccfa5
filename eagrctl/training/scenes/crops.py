"""Upright crops of single faces, made on the fly, from which the network that refines points learns.

A crop follows from seed, epoch and number, and nothing else. The face lies in it as a first look would have put it: a
little turned, too large or too small, beside the middle.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Matrix, Pixels
from eagrctl.faces.detection.points import CROP, FACE, upright_matrix
from eagrctl.geometry import compose
from eagrctl.training.scenes.covers import covered
from eagrctl.training.scenes.development import developed
from eagrctl.training.scenes.materials import HeadAbout, Material, PhotoAbout, known_points
from eagrctl.training.scenes.pasting import PlacedFace, Stock, box_face, ground, head_face, inside, paste, relit

COVERED, SQUEEZED, SMALL, REAL = 0.25, 0.3, 0.25, 0.15  # shares of crops
SCALE, TURN, SHIFT = 0.11, 8.0, 0.06  # deviations: of the logarithm, in degrees, in shares of the face
LEAST_REAL = 24.0  # pixels of a real face from which points were told with care


class Crop(NamedTuple):
    """A face to learn from.

    Attributes:
        image: (CROP, CROP, 3) uint8.
        points: (5, 2) float32; NaN where one is hidden or unknown.
    """

    image: Pixels
    points: NDArray[np.float32]


def pointed(stock: Stock) -> tuple[list[Material], list[tuple[Material, int]]]:
    """The heads, and the faces of photos by their number, of which all five points are known."""
    heads = [
        head
        for head in stock.heads
        if isinstance(head.about, HeadAbout) and head.about.points and None not in head.about.points
    ]
    faces = [
        (photo, number)
        for photo in stock.photos
        if isinstance(photo.about, PhotoAbout)
        for number, (box, points) in enumerate(zip(photo.about.boxes, photo.about.points, strict=True))
        if points is not None and None not in points and box[3] - box[1] >= LEAST_REAL
    ]
    return heads, faces


def crop(
    stock: Stock, heads: Sequence[Material], faces: Sequence[tuple[Material, int]], seed: int, epoch: int, number: int
) -> Crop:
    """The crop of a number in an epoch; `heads` and `faces` are those of `pointed`."""
    random = np.random.default_rng((seed, epoch, number))
    canvas = ground(stock, CROP, random)
    if faces and random.random() < REAL:
        material, which = faces[int(random.integers(len(faces)))]
        about = material.about
        assert isinstance(about, PhotoAbout)
        picture = material.picture()
        opacity = Image.new("L", picture.size, 255)
        face = box_face(np.array(about.boxes[which], np.float64), known_points(about.points[which]))
    else:
        head = heads[int(random.integers(len(heads)))]
        assert isinstance(head.about, HeadAbout)
        picture, opacity, face = head.picture(), head.opacity(), head_face(head.about)
    whole = face.points
    if random.random() < COVERED:
        picture, opacity, points = covered(picture, opacity, face.frame, whole, random)
        face = PlacedFace(face.frame, points)
    if random.random() < 0.5:
        picture = relit(picture, random)
    matrix = _matrix(face, whole, random)
    paste(canvas, picture, opacity, matrix)
    if random.random() < SMALL:
        # As a small face looks that was enlarged.
        side = round(CROP * float(np.exp(random.uniform(np.log(0.12), 0))))
        canvas = canvas.resize((side, side), Image.Resampling.BOX).resize((CROP, CROP), Image.Resampling.BILINEAR)
    points = inside(face.moved(matrix).points, CROP)
    return Crop(developed(np.asarray(canvas), random), points.astype(np.float32))


def _matrix(face: PlacedFace, points: NDArray[np.float64], random: np.random.Generator) -> Matrix:
    """What takes a face into a crop, a little off; now and then narrowed along its own axis, or mirrored."""
    squeeze = random.uniform(0.55, 0.95) if random.random() < SQUEEZED else 1.0
    along = face.frame.axes[0] / np.hypot(*face.frame.axes[0])
    basis = np.array([along, [-along[1], along[0]]])
    side = -1.0 if random.random() < 0.5 else 1.0
    linear = basis.T @ np.diag([side * squeeze, 1.0]) @ basis
    narrowed = np.column_stack([linear, np.zeros(2)])
    upright = compose(upright_matrix(PlacedFace(face.frame, points).moved(narrowed).points), narrowed)
    scale, turn = np.exp(SCALE * random.normal()), np.deg2rad(np.clip(TURN * random.normal(), -30, 30))
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    middle = 0.5 * (CROP - 1)
    off = middle + SHIFT * FACE * random.normal(size=2)
    jitter = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    jitter[:, 2] = off - jitter[:, :2] @ [middle, middle]
    return compose(jitter, upright)
