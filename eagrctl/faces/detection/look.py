"""One look at a photo: the photo at a size, through the network, to boxes in the photo's own pixels."""

from dataclasses import dataclass, fields, replace
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.faces.detection.boxes import suppressed
from eagrctl.faces.detection.network import LARGEST_STRIDE, DetectorNetwork

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
        return seen_in(self.network, images, least)


def look(looker: Looker, image: Pixels, longest: float, least: float) -> Found:
    """Look at a photo once.

    Args:
        looker: what finds faces.
        image: (H, W, 3) uint8.
        longest: what its longer side is shrunk or enlarged to, in pixels.
        least: the smallest score that counts.
    """
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    copy = (
        image if size == (width, height) else np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    )
    seen = looker.see(copy[None], least)[0]
    stretch = np.array([width / size[0], height / size[1]])
    moved = (seen.boxes.reshape(-1, 2, 2) + 0.5) * stretch - 0.5
    return Found(moved.reshape(-1, 4), seen.scores, (seen.points + 0.5) * stretch - 0.5)


def seen_in(network: DetectorNetwork, images: NDArray[np.uint8], least: float) -> list[Found]:
    """What the network finds in photos of one size, (B, H, W, 3) uint8, each in its own pixels, one box a face."""
    height, width = images.shape[1:3]
    padded = [(-side) % LARGEST_STRIDE for side in (height, width)]
    device = network.calibration.device
    pixels = torch.from_numpy(np.pad(images, ((0, 0), (0, padded[0]), (0, padded[1]), (0, 0))))
    with torch.inference_mode():
        batch = pixels.to(device).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        answers = network.answers(batch)
        scores = answers.logits.sigmoid()
    found = []
    for row in range(len(images)):
        chosen = (scores[row] >= least).nonzero()[:, 0]
        if len(chosen) > MOST:
            chosen = scores[row].topk(MOST).indices
        boxes, certain, points = (each[row, chosen].cpu().numpy() for each in (answers.boxes, scores, answers.points))
        inside = (boxes[:, :2] < [width, height]).all(axis=1)  # and not in what was added
        boxes, certain, points = boxes[inside], certain[inside], points[inside]
        kept = suppressed(boxes, certain)
        found.append(Found(*(each[kept].astype(np.float64) for each in (boxes, certain, points))))
    return found
