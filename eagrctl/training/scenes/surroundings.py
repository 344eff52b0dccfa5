"""What lies around a face, and what becomes of its photo: for faces as they are in the world, not in tight crops.

The photos of CelebAMask-HQ end close to the head. Shown smaller, as in a group or in a wider look at a head
(`eagrctl.parsing.frames`), such a face would stand in black, where no loss looks; what a network says of a street or a
tree behind it would be anybody's guess. So the head is cut out by its labels and laid on a photo without a face, and
all around it is background. Where hair or clothes touch the edge of their own photo, nobody knows how they went on:
what lies beyond has no label there.

After that, a photo may be spoilt, as by a camera, bad light or a file (`eagrctl.training.scenes.development`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from eagrctl.arrays import Pixels
from eagrctl.data.labels import BACKGROUND, IGNORE
from eagrctl.recipe import SurroundingsRecipe
from eagrctl.training.scenes.development import developed
from eagrctl.training.scenes.materials import Material, MaterialIndex

LEAST = 0.4  # of a background's shorter side that is shown
OWN = 1  # what is drawn here is drawn apart from what `eagrctl.data.augment` draws


class Surroundings:
    """Lays heads on other photos, and spoils them.

    Args:
        recipe: how often.
        seed: of the run; what a sample gets follows from it, the epoch and the sample alone.

    Raises:
        ShardError: there are no such backgrounds, or they cannot be read.
    """

    def __init__(self, recipe: SurroundingsRecipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        self.backgrounds: list[Material] = []
        if recipe.filled:
            self.backgrounds = MaterialIndex.load(Path(recipe.backgrounds)).read("backgrounds", "train")

    def around(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        labels: torch.Tensor,
        transforms: torch.Tensor,
        epoch: int,
        positions: Sequence[int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What a batch becomes.

        Args:
            images: (B, 3, S, S) float32, 0..255, as `augment` moved them.
            targets: (B, S, S) int64, likewise.
            labels: (B, S, S) uint8, before they were moved.
            transforms: (B, 2, 3), how they were moved, as from `draw`.
            epoch: of the run, from 0.
            positions: the samples' places in their split.
        """
        side = images.shape[2]
        chances = [np.random.default_rng((self.seed, OWN, epoch, position)) for position in positions]
        filled = torch.tensor([bool(self.backgrounds) and chance.random() < self.recipe.filled for chance in chances])
        if filled.any():
            behind = np.stack(
                [
                    self._background(chance, side) if fills else np.zeros((side, side, 3), np.uint8)
                    for chance, fills in zip(chances, filled.tolist(), strict=True)
                ]
            )
            others = torch.from_numpy(behind).to(images.device).permute(0, 3, 1, 2).float()
            laid, told = laid_on(images, targets, labels, transforms, others)
            which = filled.to(images.device)[:, None, None]
            images, targets = torch.where(which[:, None], laid, images), torch.where(which, told, targets)
        spoilt = [place for place, chance in enumerate(chances) if chance.random() < self.recipe.spoilt]
        if spoilt:
            pixels = images[spoilt].clamp(0, 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            worse = np.stack([developed(each, chances[place]) for place, each in zip(spoilt, pixels, strict=True)])
            images = images.clone()
            images[spoilt] = torch.from_numpy(worse).to(images.device).permute(0, 3, 1, 2).float()
        return images, targets

    def _background(self, chance: np.random.Generator, side: int) -> Pixels:
        """A part of a photo without a face, (S, S, 3) uint8."""
        picture = self.backgrounds[int(chance.integers(len(self.backgrounds)))].picture()
        part = round(min(picture.size) * chance.uniform(LEAST, 1))
        left, top = (int(chance.integers(room + 1)) for room in (picture.width - part, picture.height - part))
        shown = picture.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + part, top + part))
        return np.asarray(shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else shown)


def laid_on(
    images: torch.Tensor,
    targets: torch.Tensor,
    labels: torch.Tensor,
    transforms: torch.Tensor,
    behind: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Heads, cut out with a soft edge, on other photos; arguments as for `Surroundings.around`.

    `behind` are the other photos, (B, 3, S, S) float32. They are seen where a head's photo has no label, too: it may
    have been black there, beyond its own edge.
    """
    grid = F.affine_grid(transforms, list(images.shape), align_corners=False).float()
    shown = ((labels != BACKGROUND) & (labels != IGNORE))[:, None].float()
    opacity = F.grid_sample(shown, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    opacity = F.avg_pool2d(opacity, 3, stride=1, padding=1, count_include_pad=False)
    nearest = F.grid_sample(shown, grid, mode="nearest", padding_mode="border", align_corners=False)[:, 0]
    beyond = (grid.abs() > 1).any(dim=3)
    told = torch.where(beyond, torch.where(nearest > 0, IGNORE, BACKGROUND), targets)
    return behind + opacity * (images - behind), told
