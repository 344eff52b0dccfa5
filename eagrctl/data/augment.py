"""Rotation and scale (paper, section 4.1), mirroring and colour, on a batch, on its device."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from eagrctl.data.labels import IGNORE, LabelSet

# How much red, green and blue weigh in a pixel's grey (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a sample.

    Attributes:
        distribution: "uniform" (the paper's) or "normal" (the released code's) angles and factors.
        rotation: degrees; uniform angles lie in (-rotation, rotation), normal ones have this deviation and are clipped
            at twice as much.
        rotated: share of the samples that turn at all, 0..1.
        scale: factors lie between these two, above 1 the face grows; normal ones have the middle as mean and half the
            difference as deviation, and are clipped at the two.
        mirror: mirror half of the samples, left and right labels swapped.
        colour: brightness, contrast and saturation change by factors in (1 - colour, 1 + colour); 0 leaves them alone.
        shift: the face moves by up to this share of the frame's side, down and across.

    Raises:
        ValueError: another distribution.
    """

    distribution: str
    rotation: float
    rotated: float
    scale: tuple[float, float]
    mirror: bool
    colour: float
    shift: float = 0.0

    def __post_init__(self) -> None:
        if self.distribution not in ("uniform", "normal"):
            raise ValueError(f"angles and factors are 'uniform' or 'normal', not {self.distribution!r}")


class Drawn(NamedTuple):
    """What happens to each sample of a batch.

    Attributes:
        transforms: (B, 2, 3) float32: augmented -> original, mirroring included, in torch's coordinates, where a frame
            reaches from -1 to 1.
        mirrored: (B,) bool.
        colours: (B, 3) float32, factors of brightness, contrast and saturation.
    """

    transforms: torch.Tensor
    mirrored: torch.Tensor
    colours: torch.Tensor


def draw(seed: int, epoch: int, positions: Iterable[int], augmentation: Augmentation) -> Drawn:
    """Draw what happens to each sample.

    What a sample gets depends on seed, epoch and sample alone, never on batch, worker or process, so a resumed run
    repeats it. Switching mirroring or colour on changes nothing else that is drawn.

    Args:
        seed: of the run.
        epoch: of the run, from 0.
        positions: the samples' places in their split, B of them.
        augmentation: what may happen.

    Returns:
        The batch's draws, on the CPU.
    """
    transforms, mirrored, colours = [], [], []
    for position in positions:
        generator = np.random.default_rng((seed, epoch, position))
        # Earlier results rest on the order of these calls, so all are made, whatever is switched on.
        degrees, factor = _angle_and_factor(generator, augmentation)
        turns = generator.random() < augmentation.rotated
        flips = generator.random() < 0.5 and augmentation.mirror
        colours.append(generator.uniform(1 - augmentation.colour, 1 + augmentation.colour, size=3).tolist())
        angle = np.deg2rad(degrees if turns else 0.0)
        cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
        side = -1.0 if flips else 1.0
        across, down = 2 * generator.uniform(-augmentation.shift, augmentation.shift, size=2)
        moved = side * (cosine * across - sine * down), sine * across + cosine * down
        transforms.append([[side * cosine, side * -sine, moved[0]], [sine, cosine, moved[1]]])
        mirrored.append(flips)
    return Drawn(
        torch.tensor(transforms, dtype=torch.float32),
        torch.tensor(mirrored, dtype=torch.bool),
        torch.tensor(colours, dtype=torch.float32),
    )


def augment(
    images: torch.Tensor, labels: torch.Tensor, drawn: Drawn, swaps: torch.Tensor, size: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Colour a batch, mirror it, then turn and scale it about the centre of its frame.

    Pixels that come in from outside are black, and labelled 255: no loss looks at them. Edges are not warped, which
    would thicken them: derive them from the labels returned. The host never waits for the device.

    Args:
        images: (B, 3, S, S), 0..255, of any type.
        labels: (B, S, S) uint8.
        drawn: the batch's draws, as from `draw`.
        swaps: (256,) int64, the labels of mirrored samples, as from `side_swaps`.
        size: S of what is returned; None leaves it as it is.

    Returns:
        Images (B, 3, S, S) float32, 0..255 up to rounding, and labels (B, S, S) int64.
    """
    # On GPUs in double precision: places in a frame must not be rounded as TF32 rounds products.
    transforms = drawn.transforms.double() if drawn.transforms.is_cuda else drawn.transforms
    shape = list(images.shape) if size is None else [*images.shape[:2], size, size]
    grid = F.affine_grid(transforms, shape, align_corners=False).float()
    # Coloured before the warp, so that what comes in from outside stays black.
    coloured = _coloured(images.float(), drawn.colours)
    turned = F.grid_sample(coloured, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    # Outside a frame grid_sample reads 0, so 0 has to stand for 255 while it samples.
    shifted = labels[:, None].float() - IGNORE
    moved = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    targets = (moved[:, 0] + IGNORE).round().long()
    kept = torch.arange(len(swaps), device=swaps.device)
    tables = torch.where(drawn.mirrored[:, None], swaps, kept)  # (B, 256)
    return turned, tables.gather(1, targets.flatten(1)).view_as(targets)


def side_swaps(label_set: LabelSet) -> torch.Tensor:
    """(256,) int64: what each label turns into in a mirrored face. Left and right swap; others, 255 too, stay."""
    swaps = torch.arange(256)
    for one, other in label_set.mirrored:
        swaps[one], swaps[other] = other, one
    return swaps


def _angle_and_factor(generator: np.random.Generator, augmentation: Augmentation) -> tuple[float, float]:
    """The angle in degrees, and the factor of scale."""
    rotation, (low, high) = augmentation.rotation, augmentation.scale
    if augmentation.distribution == "uniform":
        return generator.uniform(-rotation, rotation), generator.uniform(low, high)
    angle = generator.normal(0.0, rotation)
    factor = generator.normal((low + high) / 2, (high - low) / 2)
    return float(np.clip(angle, -2 * rotation, 2 * rotation)), float(np.clip(factor, low, high))


def _coloured(images: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
    """Brightness, then contrast, then saturation, cut off at 0 and 255 at the end.

    Brightness b multiplies; contrast c blends with the photo's mean grey m, saturation s each pixel with its grey g. As
    the three are linear, they are one: x -> s c b x + (1 - s) c b g + (1 - c) b m.
    """
    red, green, blue = images.unbind(1)
    # No matrix product, which may be rounded to TF32 or bfloat16.
    grey = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]  # (B, 1, S, S)
    brightness, contrast, saturation = colours[:, :, None, None, None].unbind(1)  # (B, 1, 1, 1) each
    common = (1 - saturation) * contrast * brightness * grey
    common = common + (1 - contrast) * brightness * grey.mean((2, 3), keepdim=True)
    # Factors of 1 give 1 x + 0, which is x to the last bit: the host need not ask whether anything changes.
    return (saturation * contrast * brightness * images + common).clamp(0, 255)
