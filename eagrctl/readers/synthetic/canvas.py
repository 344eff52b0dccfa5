"""What a face is painted on, posed, with photo and labels side by side.

Every part is an implicit shape: a *field* that is negative inside. Labels are the field's sign at pixel centres and the
photo blends along its zero line, so the two agree exactly, at any size.

Three frames: *surface* (x, y), the face seen from the front, the head 2 units tall, y down, the eyes near y = 0; *head*
(u, v), the surface turned by yaw and pitch; *frame*, pixels, after roll, scale, shift and perspective.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.labels import BACKGROUND
from eagrctl.readers.synthetic.face import PaintedFace

Field = NDArray[np.floating]  # float32 throughout, for speed


@dataclass(frozen=True)
class Patch:
    """A window on the canvas. `image` (h, w, 3) and `labels` (h, w) are views: painting here paints the canvas."""

    unit: float  # pixels per surface unit
    image: Field
    labels: Pixels
    u: Field
    v: Field
    x: Field
    y: Field
    coarse: Field
    fine: Field

    def tint(self, colour: Any, opacity: Field) -> None:
        """Blend a colour in by an opacity per pixel (h, w)."""
        self.image[:] += (np.asarray(colour, np.float32) - self.image) * np.clip(opacity, 0, 1)[..., None]

    def cover(self, field: Field, colour: Any, label: int | None = None, opacity: float = 1.0) -> None:
        """Paint the inside of a field, its outline smoothed over a pixel, and label it."""
        down, right = np.gradient(field)
        # Field over slope is the distance to the outline in pixels, however the pose has stretched the part.
        distance = field / (np.sqrt(down * down + right * right) + 1e-9)
        self.tint(colour, np.clip(0.5 - distance, 0, 1) * opacity)
        if label is not None:
            self.labels[field < 0] = label

    def shade(self, factor: Field) -> None:
        """Multiply the photo by a factor per pixel (h, w)."""
        self.image[:] *= factor[..., None]

    def emboss(self, height: Field, face: PaintedFace, strength: float) -> None:
        """Light a relief: slopes towards the lamp brighten, slopes away darken."""
        down, right = np.gradient(height)
        slope = -(right * face.light[0] + down * face.light[1]) * self.unit
        self.shade(np.clip(np.asarray(1 + strength * slope), 0.4, 1.5))


class Canvas(Patch):
    """The whole frame, a face's pose applied: `size` x `size` pixels, the photo black, the labels background."""

    def __init__(self, face: PaintedFace, size: int) -> None:
        cosine, sine = math.cos(face.roll) * face.scale, math.sin(face.roll) * face.scale
        (right, down), (tilt, nod) = face.centre, face.perspective
        head_to_frame = np.array([[cosine, -sine, right], [sine, cosine, down], [tilt, nod, 1]])
        pixels = np.array([[size, 0, -0.5], [0, size, -0.5], [0, 0, 1]])
        self._head_to_pixels = pixels @ head_to_frame
        self._reach = _turned(face.width, 0.9 * face.width, face.yaw)
        self._rise = _turned(1.0, 0.6, face.pitch)
        self._face = face
        columns, rows = np.arange(size, dtype=np.float32)[None, :], np.arange(size, dtype=np.float32)[:, None]
        a, b, c = (
            np.float32(m[0]) * columns + np.float32(m[1]) * rows + np.float32(m[2])
            for m in np.linalg.inv(self._head_to_pixels)
        )
        u, v = a / c, b / c
        x, y = self._to_surface(u, v)
        textures = np.random.default_rng(face.texture)
        super().__init__(
            image=np.zeros((size, size, 3), np.float32),
            labels=np.full((size, size), BACKGROUND, np.uint8),
            u=u,
            v=v,
            x=x,
            y=y,
            coarse=_mottle(textures, 9, size),
            fine=_mottle(textures, 72, size),
            unit=size * face.scale,
        )

    @property
    def half_width(self) -> float:
        """Of the turned head, in the head frame."""
        return self._reach[0]

    def to_pixels(self, points: Any) -> NDArray[np.float64]:
        """Take (n, 2) surface points to (n, 2) pixels."""
        x, y = np.asarray(points, np.float64).T
        radius, turn = self._rise
        v = radius * np.sin(np.arcsin(np.clip(y, -1, 1)) + turn)
        radius, turn = self._reach
        narrowing = self._narrowing(v)
        around = np.arcsin(np.clip(x / (self._face.width * narrowing), -1, 1))
        u = radius * narrowing * np.sin(np.clip(around + turn, -1.5, 1.5)) + self._jaw_shift(v)
        homogeneous = self._head_to_pixels @ np.stack([u, v, np.ones_like(u)])
        pixels: NDArray[np.float64] = (homogeneous[:2] / homogeneous[2]).T
        return pixels

    def patch(self, x: float, y: float, half_width: float, half_height: float) -> Patch:
        """The window that holds a box of the surface, given by its centre and half its sides."""
        steps = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
        points = self.to_pixels(np.array([x, y]) + steps * np.array([half_width, half_height]))
        size = len(self.labels)
        low = np.clip(np.floor(points.min(0)).astype(int) - 2, 0, size - 3)
        high = np.maximum(np.clip(np.ceil(points.max(0)).astype(int) + 3, 0, size), low + 3)
        at = (slice(low[1], high[1]), slice(low[0], high[0]))
        fields = (self.u, self.v, self.x, self.y, self.coarse, self.fine)
        return Patch(self.unit, self.image[at], self.labels[at], *(field[at] for field in fields))

    def outline(self) -> Field:
        """The field of the face's skin, forehead and skull included."""
        face, (radius, _) = self._face, self._reach
        across = np.abs(self.u - self._jaw_shift(self.v)) / (radius * self._narrowing(self.v))
        field: Field = np.power(across, face.squareness) + np.power(np.abs(self.v), face.squareness) - np.float32(1)
        return field

    def _to_surface(self, u: Field, v: Field) -> tuple[Field, Field]:
        # A head is near enough an ellipsoid: turning it adds an angle to each point's longitude (or latitude), so
        # what is on the far side gets narrower by itself.
        radius, turn = self._rise
        y = np.sin(np.arcsin(np.clip(v / radius, -0.99, 0.99)) - turn)
        radius, turn = self._reach
        narrowing = self._narrowing(v)
        across = (u - self._jaw_shift(v)) / (radius * narrowing)
        x = self._face.width * narrowing * np.sin(np.arcsin(np.clip(across, -0.99, 0.99)) - turn)
        return x, y

    def _narrowing(self, v: Any) -> Any:
        return 1 - self._face.jaw * np.clip(v, 0, 1.2) ** 2

    def _jaw_shift(self, v: Any) -> Any:
        return 0.14 * math.sin(self._face.yaw) * np.clip(v, -0.5, 1.2)


def _turned(radius: float, depth: float, angle: float) -> tuple[float, float]:
    """Half the extent of an ellipse turned by an angle, and the angle by which its surface moves."""
    along, towards = radius * math.cos(angle), depth * math.sin(angle)
    return math.hypot(along, towards), math.atan2(towards, along)


def _mottle(rng: np.random.Generator, cells: int, size: int) -> Field:
    """Smooth noise (size, size) of about unit spread, the same at every size."""
    grid = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))
