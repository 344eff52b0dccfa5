"""The network that refines the five points of a face that is cut out upright.

An hourglass of separable convolutions gives, for each point, a map of where it lies at a quarter of the crop; the point
is the mean place under the softmax of its map (integral regression), so that it lies between cells, and follows from
the whole face where a hand or a mask hides it.

Shapes: B crops of `CROP` x `CROP` pixels; G = CROP / 4 cells to a side.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional as F

from eagrctl.arrays import Matrix, Pixels
from eagrctl.faces.detection.network import PhotoNetwork, Residual, Separable
from eagrctl.geometry import compose, sample, similarity

CROP, FACE = 128, 72.0  # pixels of an upright crop, and of the face in it: the square root of its box's area
STRIDE = 4
# Where the points of an average face lie, in shares of its size, from the middle of its box. Medians over the heads of
# 2,384 training faces, left and right averaged.
CANONICAL = np.array([[-0.24, -0.335], [0.24, -0.335], [0.0, -0.049], [-0.22, 0.148], [0.22, 0.148]])
GOAL = FACE * CANONICAL + 0.5 * (CROP - 1)  # in pixels of a crop


class PointsNetwork(PhotoNetwork):
    """Refines points; the module's docstring says how."""

    places: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.fine = nn.Sequential(Separable(16, 32, 2), Residual(32))
        self.middle = nn.Sequential(Separable(32, 48, 2), Residual(48), Residual(48))
        self.coarse = nn.Sequential(Separable(48, 96, 2, 5), Residual(96, 5), Residual(96, 5), Residual(96, 5))
        self.up = nn.ModuleList([nn.Conv2d(96, 48, 1), nn.Conv2d(48, 32, 1)])
        self.joined = nn.ModuleList([Residual(48, 5), Residual(32, 5)])
        self.maps = nn.Conv2d(32, 5, 1)
        cells = STRIDE * (torch.arange(CROP // STRIDE) + 0.5) - 0.5
        rows, columns = torch.meshgrid(cells, cells, indexing="ij")
        self.register_buffer("places", torch.stack([columns, rows], dim=-1).reshape(-1, 2), persistent=False)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """The logits of where each point lies, (B, 5, G, G) float32.

        Args:
            crops: (B, 3, CROP, CROP) uint8 or float32 RGB, 0..255.
        """
        fine = self.fine(self.begun(crops))
        middle = self.middle(fine)
        features = self.coarse(middle)
        for beside, up, joined in zip((middle, fine), self.up, self.joined, strict=True):
            features = joined(F.relu(beside + F.interpolate(up(features), scale_factor=2.0, mode="nearest")))
        logits: torch.Tensor = self.maps(features)
        return logits

    def points(self, logits: torch.Tensor) -> torch.Tensor:
        """Where the points lie, (B, 5, 2) float32, x and y in pixels of the crop; `logits` as from `forward`."""
        return logits.float().flatten(2).softmax(dim=2) @ self.places


def upright_matrix(points: NDArray[np.float64]) -> Matrix:
    """The similarity that puts five points, (5, 2) float64, where those of an average face lie in a crop.

    All weigh alike. AlignmentError where they are all in one place.
    """
    return similarity(points, GOAL)


def crop_of(image: Pixels, matrix: Matrix) -> Pixels:
    """The part of a photo that a matrix takes into an upright crop, (CROP, CROP, 3) uint8; black outside the photo."""
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    middle = np.linalg.solve(matrix[:, :2], 0.5 * (CROP - 1) - matrix[:, 2])
    reach = 0.75 * CROP / scale  # half the diagonal of the crop, and a margin
    left, top = np.maximum(np.floor(middle - reach), 0).astype(int)
    right, bottom = np.minimum(np.ceil(middle + reach).astype(int) + 1, image.shape[1::-1])
    if right <= left or bottom <= top:
        return np.zeros((CROP, CROP, 3), np.uint8)
    # Averaged over whole pixels first, which takes less than half the time of a filter that shrinks by any factor.
    times = max(1, int(1 / scale))
    part = Image.fromarray(image[top:bottom, left:right]).reduce(times)
    corner = np.array([left, top]) + 0.5 * (times - 1)
    to_photo = np.array([[times, 0, corner[0]], [0, times, corner[1]]], np.float64)
    return sample(part, compose(matrix, to_photo), CROP, Image.Resampling.BILINEAR)


def refine_points(network: PointsNetwork, crops: Pixels) -> NDArray[np.float64]:
    """The points in crops, (B, CROP, CROP, 3) uint8: (B, 5, 2) float64, in pixels of the crops."""
    with torch.inference_mode():
        found = network.points(network(torch.from_numpy(crops).to(network.places.device).permute(0, 3, 1, 2)))
    return found.cpu().numpy().astype(np.float64)
