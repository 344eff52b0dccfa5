"""Shards -> tensors."""

import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from eagrctl.arrays import Matrix, Pixels
from eagrctl.data.align import resize_matrix
from eagrctl.data.index import ShardIndex
from eagrctl.geometry import compose


class FaceDataset(Dataset[tuple[torch.Tensor, torch.Tensor, int]]):
    """The samples of one split, for training.

    An item is an image, (3, S, S) uint8, its labels, (S, S) uint8, and its position in the split. S is `size`, the
    network's input; samples stored at another size are resized. ShardError where there is no such split.
    """

    def __init__(self, index: ShardIndex, split: str, size: int) -> None:
        self.index, self.split, self.size = index, split, size
        self.count = index.split(split).count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        stored = self.index.read(self.split, position)
        labels = torch.from_numpy(stored.labels)
        if labels.shape[0] != self.size:
            labels = F.interpolate(labels[None, None], size=(self.size, self.size), mode="nearest-exact")[0, 0]
        return image_tensor(stored.image, self.size), labels, position


def image_tensor(image: Pixels, size: int) -> torch.Tensor:
    """An (S, S, 3) uint8 photo as a (3, size, size) uint8 tensor, every pixel weighed in where it shrinks."""
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    if tensor.shape[1] == size:
        return tensor.contiguous()
    return F.interpolate(tensor[None], size=(size, size), mode="bilinear", antialias=True)[0]


def input_matrix(matrix: Matrix, stored: int, size: int) -> Matrix:
    """The (2, 3) matrix source -> network input, from source -> stored, for `image_tensor`'s resizing."""
    return compose(resize_matrix((stored, stored), size), matrix)


def normalise(images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """(B, 3, H, W) pixels, 0..255 of any type -> float32 in channel statistics of pixels scaled to 0..1."""
    scale = torch.tensor(std, device=images.device).view(1, 3, 1, 1) * 255
    shift = torch.tensor(mean, device=images.device).view(1, 3, 1, 1) * 255
    return (images.float() - shift) / scale
