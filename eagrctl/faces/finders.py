"""Which detector finds the faces: our own, dlib's, or a YuNet that somebody has."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eagrctl.arrays import Landmarks, Pixels
from eagrctl.errors import AlignmentError
from eagrctl.faces.found import FaceFinder, FoundFace, choose_face
from eagrctl.files import printable, sha256_of

if TYPE_CHECKING:
    from eagrctl.faces.detection.look import Looker
    from eagrctl.faces.detection.points import PointsNetwork
    from eagrctl.faces.detection.search import Searched

    Eyes = tuple[Looker, PointsNetwork | None]  # what finds faces, and what refines their points

OWN, DLIB = "own", "dlib"
SHIPPED = Path(__file__).parent / "detection" / "detector.safetensors"
REMEDY = f'give "{OWN}", "{DLIB}", a .safetensors of eagrctl detector train, or the .onnx of a YuNet'


def open_finder(detector: str | Path | None = None, predictor: Path | None = None) -> FaceFinder:
    """What finds faces.

    Args:
        detector: "own" is the network that eagrctl ships; "dlib" dlib's detector with a landmark predictor; or the
            path of another detector: a `.safetensors` of ours, or a YuNet in ONNX. None is "own", or "dlib" where a
            predictor is given.
        predictor: dlib's landmark predictor, see `eagrctl.faces.landmarks.find_predictor`; for "dlib" alone.

    Raises:
        AlignmentError: there is no such detector, or it cannot be read.
        CheckpointError: its file is damaged, or of another kind.
    """
    name = str(detector) if detector is not None else OWN if predictor is None else DLIB
    if name == DLIB:
        from eagrctl.faces.landmarks import DlibLandmarks, find_predictor

        return DlibLandmarks(find_predictor(predictor))
    if predictor is not None:
        raise AlignmentError(f"--predictor is for dlib's detector, not for {printable(name)}: drop one of the two")
    path = SHIPPED if name == OWN else Path(name)
    if not path.is_file():
        raise AlignmentError(f"there is no detector {printable(name)}: {REMEDY}")
    if path.suffix == ".onnx":
        return SearchingFinder(path, f"YuNet, {path.name}", _yunet)
    if path.suffix == ".safetensors":
        return SearchingFinder(path, "eagrctl's detector" if name == OWN else f"a detector, {path.name}", _network)
    raise AlignmentError(f"{printable(name)} is no detector: {REMEDY}")


def _network(path: Path) -> "Eyes":
    from eagrctl.faces.detection.file import load_detector
    from eagrctl.faces.detection.look import NetworkLooker

    detector = load_detector(path)
    return NetworkLooker(detector.faces), detector.points and detector.points.folded()


def _yunet(path: Path) -> "Eyes":
    from eagrctl.faces.detection.yunet import YuNetLooker

    return YuNetLooker(path), _network(SHIPPED)[1]


@dataclass(frozen=True)
class SearchingFinder:
    """Faces as `eagrctl.faces.detection.search` finds them.

    Pickled as a path: each worker process loads the network on its first photo.

    Attributes:
        path: of the network.
        description: see `FaceFinder`.
        open: makes of the file what finds faces, and what refines their points.

    Raises:
        EagrctlError: the file is damaged, or of another kind.
    """

    path: Path
    description: str
    open: "Callable[[Path], Eyes]"

    def __post_init__(self) -> None:
        # A wrong file fails here, once, and not at every photo in every worker. Unpickling skips this.
        _ = self._eyes

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "description": self.description, "open": self.open}

    @property
    def identity(self) -> str:
        """See `FaceFinder`."""
        return sha256_of(self.path)

    def find(self, image: Pixels, near: Landmarks | None = None) -> Landmarks | None:
        """See `FaceFinder.find`."""
        found = self._search(image)
        chosen = choose_face(found.boxes, found.scores, (image.shape[0], image.shape[1]), near)
        return None if chosen is None else found.points[chosen]

    def find_all(self, image: Pixels) -> list[FoundFace]:
        """See `FaceFinder.find_all`."""
        found = self._search(image)
        rows = zip(found.boxes, found.scores, found.points, found.looks, strict=True)
        return [FoundFace(box, float(score), points, round(size)) for box, score, points, size in rows]

    def _search(self, image: Pixels) -> "Searched":
        from eagrctl.faces.detection.search import search

        looker, points = self._eyes
        return search(looker, np.ascontiguousarray(image), points)

    @cached_property
    def _eyes(self) -> "Eyes":
        return self.open(self.path)
