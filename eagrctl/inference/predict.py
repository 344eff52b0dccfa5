"""Checkpoint + photos -> logits -> labels in the source frame."""

from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F

from eagrctl.arrays import Matrix, Pixels
from eagrctl.checkpoint import Checkpoint, restore_network
from eagrctl.data.dataset import image_tensor, input_matrix, normalise
from eagrctl.data.labels import BACKGROUND
from eagrctl.inference.mapping import map_labels
from eagrctl.inference.rewrite import rewritten
from eagrctl.inference.tta import TestTimeAugmentation
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.recipe import InputRecipe


class Segmenter:
    """A network that parses stored faces. Threads may share one.

    What runs is a rewritten copy of the network (`eagrctl.inference.rewrite`), whose logits are the network's own to
    rounding. Weights that change later do not reach it: make another after training.

    Args:
        network: set to evaluation mode.
        recipe: the input that the network was trained on.
        device: where it runs.
        views: test-time augmentation; none by default.
        rewrite: False runs the network itself, plainly.
        precision: another than float32 runs most of the network in it, by autocast: for GPUs, where labels then differ
            in few pixels. CPUs become slower by it.
    """

    def __init__(
        self,
        network: EAGRNet,
        recipe: InputRecipe,
        device: torch.device,
        views: TestTimeAugmentation | None = None,
        *,
        rewrite: bool = True,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.network = network.to(device).eval()
        self.recipe = recipe
        self.device = device
        self.views = views or TestTimeAugmentation()
        self.precision = precision
        self._rewritten = rewritten(self.network) if rewrite else None

    @classmethod
    def of(cls, checkpoint: Checkpoint, device: torch.device, views: TestTimeAugmentation | None = None) -> "Segmenter":
        """The predictor of a checkpoint; CheckpointError where its weights do not fit."""
        return cls(restore_network(checkpoint), checkpoint.recipe.input, device, views)

    @torch.inference_mode()
    def predict(
        self, images: list[Pixels], matrices: list[Matrix], source_sizes: list[tuple[int, int]]
    ) -> list[Pixels]:
        """Parse a batch of faces.

        Args:
            images: (S, S, 3) uint8 each, in the aligned frame, all of one size.
            matrices: (2, 3) each, source -> aligned.
            source_sizes: height and width of each source frame.

        Returns:
            Labels, (height, width) uint8 each, in the source frame; background where the aligned frame ends.
        """
        return self.to_source(self.logits(images), images, matrices, source_sizes)

    @torch.inference_mode()
    def logits(self, images: list[Pixels]) -> torch.Tensor:
        """What decides over the classes of each place, (B, N, h, w), on the device; arguments as in `predict`."""
        batch = torch.stack([image_tensor(image, self.recipe.size) for image in images]).to(self.device)
        inputs = normalise(batch, self.recipe.mean, self.recipe.std)
        running = self.network if self._rewritten is None else self._rewritten
        plain = self.precision == torch.float32
        with nullcontext() if plain else torch.autocast(self.device.type, self.precision):
            return self.views.logits(running, inputs)

    def to_source(
        self, logits: torch.Tensor, images: list[Pixels], matrices: list[Matrix], source_sizes: list[tuple[int, int]]
    ) -> list[Pixels]:
        """Labels in the source frame, from what `logits` gave; arguments and result as in `predict`."""
        size = self.recipe.size
        return [
            labels_in_source(scores, input_matrix(matrix, image.shape[0], size), size, source_size)
            for scores, image, matrix, source_size in zip(logits, images, matrices, source_sizes, strict=True)
        ]


def labels_in_source(logits: torch.Tensor, matrix: Matrix, size: int, source_size: tuple[int, int]) -> Pixels:
    """Map one face's logits back to its source frame, then decide.

    Logits are interpolated, not labels: a border then falls between pixels as finely as the source frame shows it.

    Args:
        logits: (N, h, w), their corners aligned with those of the network's input.
        matrix: (2, 3), source -> network input.
        size: side of the network's input.
        source_size: height and width of the source frame.

    Returns:
        (height, width) uint8 labels.
    """
    if logits.device.type == "cpu" and min(logits.shape) >= 2:
        return map_labels(logits.float().numpy(), matrix, size, source_size)
    height, width = source_size
    to_input = torch.from_numpy(matrix).to(logits.device, torch.float32)
    rows = torch.arange(height, device=logits.device, dtype=torch.float32)[:, None, None]
    columns = torch.arange(width, device=logits.device, dtype=torch.float32)[None, :, None]
    points = columns * to_input[:, 0] + rows * to_input[:, 1] + to_input[:, 2]  # (height, width, 2), x and y
    inside = ((points > -0.5) & (points < size - 0.5)).all(dim=2)
    grid = points * (2 / (size - 1)) - 1
    sampled = F.grid_sample(logits[None].float(), grid[None], padding_mode="border", align_corners=True)
    # Not argmax: over a leading dimension max is more than twice as fast on CPUs.
    labels = sampled[0].max(dim=0).indices.where(inside, BACKGROUND)
    return labels.to(torch.uint8).cpu().numpy().astype(np.uint8, copy=False)
