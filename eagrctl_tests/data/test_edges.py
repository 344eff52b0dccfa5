import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.segmentation import find_boundaries

from eagrctl.data.edges import edge_mask
from eagrctl.data.labels import IGNORE

maps = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=st.integers(0, 3))
holed = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=st.sampled_from([0, 1, 2, IGNORE])
)


def naive(labels: np.ndarray) -> np.ndarray:
    height, width = labels.shape
    edges = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                other = row + down, column + right
                if 0 <= other[0] < height and 0 <= other[1] < width:
                    pair = labels[row, column], labels[other]
                    edges[row, column] |= pair[0] != pair[1] and IGNORE not in pair
    return edges


@given(maps)
def test_edges_equal_a_naive_loop_over_four_neighbours(labels: np.ndarray) -> None:
    assert np.array_equal(edge_mask(labels), naive(labels))


@given(maps)
def test_edges_equal_scikit_images_thick_boundaries(labels: np.ndarray) -> None:
    assert np.array_equal(edge_mask(labels), find_boundaries(labels, connectivity=1, mode="thick"))


@given(holed)
def test_pixels_without_a_label_make_no_edge(labels: np.ndarray) -> None:
    assert np.array_equal(edge_mask(labels), naive(labels))


@given(holed)
def test_torch_gives_the_same_batch_by_batch(labels: np.ndarray) -> None:
    batch = torch.from_numpy(np.stack([labels, np.flip(labels).copy()])).long()
    assert np.array_equal(edge_mask(batch)[0].numpy(), naive(labels))
    assert np.array_equal(edge_mask(batch)[1].numpy(), naive(np.flip(labels)))


def test_the_labels_are_left_alone() -> None:
    labels = np.array([[0, 1], [1, 1]], np.uint8)
    before = labels.copy()
    assert edge_mask(labels).dtype == bool
    assert np.array_equal(labels, before)


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_one_class_has_no_edge(kind: type) -> None:
    assert not edge_mask(np.full((5, 7), 3, kind)).any()
