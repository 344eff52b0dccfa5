"""Where in a photo faces are: dlib's detector, the sizes at which it looks, and which of its boxes count.

A box is (4,) float64, left, top, right and bottom of a square from the brows to the chin, in pixels whose centres lie
on integers; it reaches beyond the photo where the border cuts a face. Boxes are (N, 4). Confidences are (N,) float64,
above zero, which is the detector's threshold; a clear face has 1 to 3.
"""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Landmarks, Pixels
from eagrctl.faces.found import choose_face

Box = NDArray[np.float64]
Boxes = NDArray[np.float64]
Confidences = NDArray[np.float64]

# Where one face is meant, the detector looks at a copy no longer than this, in pixels: its time grows with the area,
# and at this size it still finds faces of an eighth of the side, upsampled a sixteenth.
LONGEST = 640

# Where all are meant, the copy is larger: a face of a twentieth of the side is found, in 130 ms at most.
LONGEST_OF_MANY = 1600

# A photo whose largest face is smaller than this, as a share of the longer side, shows a group or somebody far away:
# others may be smaller still.
FAR = 1 / 8

SMALL = 400  # A smaller photo is enlarged to this size, but at most fourfold.

# What is added on each side of a photo, as a share of its longer side, so that a face cut by the border is found. Where
# it cuts off three tenths of the face on the left, the top or the bottom, 75, 72 and 63 % of 120 faces are found
# without a margin, and 73, 96 and 82 % with one.
MARGIN = 0.25

# Where all are meant, a share of the best one would lose faces of a group: one in twenty lies below a tenth of what the
# clearest has. In 800 photos of which the head was blurred, 3 boxes lay above zero, one of them above this.
CERTAIN = 0.2

SAME = 0.3  # Two boxes show one face where they share more than this of what they cover together.


class FaceDetector:
    """dlib's detector of upright faces, with the choice of what it looks at. Threads may share it."""

    def __init__(self) -> None:
        # dlib's own keeps the photo that it looks at, so each thread has another one.
        self._of_thread = threading.local()

    def find(self, image: Pixels, near: Landmarks | None = None) -> Box | None:
        """The box of the face that is meant in an image, (H, W, 3) uint8 RGB; None where there is none.

        `near` is that of `choose_face`.
        """
        height, width = image.shape[:2]
        shrink = min(1.0, LONGEST / max(height, width))
        # A second look at twice the size takes four times as long, and finds more that is not a face.
        for upsampled in (0, 1):
            seen = self._look(image, shrink, upsampled=upsampled)
            chosen = choose_face(seen[:, :4], seen[:, 4], (height, width), near)
            if chosen is not None:
                return seen[chosen, :4]
        return None

    def find_all(self, image: Pixels) -> list[tuple[Box, float]]:
        """The boxes of all faces in an image, (H, W, 3) uint8 RGB, with their confidences, the largest first.

        One look is enough for a portrait: at a copy of at most `LONGEST_OF_MANY` pixels, where a face must have 80. If
        it shows no face, a margin is added, for faces that the border cuts. If there is still none, or the largest is
        so small that others may be smaller (`FAR`), the detector looks again at twice the size.
        """
        longest = max(image.shape[:2])
        scale = min(1.0, LONGEST_OF_MANY / longest)
        seen = self._look(image, scale)
        if not (seen[:, 4] >= CERTAIN).any():
            seen = np.concatenate([seen, self._look(image, scale, margin=MARGIN)])
        if not (seen[:, 4] >= CERTAIN).any() or (seen[:, 2] - seen[:, 0]).max() < FAR * longest:
            seen = np.concatenate([seen, self._look(image, max(2 * scale, min(4.0, SMALL / longest)))])
        boxes, confidences = seen[:, :4], seen[:, 4]
        return [(boxes[row], float(confidences[row])) for row in distinct_faces(boxes, confidences)]

    def _look(self, image: Pixels, scale: float, margin: float = 0.0, upsampled: int = 0) -> NDArray[np.float64]:
        """What the detector sees in a copy that is `scale` times as large and has a margin.

        (N, 5) float64: each row is a box in the photo's frame, and its confidence.
        """
        height, width = image.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        copy = image if size == (width, height) else np.asarray(Image.fromarray(image).resize(size))
        added = round(margin * max(size))
        if added:
            copy = np.pad(copy, ((added, added), (added, added), (0, 0)), mode="edge")
        boxes, confidences, _ = self._detector.run(copy, upsampled, 0.0)
        seen = np.array([(box.left(), box.top(), box.right(), box.bottom(), 0) for box in boxes], np.float64)
        seen = seen.reshape(-1, 5)
        seen[:, :4] = (seen[:, :4] - added + 0.5) * ([width / size[0], height / size[1]] * 2) - 0.5
        seen[:, 4] = confidences
        return seen

    @property
    def _detector(self) -> Any:
        import dlib

        if not hasattr(self._of_thread, "detector"):
            self._of_thread.detector = dlib.get_frontal_face_detector()
        return self._of_thread.detector


def distinct_faces(boxes: Boxes, confidences: Confidences) -> list[int]:
    """Which rows of `boxes` are faces, each face once, the largest first.

    Where several boxes show one face, the most certain of them stands for it. Boxes below `CERTAIN` are left out; if
    all are, the most certain one is kept: a lone face in bad light is likelier than a false one.
    """
    order = [int(row) for row in np.argsort(-confidences, kind="stable")]
    kept: list[int] = []
    for row in [row for row in order if confidences[row] >= CERTAIN] or order[:1]:
        if not any(_same(boxes[row], boxes[other]) for other in kept):
            kept.append(row)
    return sorted(kept, key=lambda row: -_area(boxes[row]))


def _same(one: Box, other: Box) -> bool:
    shared = float(np.prod(np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)))
    # A small box in the middle of a larger one is a part of that face.
    small, large = sorted((one, other), key=_area)
    middle = 0.5 * (small[:2] + small[2:])
    within = bool((middle > large[:2]).all() and (middle < large[2:]).all())
    return within or shared > SAME * (_area(one) + _area(other) - shared)


def _area(box: Box) -> float:
    return float(np.prod(box[2:] - box[:2]))
