"""Another view of a batch, drawn on the device: its photos at another size and place, brighter or darker, mirrored.

A photo takes long to make on a CPU, and a network learns more from four views of it than from one (data echoing, Choi
et al. 2019). Pixel centres lie on integers.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional as F

from eagrctl.training.detector.losses import Faces
from eagrctl.training.scenes.composites import LEAST_INSIDE, LEAST_SIZE
from eagrctl.training.scenes.pasting import MIRRORED


class Reach(NamedTuple):
    """How far views go: the least and the largest enlargement, the largest shift, in sides, and the gain's spread."""

    least: float
    largest: float
    shift: float
    gain: float


FAR_VIEW = Reach(0.6, 1.6, 0.2, 0.25)  # of whole photos
NEAR_VIEW = Reach(0.85, 1.18, 0.06, 0.25)  # of faces that fill their crop


@dataclass(frozen=True)
class View:
    """A view of each of B photos of one side.

    A place u of a view, across or down, lies at `slope` u + `start` of the photo; where a photo is mirrored, the slope
    across is negative.

    Attributes:
        side: of photos and views, in pixels.
        slope, start: (B, 2) float32, across and down.
        gain: (B, 3) float32, what colours are multiplied by.
    """

    side: int
    slope: torch.Tensor
    start: torch.Tensor
    gain: torch.Tensor

    def images(self, images: torch.Tensor) -> torch.Tensor:
        """The photos, (B, 3, S, S) float32 0..255, in their views; black beyond the frame."""
        # In the units of affine_grid, -1 and 1 are the outer edges of the frame.
        shift = self.slope + (2 * self.start + 1 - self.slope) / self.side - 1
        matrices = torch.cat([torch.diag_embed(self.slope), shift[..., None]], dim=2)
        grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
        seen = F.grid_sample(images, grid, "bilinear", "zeros", align_corners=False)
        return (seen * self.gain[..., None, None]).clamp(0, 255)

    def points(self, points: torch.Tensor) -> torch.Tensor:
        """Where the five points of each photo's face, (B, 5, 2), lie in the view, left and right ones told apart anew.

        NaN where they are unknown or out of view. Faces of a photo may lie in dimensions between the first and last.
        """
        between = (slice(None), *[None] * (points.dim() - 2))
        moved = (points - self.start[between]) / self.slope[between]
        mirrored = (self.slope[:, 0] < 0)[between][..., None]
        moved = torch.where(mirrored, moved[..., MIRRORED, :], moved)
        inside = ((moved >= 0) & (moved <= self.side - 1)).all(dim=-1, keepdim=True)
        return torch.where(inside, moved, torch.nan)

    def boxes(self, boxes: torch.Tensor) -> torch.Tensor:
        """Where boxes, (B, M, 4), lie in the view; they may reach beyond it."""
        ends = (boxes.reshape(*boxes.shape[:2], 2, 2) - self.start[:, None, None]) / self.slope[:, None, None]
        return torch.cat([ends.amin(dim=2), ends.amax(dim=2)], dim=-1)

    def faces(self, faces: Faces) -> Faces:
        """The faces of a batch in the view. Those that are cut or small are ignored from now on, as in a scene."""
        boxes = self.boxes(faces.boxes)
        sides = boxes[..., 2:] - boxes[..., :2]
        within = boxes.clamp(0, self.side)
        seen = (within[..., 2:] - within[..., :2]).prod(-1) / sides.prod(-1)
        counts = (seen >= LEAST_INSIDE) & (sides.prod(-1).sqrt() >= LEAST_SIZE)
        kept = torch.where(counts[..., None], boxes, torch.nan)
        left_out = torch.where(counts[..., None], torch.nan, boxes)
        points = torch.where(counts[..., None, None], self.points(faces.points), torch.nan)
        return Faces(kept, points, torch.cat([self.boxes(faces.ignored), left_out], dim=1))


def drawn_view(count: int, side: int, reach: Reach, random: torch.Generator, device: torch.device) -> View:
    """A view of each of so many photos of a side, on the device."""
    drawn = torch.rand(count, 8, generator=random)
    scale = reach.least * (reach.largest / reach.least) ** drawn[:, :1]
    middle = 0.5 * (side - 1)
    # The middle of the view lies off the photo's by the shift, whatever the enlargement.
    off = side * reach.shift * (2 * drawn[:, 1:3] - 1)
    mirror = torch.where(drawn[:, 3:4] < 0.5, -1.0, 1.0)
    slope = torch.cat([mirror, torch.ones_like(mirror)], dim=1) / scale
    start = middle + off - slope * middle
    gain = (1 + reach.gain * (2 * drawn[:, 4:5] - 1)) * (1 + 0.3 * reach.gain * (2 * drawn[:, 5:8] - 1))
    return View(side, slope.to(device), start.to(device), gain.to(device))
