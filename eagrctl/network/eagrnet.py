"""EAGRNet, whole (paper, Fig. 1), and what its tables take away from it."""

from typing import NamedTuple

import torch
from torch import nn

from eagrctl.network.backbone import EFFICIENTNET, Backbone, Features, Form
from eagrctl.network.blocks import Decoder, Deployment, EdgePerceiving, PyramidPooling, TopDown
from eagrctl.network.efficientnet import EfficientNetLite
from eagrctl.network.norm import narrow
from eagrctl.network.reasoning import EAGR, NonLocal


class Logits(NamedTuple):
    """What the network predicts, at a quarter of the input's size (119 x 119 for 473 x 473), corners aligned.

    Attributes:
        parsing: (B, N, H, W), one channel per class.
        edges: (B, 2, H, W); channel 1 stands for "edge". None where the network has no edge module.
    """

    parsing: torch.Tensor
    edges: torch.Tensor | None


def high_level(features: Features, pyramid: nn.Module, climb: nn.Module | None) -> torch.Tensor:
    """The high-level features: the pyramid's, led back to stride 8 where the backbone goes further."""
    pooled: torch.Tensor = pyramid(features.conv5)
    if climb is None:
        return pooled
    climbed: torch.Tensor = climb(pooled, (features.conv4, features.conv3))
    return climbed


class EAGRNet(nn.Module):
    """Images -> parsing and edge logits.

    The low-level features are Conv2's output, as in the released network and in the paper's section 4.3 (its section
    4.2 says Conv1); the high-level features are the pyramid's. Each has an EAGR module of its own.

    The paper's tables switch parts of it off, and leave to the reader what is left then:

    * Table 1's *baseline* "only utilizes the ResNet backbone, pyramid pooling and multi-scale decoder": `edge=False`,
      `graph=False`. Fig. 4 calls the same network Baseline.
    * *Edge* "represents whether edge aware pooling is employed". Without it (row 3) the pooling weighs all pixels
      alike, and the edge perceiving module goes, with its loss: nothing would use its map. Edge *without* Graph (row 2)
      has no pooling that could be aware of edges; what is left is the edge perceiving module with its loss, which
      teaches the backbone where edges are. That this helps without any graph is what its 1 % over the baseline says.
    * *Graph* is the EAGR modules, *Reasoning* is Eq. 4 within them (see `EAGR`). Reasoning without Graph is nothing.
    * The BA loss needs the edges of the labels and no edge module; it is switched in the loss.
    * *Deployment* and *pooling* are Table 2's: see `Deployment` and `GraphProjection`.
    * *Sampling* off is Fig. 4's "Without sampling": see `NonLocal`. It keeps the edge module, as the paper's network
      has one, though no pooling uses its map.

    Args:
        classes: N, the background included.
        backbone: "resnet18", "resnet50", "resnet101"; or "efficientnet-lite0", behind which `TopDown` follows the
            pyramid, and whose own channels are always as many.
        width: scales every channel count, K and T included; 1 is the paper's network.
        form: which ResNet exactly; the default is the paper's.
        edge: edge perceiving module, and edge-aware pooling.
        graph: EAGR modules at all.
        reasoning: graph reasoning (Eq. 4) in them.
        sampling: anchors by pooling; False puts non-local blocks in the place of EAGR modules.
        deployment: number of modules.
        pooling: pooling size of Eq. 2, its border included.
        high: (K, T) of the module on the high-level features, or on both.
        low: (K, T) of the module on the low-level features.
        recompute: train in less memory (`eagrctl.network.recompute`); the result is the same.

    Raises:
        ValueError: no such backbone or deployment, or a pooling size that leaves no vertex.
    """

    def __init__(
        self,
        classes: int,
        backbone: str = "resnet101",
        width: float = 1.0,
        form: Form = Form(),  # noqa: B008  # frozen
        *,
        edge: bool = True,
        graph: bool = True,
        reasoning: bool = True,
        sampling: bool = True,
        deployment: int = 2,
        pooling: int = 6,
        high: tuple[int, int] = (128, 64),
        low: tuple[int, int] = (128, 64),
        recompute: bool = False,
    ) -> None:
        super().__init__()

        def refiner(channels: int, on_low: bool) -> nn.Module:
            states, projections = (narrow(each, width) for each in (low if on_low else high))
            if sampling:
                return EAGR(channels, states, projections, pooling, reasoning)
            return NonLocal(channels, states, projections)

        deep = backbone == EFFICIENTNET
        self.backbone = EfficientNetLite(recompute) if deep else Backbone(backbone, width, form, recompute)
        conv2, conv3, conv4, conv5 = self.backbone.channels
        pyramid, middle = narrow(512, width), narrow(256, width)
        self.pyramid = PyramidPooling(conv5, pyramid)
        # What all variants have is made first: from one seed, it then begins alike in all of them, as the ablations ask
        # ("from scratch under the same initialization", section 4.3).
        self.decoder = Decoder(pyramid, conv2, middle, narrow(48, width), classes)
        self.climb = TopDown(pyramid, (conv4, conv3)) if deep else None
        self.edge = EdgePerceiving((conv2, conv3, conv4), middle) if edge else None
        self.reason = Deployment(deployment if graph else 0, pyramid, conv2, refiner)

    def forward(self, images: torch.Tensor) -> Logits:
        """(B, 3, H, W) float, channel statistics normalised -> `Logits`."""
        features = self.backbone(images)
        edges = None if self.edge is None else self.edge(features)
        high, low = self.reason(high_level(features, self.pyramid, self.climb), features.conv2, edges)
        return Logits(self.decoder(high, low), edges)
