"""Rotation and scale (paper, section 4.1), on a batch, on its device."""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F

from eagrctl.data.labels import IGNORE


def draw_transforms(
    seed: int, epoch: int, positions: Iterable[int], rotation: float, scale: tuple[float, float]
) -> torch.Tensor:
    """Draw each sample's rotation and scale, uniformly.

    What a sample gets depends on seed, epoch and sample alone, never on batch, worker or process, so that a resumed
    run repeats it.

    Args:
        seed: of the run.
        epoch: of the run, from 0.
        positions: the samples' places in their split.
        rotation: degrees; angles lie in (-rotation, rotation).
        scale: factors lie between these two; above 1 the face grows.

    Returns:
        (B, 2, 3) float32: augmented -> original, in torch's coordinates, where a frame reaches from -1 to 1.
    """
    transforms = []
    for position in positions:
        generator = np.random.default_rng((seed, epoch, position))
        angle = np.deg2rad(generator.uniform(-rotation, rotation))
        factor = generator.uniform(*scale)
        cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
        transforms.append([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    return torch.tensor(transforms, dtype=torch.float32)


def augment(images: torch.Tensor, labels: torch.Tensor, transforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn and scale a batch about the centre of its frame.

    Pixels that come in from outside are black, and labelled 255: no loss looks at them. Edges are not warped, which
    would thicken them; derive them from the labels that come back.

    Args:
        images: (B, 3, S, S), 0..255, of any type.
        labels: (B, S, S) uint8.
        transforms: (B, 2, 3), as from `draw_transforms`.

    Returns:
        Images (B, 3, S, S) float32, 0..255, and labels (B, S, S) int64.
    """
    grid = F.affine_grid(transforms, list(images.shape), align_corners=False)
    turned = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    # Outside a frame grid_sample reads 0, so 0 has to stand for 255 while it samples.
    shifted = labels[:, None].float() - IGNORE
    moved = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return turned, (moved[:, 0] + IGNORE).round().long()
