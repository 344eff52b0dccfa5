"""Where EAGR modules stand (paper, section 4.3, "On the deployment of the EAGR module"; Table 2)."""

from collections.abc import Callable

import torch
from torch import nn

from eagrctl.network.norm import resize

# (channels, on the low-level features alone) -> a module that refines features under the guidance of edge logits.
Refiner = Callable[[int, bool], nn.Module]


class Deployment(nn.Module):
    """Refines high-level and low-level features with 0, 1, 2 or 3 modules.

    * 0: neither is touched. The edge module stays: Table 2's "0-module" has the scores of Table 1's second row (edges
      without graph), and not those of its baseline.
    * 1: both maps "are concatenated, and then fed into an EAGR module". The paper does not say at which size, nor what
      comes after. Here the high-level map is resized to the low-level one's size, because the other way round would
      throw away the detail that the low-level map is there for; the refined channels are split again, so that the
      decoder is the same in every deployment, and the comparison is of modules alone.
    * 2: each has a module of its own. The paper's network.
    * 3: "combines 2) and 3)" of a list whose third entry is 2 modules and whose fourth is this one. It is read as
      1-module and 2-modules combined, the only reading that has three modules: first each map's own, then the one on
      both. The paper's fusion comes last, where it sees what the others refined.

    Args:
        modules: 0 to 3.
        high: channels of the high-level features.
        low: channels of the low-level features.
        refiner: makes a module for so many channels; the one on both maps is made like the high-level one.

    Raises:
        ValueError: another number of modules.
    """

    def __init__(self, modules: int, high: int, low: int, refiner: Refiner) -> None:
        super().__init__()
        if modules not in range(4):
            raise ValueError(f"EAGR modules are deployed 0, 1, 2 or 3 times, not {modules}")
        own, both = modules in (2, 3), modules in (1, 3)
        self.high = refiner(high, False) if own else None
        self.low = refiner(low, True) if own else None
        self.both = refiner(high + low, False) if both else None

    def forward(
        self, high: torch.Tensor, low: torch.Tensor, edge_logits: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Refine both maps.

        Args:
            high: (B, C, h, w).
            low: (B, c, H, W).
            edge_logits: (B, 2, H, W), or None where there is no edge module.

        Returns:
            The same two maps, refined; the high-level one is (B, C, H, W) where both were concatenated.
        """
        if self.high is not None and self.low is not None:
            high, low = self.high(high, edge_logits), self.low(low, edge_logits)
        if self.both is not None:
            together = torch.cat([resize(high, low.shape[2:]), low], dim=1)
            high, low = self.both(together, edge_logits).split([high.shape[1], low.shape[1]], dim=1)
        return high, low
