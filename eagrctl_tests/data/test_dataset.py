import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from eagrctl.data.align import resize_matrix
from eagrctl.data.dataset import FaceDataset, image_tensor, input_matrix, normalise
from eagrctl.data.index import ShardIndex
from eagrctl.errors import ShardError


def test_an_item_is_what_the_shard_holds(tiny_data: ShardIndex) -> None:
    dataset = FaceDataset(tiny_data, "train", 65)
    image, labels, position = dataset[3]
    stored = tiny_data.read("train", 3)
    assert len(dataset) == 12
    assert position == 3
    assert np.array_equal(image.permute(1, 2, 0).numpy(), stored.image)
    assert np.array_equal(labels.numpy(), stored.labels)


def test_samples_of_another_size_are_resized(tiny_data: ShardIndex) -> None:
    image, labels, _ = FaceDataset(tiny_data, "train", 33)[0]
    assert (image.shape, image.dtype) == ((3, 33, 33), torch.uint8)
    assert (labels.shape, labels.dtype) == ((33, 33), torch.uint8)
    assert set(labels.unique().tolist()) <= set(np.unique(tiny_data.read("train", 0).labels).tolist())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_worker_reads_the_same_as_this_process(tiny_data: ShardIndex, workers: int) -> None:
    tiny_data.read("train", 0)  # an open file, which must not travel to the workers
    loader = DataLoader(
        FaceDataset(tiny_data, "train", 49),
        batch_sampler=[[0, 5], [11, 2]],
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    positions = [batch[2].tolist() for batch in loader]
    assert positions == [[0, 5], [11, 2]]


def test_an_unknown_split_is_refused(tiny_data: ShardIndex) -> None:
    with pytest.raises(ShardError, match="no split 'dev'"):
        FaceDataset(tiny_data, "dev", 65)


def test_the_input_matrix_follows_the_image() -> None:
    photo = np.zeros((60, 60, 3), np.uint8)
    photo[20:24, 40:44] = 240
    matrix = input_matrix(resize_matrix((120, 120), 60), 60, 30)
    rows, columns = np.nonzero(image_tensor(photo, 30)[0].numpy() > 60)
    # The square's centre in the source, twice as large as the photo: (83.5, 43.5).
    assert np.allclose(matrix @ [83.5, 43.5, 1], [columns.mean(), rows.mean()], atol=0.51)


def test_normalised_channels_have_their_statistics_taken_out() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    normal = normalise(images, (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    assert normal[:, :, 0, 0].tolist() == [[-1.0, -1.0, 0.0], [1.0, 3.0, 0.5]]
