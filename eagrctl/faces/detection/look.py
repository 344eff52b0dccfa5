"""One look at a photo: the photo at a size, through the network, to boxes in the photo's own pixels."""

from dataclasses import dataclass, fields, replace
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.faces.detection.boxes import suppressed
from eagrctl.faces.detection.network import LARGEST_STRIDE, Cells, DetectorNetwork

MOST = 3000  # boxes of a look that are compared; beyond them, nobody looks for more faces


@dataclass(frozen=True)
class Found:
    """Boxes that a look gives, best first.

    Attributes:
        boxes: (N, 4) float64, left, top, right and bottom in the photo's pixels.
        scores: (N,) float64, 0..1.
        points: (N, 5, 2) float64.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    points: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    def rows(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Some of them."""
        return replace(self, **{each.name: getattr(self, each.name)[which] for each in fields(self)})


class Looker(Protocol):
    """Finds faces in pixels."""

    def see(self, images: Pixels, least: float) -> list[Found]:
        """The faces in photos of one size, (B, H, W, 3) uint8, each in its own pixels, one box a face.

        Those with a score below `least` are left out.
        """


class NetworkLooker:
    """Our own network as a `Looker`.

    Args:
        network: in any mode; a copy in evaluation mode is used, on the device where it is.
    """

    def __init__(self, network: DetectorNetwork) -> None:
        self.network = network.folded().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def see(self, images: Pixels, least: float) -> list[Found]:
        """See `Looker.see`."""
        with torch.inference_mode():
            cells = self.network.cells(batched(images, self.network.calibration.device))
        return picked(cells, (images.shape[1], images.shape[2]), least)


def look(looker: Looker, image: Pixels, longest: float, least: float) -> Found:
    """Look at a photo once.

    Args:
        looker: what finds faces.
        image: (H, W, 3) uint8.
        longest: what its longer side is shrunk or enlarged to, in pixels.
        least: the smallest score that counts.
    """
    copy, stretch = resized(image, longest)
    return stretched(looker.see(copy[None], least)[0], stretch)


def resized(image: Pixels, longest: float) -> tuple[Pixels, NDArray[np.float64]]:
    """A photo of which the longer side has so many pixels, and by what it was divided, across and down."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return image, np.ones(2)
    copy = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return copy, np.array([width / size[0], height / size[1]])


def stretched(found: Found, stretch: NDArray[np.float64]) -> Found:
    """What was found in a resized photo, in the photo's own pixels; `stretch` as from `resized`."""
    boxes = (found.boxes.reshape(-1, 2, 2) + 0.5) * stretch - 0.5
    return replace(found, boxes=boxes.reshape(-1, 4), points=(found.points + 0.5) * stretch - 0.5)


def batched(images: Pixels, device: torch.device) -> torch.Tensor:
    """Photos of one size as the network takes them, (B, 3, H, W) uint8, filled up with black on the right and below."""
    height, width = images.shape[1:3]
    down, across = (-side % LARGEST_STRIDE for side in (height, width))
    if down or across:
        images = np.pad(images, ((0, 0), (0, down), (0, across), (0, 0)))
    return torch.from_numpy(np.require(images, requirements=("C", "W"))).to(device).permute(0, 3, 1, 2)


def picked(cells: Cells, size: tuple[int, int], least: float) -> list[Found]:
    """Of each photo of (height, width), the boxes that score at least so much, each face once, best first."""
    bars = torch.logit(torch.full_like(cells.logits[:, :1], least))
    if cells.logits.shape[1] > MOST:
        bars = bars.maximum(cells.logits.topk(MOST).values[:, -1:])
    images, chosen = (cells.logits >= bars).nonzero(as_tuple=True)
    answers = cells.answers(images, chosen)
    boxes, scores, points = (each.cpu().numpy() for each in (answers.boxes, answers.logits.sigmoid(), answers.points))
    inside = (boxes[:, :2] < [size[1], size[0]]).all(axis=1)  # and not in what was added
    found = []
    for image in range(len(cells.logits)):
        rows = np.flatnonzero((images.cpu().numpy() == image) & inside)
        kept = rows[suppressed(boxes[rows], scores[rows])]
        found.append(Found(*(each[kept].astype(np.float64) for each in (boxes, scores, points))))
    return found
