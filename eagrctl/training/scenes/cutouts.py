"""Heads cut out of their photos by their label maps, with the ellipse of the face and its five points."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from eagrctl.arrays import Landmarks, Pixels
from eagrctl.data.source import Sample
from eagrctl.training.scenes.label_landmarks import LabelLandmarks
from eagrctl.training.scenes.materials import Five, HeadAbout, Material

SIDE = 320  # A head is shrunk until neither side is longer, in pixels; its eyes are then some 80 apart.
SOFT = 1.0  # pixels by which its edge is softened
# Of the side; over this, a head that its photo's border cuts fades out: its edge would be a straight line.
FADE = 0.1

# Where a face has no brows, they lie so far above the eyes, in shares of the distance between them.
BROWS_ABOVE = 0.45
FACE = ("skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "nose", "mouth", "u_lip", "l_lip")
BROWS = ("l_brow", "r_brow")

# Of heads of "parts", which tell no eyes: how wide a face is, in shares of the photo's side; its height in widths; and
# how much of its box is skin or glasses. What does not fit is a hand, a shoulder, or a head from behind.
LEAST_WIDTH, LARGEST_WIDTH, HEIGHT, LEAST_FILLED = 0.08, 0.4, 1.3, 0.45


def cut_out_face(sample: Sample, classes: Sequence[str], side: int = SIDE) -> Material | None:
    """The head of a face of CelebAMask-HQ; None where an eye is hidden, which tell how it is turned."""
    image = np.asarray(Image.fromarray(sample.image).resize(sample.labels.shape[::-1]))
    labels = sample.labels
    points = LabelLandmarks.among(classes).read(labels)
    if not np.isfinite(points[:2]).all():
        return None
    across = points[1] - points[0]
    apart, roll = float(np.hypot(*across)), float(np.arctan2(across[1], across[0]))
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])  # to along and down the face
    along, down = turn @ np.array(np.nonzero(_of(labels, classes, FACE)))[::-1]
    brows = np.array(np.nonzero(_of(labels, classes, BROWS)))[::-1]
    eyes = float((turn @ points[:2].mean(axis=0))[1])
    top = float((turn @ brows)[1].min()) if brows.size else eyes - BROWS_ABOVE * apart
    # A brow that is half hidden lies lower than it should.
    top = min(top, eyes - 0.6 * BROWS_ABOVE * apart)
    bottom = float(np.percentile(down, 99.8))
    beside = along[(down > top) & (down < bottom)]
    left, right = np.percentile(beside, [0.5, 99.5])
    middle = turn.T @ [0.5 * (left + right), 0.5 * (top + bottom)]
    about = HeadAbout(_pair(middle), (0.5 * float(right - left), 0.5 * (bottom - top)), roll, _listed(points))
    return _cut(sample.name, image, labels > 0, about, side)


def cut_out_parts(name: str, image: Pixels, labels: Pixels, side: int = SIDE) -> Material | None:
    """The head of a photo with a map of `eagrctl.readers.real_photos.PARTS`; None where its face is not to be told."""
    face = (labels == 2) | (labels == 4) | (labels == 5)
    rows = np.flatnonzero(face.any(axis=1))
    if not len(rows):
        return None
    # The face is what is widest near the top: hands and neck lie below it.
    top, least = int(rows[0]), LEAST_WIDTH * labels.shape[1]
    for _ in range(3):
        upper = face[top : top + round(HEIGHT * least)]
        columns = np.flatnonzero(upper.sum(axis=0) > 0.15 * len(upper))
        if not len(columns):
            return None
        least = max(least, float(columns[-1] - columns[0] + 1))
    left, right, bottom = int(columns[0]), int(columns[-1]), top + HEIGHT * least
    within = face[top : round(bottom), left : right + 1]
    if bottom > labels.shape[0] or least > LARGEST_WIDTH * labels.shape[1] or within.mean() < LEAST_FILLED:
        return None
    middle = 0.5 * (left + right), 0.5 * (top + bottom)
    about = HeadAbout(middle, (0.5 * (right - left), 0.5 * (bottom - top)), 0.0)
    return _cut(name, image, labels > 0, about, side)


def _of(labels: Pixels, classes: Sequence[str], names: Sequence[str]) -> np.ndarray:
    return np.isin(labels, [classes.index(name) for name in names])


def _cut(name: str, image: Pixels, inside: np.ndarray, about: HeadAbout, side: int) -> Material:
    """A head and what is known of it, cropped and shrunk."""
    height, width = inside.shape
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    opacity = inside.astype(np.float32)
    for axis, (first, last, end) in enumerate(((top, bottom, height), (left, right, width))):
        ramp = np.ones(end, np.float32)
        reach = max(1, round(FADE * (last - first)))
        # Only where the border cuts something off.
        if first == 0:
            ramp[:reach] = np.linspace(0, 1, reach)
        if last == end:
            ramp[-reach:] = np.linspace(1, 0, reach)
        opacity *= ramp[:, None] if axis == 0 else ramp
    cut = slice(top, bottom), slice(left, right)
    shrink = min(1.0, side / max(bottom - top, right - left))
    size = max(1, round((right - left) * shrink)), max(1, round((bottom - top) * shrink))
    photo = Image.fromarray(np.ascontiguousarray(image[cut])).resize(size, Image.Resampling.BICUBIC)
    mask = Image.fromarray((255 * opacity[cut]).round().astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    mask = mask.filter(ImageFilter.GaussianBlur(SOFT))
    stretch = np.array(size) / [right - left, bottom - top]

    def moved(point: tuple[float, float]) -> tuple[float, float]:
        return _pair((np.array(point) - [left, top] + 0.5) * stretch - 0.5)

    reach_ = about.reach[0] * shrink, about.reach[1] * shrink
    points = None if about.points is None else tuple(point and moved(point) for point in about.points)
    moved_about = HeadAbout(moved(about.middle), reach_, about.roll, points)
    return Material.of(name, np.asarray(photo), moved_about, np.asarray(mask))


def _pair(point: np.ndarray) -> tuple[float, float]:
    return round(float(point[0]), 2), round(float(point[1]), 2)


def _listed(points: Landmarks) -> Five:
    return tuple(_pair(point) if np.isfinite(point).all() else None for point in points)
