"""EAGRNet, whole (paper, Fig. 1)."""

from typing import NamedTuple

import torch
from torch import nn

from eagrctl.network.abn import narrow
from eagrctl.network.backbone import Backbone
from eagrctl.network.decoder import Decoder
from eagrctl.network.edge import EdgePerceiving
from eagrctl.network.pyramid import PyramidPooling
from eagrctl.network.reasoning import EAGR


class Logits(NamedTuple):
    """What the network predicts, at a quarter of the input's size (119 x 119 for 473 x 473), corners aligned.

    Attributes:
        parsing: (B, N, H, W), one channel per class.
        edges: (B, 2, H, W); channel 1 stands for "edge".
    """

    parsing: torch.Tensor
    edges: torch.Tensor


class EAGRNet(nn.Module):
    """Images -> parsing and edge logits.

    The low-level features are Conv2's output, as in the released network and in the paper's section 4.3 (its section
    4.2 says Conv1); the high-level features are the pyramid's. Each has an EAGR module of its own.

    Args:
        classes: N, the background included.
        backbone: "resnet18", "resnet50" or "resnet101".
        width: scales every channel count, K and T included; 1 is the paper's network.
        anchors: pooling size of Eq. 2, its border included.
        high: (K, T) of the module on the high-level features.
        low: (K, T) of the module on the low-level features.

    Raises:
        ValueError: no such backbone, or a pooling size that leaves no vertex.
    """

    def __init__(
        self,
        classes: int,
        backbone: str = "resnet101",
        width: float = 1.0,
        anchors: int = 6,
        high: tuple[int, int] = (128, 64),
        low: tuple[int, int] = (128, 64),
    ) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, width)
        conv2, conv3, conv4, conv5 = self.backbone.channels
        pyramid, middle = narrow(512, width), narrow(256, width)
        self.pyramid = PyramidPooling(conv5, pyramid)
        self.edge = EdgePerceiving((conv2, conv3, conv4), middle)
        self.reason_high = EAGR(pyramid, narrow(high[0], width), narrow(high[1], width), anchors)
        self.reason_low = EAGR(conv2, narrow(low[0], width), narrow(low[1], width), anchors)
        self.decoder = Decoder(pyramid, conv2, middle, narrow(48, width), classes)

    def forward(self, images: torch.Tensor) -> Logits:
        """(B, 3, H, W) float, channel statistics normalised -> `Logits`."""
        features = self.backbone(images)
        edges = self.edge(features)
        high = self.reason_high(self.pyramid(features.conv5), edges)
        low = self.reason_low(features.conv2, edges)
        return Logits(self.decoder(high, low), edges)
