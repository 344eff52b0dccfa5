import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.segmentation import find_boundaries

from eagrctl.data import labels
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, IGNORE, LabelSet, edge_mask
from eagrctl.network import loss


@pytest.mark.parametrize("classes", [HELEN, CELEBAMASK_HQ], ids=["Helen", "CelebAMask-HQ"])
def test_a_label_set_is_whole(classes: LabelSet) -> None:
    assert len(classes.names) == len(classes.colours) == len(set(classes.names)) == len(set(classes.colours))
    assert classes.names[0] == "background"
    mirrored = [one for pair in classes.mirrored for one in pair]
    assert len(mirrored) == len(set(mirrored))
    assert all(0 < one < len(classes) for one in [*mirrored, *(one for ids in classes.regions.values() for one in ids)])


def test_mirrored_pairs_are_left_and_right_of_the_same_part() -> None:
    for classes in (HELEN, CELEBAMASK_HQ):
        for one, other in classes.mirrored:
            assert classes.names[other] in {
                classes.names[one].replace("left", "right"),
                classes.names[one].replace("l_", "r_", 1),
            }


def test_overall_merges_every_part_of_the_face_but_skin_and_hair() -> None:
    left_out = set(range(len(labels.HELEN))) - set(labels.HELEN.regions["overall"])
    assert {labels.HELEN.names[one] for one in left_out} == {"background", "skin", "hair"}


def test_official_ids_of_celebamask_hq() -> None:
    names = labels.CELEBAMASK_HQ.names
    assert (names.index("skin"), names.index("l_eye"), names.index("hair"), names.index("cloth")) == (1, 4, 13, 18)


def test_both_rooms_ignore_the_same_label() -> None:
    assert loss.IGNORE == labels.IGNORE


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
