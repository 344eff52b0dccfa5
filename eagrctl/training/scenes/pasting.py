"""Heads and photos pasted on backgrounds, and where their faces lie then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Landmarks, Matrix
from eagrctl.geometry import transform, way_back
from eagrctl.training.scenes.covers import Frame
from eagrctl.training.scenes.materials import BackgroundAbout, HeadAbout, Material, MaterialIndex, known_points

MIRRORED = [1, 0, 2, 4, 3]  # which point each becomes in a mirror


@dataclass(frozen=True)
class Stock:
    """The material of a split, in memory."""

    heads: Sequence[Material]
    photos: Sequence[Material]
    backgrounds: Sequence[Material]

    @classmethod
    def of(cls, index: MaterialIndex, split: str) -> "Stock":
        """Read a split."""
        return cls(index.read("heads", split), index.read("photos", split), index.read("backgrounds", split))


@dataclass(frozen=True)
class PlacedFace:
    """A face in a scene: its ellipse, points, and whether it is covered."""

    frame: Frame
    points: Landmarks
    covered: bool = False

    @property
    def box(self) -> NDArray[np.float64]:
        """Around the ellipse, (4,) float64."""
        reach = np.hypot(*self.frame.axes)
        return np.concatenate([self.frame.middle - reach, self.frame.middle + reach])

    @property
    def size(self) -> float:
        """The square root of its box's area."""
        return float(2 * np.sqrt(np.prod(np.hypot(*self.frame.axes))))

    @property
    def turn(self) -> float:
        """In degrees, clockwise; a real photo's faces count as upright."""
        down = self.frame.axes[1]
        return float(np.rad2deg(np.arctan2(-down[0], down[1])))

    def moved(self, matrix: Matrix) -> "PlacedFace":
        """Where a matrix takes it, mirrored if the matrix mirrors."""
        axes = self.frame.axes @ matrix[:, :2].T
        points = transform(matrix, self.points)
        if np.linalg.det(matrix[:, :2]) < 0:
            points, axes = points[MIRRORED], axes * [[-1.0], [1.0]]
        return replace(self, frame=Frame(transform(matrix, self.frame.middle[None])[0], axes), points=points)


def head_face(about: HeadAbout) -> PlacedFace:
    """The face of a head, in the head's own photo."""
    along = np.array([np.cos(about.roll), np.sin(about.roll)])
    axes = np.array([about.reach[0] * along, about.reach[1] * np.array([-along[1], along[0]])])
    return PlacedFace(Frame(np.array(about.middle), axes), known_points(about.points))


def box_face(box: NDArray[np.float64], points: Landmarks) -> PlacedFace:
    """The face in an upright box, (4,), of which five points, NaN where unknown, are given."""
    return PlacedFace(Frame(0.5 * (box[:2] + box[2:]), np.diag(0.5 * (box[2:] - box[:2]))), points)


def inside(points: Landmarks, size: int) -> Landmarks:
    """The points, NaN where they lie outside a photo of this side."""
    shown = np.all((points >= 0) & (points <= size - 1), axis=1)
    return np.where(shown[:, None], points, np.nan)


def relit(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """A head in another light: it came from elsewhere than its background."""
    gains = random.uniform(0.6, 1.35) * random.uniform(0.92, 1.08, 3)
    return picture.point([min(255, int(gain * level)) for gain in gains for level in range(256)])


def ground(stock: Stock, size: int, random: np.random.Generator) -> Image.Image:
    """A background of the size of a scene."""
    if not stock.backgrounds or random.random() < 0.04:
        low, high = (random.integers(0, 256, 3) for _ in range(2))
        ramp = np.linspace(low, high, size)[:, None].repeat(size, 1)
        return Image.fromarray(ramp.astype(np.uint8))
    first, second = (stock.backgrounds[int(random.integers(len(stock.backgrounds)))] for _ in range(2))
    # The hard ones come twice as often.
    about = first.about
    chosen = first if isinstance(about, BackgroundAbout) and about.hard else second
    picture = chosen.picture()
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    side = min(picture.size) * random.uniform(0.45, 1.0)
    left, top = (random.uniform(0, end - side) for end in picture.size)
    box = (left, top, left + side, top + side)
    shown: Image.Image = picture.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return shown


def paste(
    canvas: Image.Image,
    picture: Image.Image,
    opacity: Image.Image,
    matrix: Matrix,
    owner: NDArray[np.int16] | None = None,
    number: int = 0,
) -> None:
    """Paste a picture where a matrix takes it; whose each pixel is now stands in `owner`."""
    width, height = picture.size
    first, last, lowest = -0.5, width - 0.5, height - 0.5
    corners = transform(matrix, np.array([[first, first], [last, first], [first, lowest], [last, lowest]]))
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, canvas.size)
    if right <= left or bottom <= top:
        return
    here = matrix.copy()
    here[:, 2] -= [left, top]
    factor = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if factor < 0.7:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        picture, opacity = (each.resize(size, Image.Resampling.BILINEAR) for each in (picture, opacity))
        across, along = width / size[0], height / size[1]
        here = np.column_stack([here[:, :2] * [across, along], here @ [0.5 * across - 0.5, 0.5 * along - 0.5, 1]])
    size = int(right - left), int(bottom - top)
    options = size, Image.Transform.AFFINE, way_back(here), Image.Resampling.BILINEAR
    seen, mask = picture.transform(*options), opacity.transform(*options)
    canvas.paste(seen, (int(left), int(top)), mask)
    if owner is not None:
        owner[top:bottom, left:right][np.asarray(mask) > 127] = number
