"""Labels -> edge mask (paper, section 4.1).

"If the label of a pixel is different with its 4 neighborhoods, it is regarded as a edge pixel": a pixel is an edge
pixel where its label differs from that of *any* of its four neighbours. Both sides of a border are edge pixels, so an
edge is two pixels thick. The border of the map is not an edge.
"""

from typing import Any

from eagrctl.data.labels import IGNORE


def edge_mask(labels: Any) -> Any:
    """Where each pixel's label differs from one of its four neighbours.

    Args:
        labels: (..., H, W) integers, a NumPy array or a torch tensor. A pixel labelled 255 has no label: neither it
            nor its neighbour is an edge pixel because of it.

    Returns:
        (..., H, W) bool, of the same library and on the same device.
    """
    # Written with operators alone, so that one definition serves shards (NumPy) and augmentation (torch, on a GPU).
    labelled = labels != IGNORE
    edges = labelled & ~labelled  # all False
    for here, there in (
        ((..., slice(1, None), slice(None)), (..., slice(None, -1), slice(None))),
        ((..., slice(None), slice(1, None)), (..., slice(None), slice(None, -1))),
    ):
        differ = (labels[here] != labels[there]) & labelled[here] & labelled[there]
        edges[here] |= differ
        edges[there] |= differ
    return edges
