"""The whole head: where hair, a hat, the neck or clothes reach beyond a face's square, the network looks again, wider.

The aligned square shows a face as the training data do. Long hair, a bun or shoulders do not fit into it, and would end
in a straight line. So where such a part touches an edge of the square that lies inside the photo, the square around
twice as much is looked at, and, where that is still too small, the one around four times as much.

What two looks say is blended by the distance from the inner one's edge: near it the wider look takes over, and in its
middle the closer one alone decides, so that no line is left and eyes and lips stay as sharp as they were. In the wider
look there may be other heads; what does not hang together with this one is left out.
"""

from collections.abc import Collection
from typing import Literal

import numpy as np
import torch
from skimage.measure import label as components
from torch.nn import functional as F

from eagrctl.arrays import Matrix
from eagrctl.data.labels import BACKGROUND
from eagrctl.geometry import invert, transform

Frame = Literal["head", "face"]

WIDER = 2.0  # times as much as the look before
LOOKS = 3  # at most
OUTER = frozenset({"hair", "hat", "neck", "necklace", "neck_l", "cloth"})  # parts that may reach out of a square
NEVER = -100.0  # logit of what cannot be
EDGE = 0.15  # of a square's side: so far from its edge, the wider look has its say


def reaches_out(
    logits: torch.Tensor, matrix: Matrix, size: int, frame: tuple[int, ...], outer: Collection[int]
) -> bool:
    """Whether a part that may be larger than the square touches an edge of it inside a photo of (height, width).

    Args:
        logits: (N, h, w), their corners aligned with those of the square.
        matrix: photo -> square.
        size: of the square, in pixels.
        frame: of the photo.
        outer: ids of such parts.
    """
    best = logits.argmax(dim=0).cpu().numpy()
    height, width = best.shape
    rows, columns = np.indices(best.shape).reshape(2, -1)
    on_edge = (rows == 0) | (rows == height - 1) | (columns == 0) | (columns == width - 1)
    touching = on_edge & np.isin(best.ravel(), list(outer))
    steps = np.array([(size - 1) / (width - 1), (size - 1) / (height - 1)])
    places = transform(invert(matrix), np.stack([columns, rows], axis=1)[touching] * steps)
    # At the photo's own edge there is nothing more to see.
    margin = 2 * float(steps.max()) / float(np.hypot(*matrix[:, 0]))
    inside = (places > margin) & (places < np.array([frame[1], frame[0]]) - 1 - margin)
    return bool(inside.all(axis=1).any())


def blended(close: torch.Tensor, wide: torch.Tensor, outer: Collection[int]) -> torch.Tensor:
    """What two looks say together, (N, 2 h - 1, 2 w - 1) float32, over the square of the wider one.

    Args:
        close: (N, h, w) logits over the inner square, h and w odd.
        wide: logits over the square around twice as much; of any size.
        outer: ids of the parts, beside the background, that there may be beyond the inner square.
    """
    height, width = close.shape[1:]
    both = F.interpolate(
        wide.float()[None], (2 * height - 1, 2 * width - 1), mode="bilinear", align_corners=True
    ).log_softmax(dim=1)[0]
    down, across = (
        torch.minimum(each, each.flip(0)) for each in (torch.linspace(0, 1, side) for side in (height, width))
    )
    say = (torch.minimum(down[:, None], across[None]) / EDGE).clamp(max=1).to(both.device)
    top, left = height // 2, width // 2
    inner = slice(top, top + height), slice(left, left + width)
    near = close.float().log_softmax(dim=0)
    middle = both[:, *inner] * (1 - say) + say * near
    # What cannot reach out of the inner square is the closer look's to see: the wider one only guesses at it.
    within = [label for label in range(len(both)) if label != BACKGROUND and label not in outer]
    middle[within], both[within] = near[within], NEVER
    both[:, *inner] = middle
    return _one_head(both, (top, left, height, width))


def _one_head(scores: torch.Tensor, inner: tuple[int, int, int, int]) -> torch.Tensor:
    """Make background of what does not hang together with anything inside the inner square."""
    top, left, height, width = inner
    parts = components((scores.argmax(dim=0) != BACKGROUND).cpu().numpy(), connectivity=1)
    own = np.unique(parts[top + 1 : top + height - 1, left + 1 : left + width - 1])
    strange = torch.from_numpy((parts > 0) & ~np.isin(parts, own)).to(scores.device)
    scores[BACKGROUND].masked_fill_(strange, 0.0)
    scores[BACKGROUND + 1 :].masked_fill_(strange, NEVER)
    return scores
