"""Squares -> logits -> labels of each face in the photo."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from eagrctl.arrays import Matrix
from eagrctl.data.align import widened
from eagrctl.inference.predict import Segmenter, labels_in_source
from eagrctl.parsing.frames import LOOKS, WIDER, blended, reaches_out
from eagrctl.parsing.parsed import ParsedFace
from eagrctl.parsing.placing import Square, cut_out, shifted, window_of

BAND = 1 << 20  # So many pixels are mapped back at once: more fit into no cache, and take twice as long.


@torch.inference_mode()
def label_faces(
    segmenter: Segmenter, squares: Sequence[Square], probabilities: bool = False, outer: Collection[int] = ()
) -> list[ParsedFace]:
    """Label faces of one or several photos, which go through the network together, each in the window of its photo.

    Args:
        segmenter: the network.
        squares: of the faces.
        probabilities: whether faces carry those of all classes.
        outer: ids of parts that the network looks for in a wider square where they reach out of the first; see
            `eagrctl.parsing.frames`.
    """
    size = segmenter.recipe.size
    closest = segmenter.logits([square.pixels for square in squares])
    logits, matrices = list(closest), [[square.matrix] for square in squares]
    looking = list(range(len(squares)))
    for _ in range(LOOKS - 1 if outer else 0):
        looking = [
            face
            for face in looking
            if reaches_out(logits[face], matrices[face][-1], size, squares[face].photo.shape, outer)
        ]
        if not looking:
            break
        for face in looking:
            matrices[face].append(widened(matrices[face][-1], size, WIDER))
        seen = segmenter.logits([np.array(cut_out(squares[face].photo, matrices[face][-1], size)) for face in looking])
        for face, wide in zip(looking, seen, strict=True):
            logits[face] = blended(logits[face], wide, outer)
    given = closest.float().softmax(dim=1).cpu().numpy() if probabilities else [None] * len(squares)
    return [
        label_face(square, scores, size, looks, each)
        for square, scores, looks, each in zip(squares, logits, matrices, given, strict=True)
    ]


def label_face(
    square: Square,
    logits: torch.Tensor,
    size: int,
    matrices: Sequence[Matrix] = (),
    probabilities: NDArray[np.float32] | None = None,
) -> ParsedFace:
    """The face whose widest square, of size x size pixels, has these logits, (N, h, w).

    `matrices` take the photo to the squares of all looks, the closest first; by default there is one.
    """
    matrices = tuple(matrices) or (square.matrix,)
    window = square.window if len(matrices) == 1 else window_of(matrices[-1], size, square.photo.shape)
    top, left, bottom, right = window
    rows = max(1, BAND // max(1, right - left))
    maps = [
        labels_in_source(logits, shifted(matrices[-1], start, left), size, (min(rows, bottom - start), right - left))
        for start in range(top, bottom, rows)
    ]
    labels = maps[0] if len(maps) == 1 else np.concatenate(maps)
    placed = square.placed, square.box, square.confidence, square.landmarks, square.look
    kept = logits.float().cpu().numpy()
    return ParsedFace(square.matrix, window, labels, *placed, probabilities, matrices, size, kept)
