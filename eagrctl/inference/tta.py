"""Test-time augmentation: what a network says of several views of a face, averaged. Not in the paper."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn

from eagrctl.errors import EagrctlError, did_you_mean
from eagrctl.network.norm import resize

MIRROR, SCALES = "mirror", "scales"
FACTORS = (0.75, 1.25)  # of the network's input, beside 1; the range that the paper trains on (section 4.1)


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Which views of a face are averaged, beside the face as it is.

    Attributes:
        mirror: each view mirrored, too, with left and right classes changing places.
        scales: the face at three quarters and at five quarters of the network's input.
        pairs: ids of classes that change places.
    """

    __test__ = False  # no test, whatever pytest makes of the name

    mirror: bool = False
    scales: bool = False
    pairs: tuple[tuple[int, int], ...] = ()

    @classmethod
    def named(cls, names: str | None, pairs: Iterable[tuple[int, int]]) -> Self:
        """Of a list such as "mirror,scales"; None averages nothing.

        Raises:
            EagrctlError: a name that is neither.
        """
        wanted = [name.strip() for name in (names or "").split(",") if name.strip()]
        for name in wanted:
            if name not in (MIRROR, SCALES):
                raise EagrctlError(
                    f"no test-time augmentation is called {name!r}{did_you_mean(name, (MIRROR, SCALES))}"
                )
        return cls(MIRROR in wanted, SCALES in wanted, tuple(pairs))

    def __str__(self) -> str:
        """In words, for reports; empty where nothing is averaged."""
        factors = " and ".join(f"{factor:g}" for factor in FACTORS)
        words = [f"scales {factors}"] if self.scales else []
        return ", ".join(["mirror"] * self.mirror + words)

    def logits(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """What decides over the classes, (B, N, h, w): logits of the one view, or logarithms of averaged probabilities.

        Args:
            network: an `EAGRNet` in evaluation mode.
            inputs: (B, 3, S, S), normalised.
        """
        plain: torch.Tensor = network(inputs).parsing
        if not (self.mirror or self.scales):
            return plain
        size = inputs.shape[2]
        total, views = torch.zeros_like(plain), 0
        for factor in (1.0, *(FACTORS if self.scales else ())):
            side = round((size - 1) * factor / 8) * 8 + 1  # so that corners of all feature maps coincide
            seen = inputs if factor == 1 else resize(inputs, (side, side))
            for mirrored in (False, True) if self.mirror else (False,):
                if factor == 1 and not mirrored:
                    found = plain
                else:
                    found = network(seen.flip(3) if mirrored else seen).parsing
                    found = self._swapped(found.flip(3)) if mirrored else found
                total += resize(found, plain.shape[2:]).softmax(dim=1)
                views += 1
        # Of probabilities, the smallest that float32 tells from none stands for none.
        return (total / views).clamp(min=torch.finfo(total.dtype).tiny).log()

    def _swapped(self, logits: torch.Tensor) -> torch.Tensor:
        order = list(range(logits.shape[1]))
        for one, other in self.pairs:
            order[one], order[other] = other, one
        return logits[:, order]
