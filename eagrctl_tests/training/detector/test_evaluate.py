import numpy as np
import pytest

from eagrctl.arrays import Landmarks
from eagrctl.faces.found import FoundFace
from eagrctl.training.detector.evaluate import evaluate_detectors
from eagrctl.training.scenes.materials import MaterialIndex
from eagrctl_tests.training.scenes.stock import BOX, POINTS


class Knowing:
    """Knows where the astronaut's face is in the test photos, and sees one face in anything else if it is bold."""

    description = identity = "knowing"

    def __init__(self, bold: bool) -> None:
        self.bold = bold

    def find(self, image: np.ndarray, near: Landmarks | None = None) -> Landmarks | None:
        raise NotImplementedError

    def find_all(self, image: np.ndarray) -> list[FoundFace]:
        found = []
        if image.shape == (256, 256, 3):
            shift = np.array([100.0, 0])
            found.append(FoundFace(np.array(BOX) - np.tile(shift, 2), 0.9, np.array(POINTS) - shift))
        if self.bold:
            found.append(FoundFace(np.array([0.0, 0, 9, 9]), 0.5, np.full((5, 2), np.nan)))
        return found


def test_detectors_are_counted_beside_one_another(material: MaterialIndex) -> None:
    finders = {"shy": Knowing(False), "bold": Knowing(True)}
    shy, bold = evaluate_detectors(material, "val", finders, composites=2)
    count = material.count("photos", "val")
    assert (shy.name, shy.photos, shy.faceless) == ("shy", count, material.count("backgrounds", "val"))
    assert (shy.false_boxes, bold.false_boxes) == (0, count)
    assert (shy.alarms, bold.alarms) == (0, bold.faceless)
    assert shy.average_precision == pytest.approx(1)
    assert bold.average_precision == pytest.approx(1)  # what is false comes last
    real = {name: cells for name, cells in shy.groups.items() if name.startswith("real")}
    assert all(found == total for found, total in real.values())
    assert real["real, 64 pixels high and more"] == (count, count)
    made = {name: cells for name, cells in shy.groups.items() if not name.startswith("real")}
    assert all(found == 0 for found, _ in made.values())
    assert shy.points.size == shy.tilts.size == 0
    assert shy.seconds >= 0
