"""EAGRNet -> the same function of an image, faster."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from eagrctl.inference.rewrite.blocks import EarlyDecoder, SplitPyramid, VertexEAGR
from eagrctl.inference.rewrite.folding import FoldedBlock, activated, is_foldable
from eagrctl.network.backbone import Backbone, BasicBlock, Bottleneck
from eagrctl.network.blocks import Decoder, Deployment, EdgePerceiving, PyramidPooling, TopDown
from eagrctl.network.eagrnet import EAGRNet, Logits, high_level
from eagrctl.network.efficientnet import EfficientNetLite, InvertedResidual
from eagrctl.network.reasoning import EAGR

# What has a faster form.
FASTER: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    BasicBlock: FoldedBlock,
    Bottleneck: FoldedBlock,
    PyramidPooling: SplitPyramid,
    EAGR: VertexEAGR,
    Decoder: EarlyDecoder,
}
# What only calls what it is made of, so that its parts may have one.
WHOLES = (
    Backbone,
    EfficientNetLite,
    InvertedResidual,
    TopDown,
    Deployment,
    EdgePerceiving,
    nn.ModuleList,
    nn.Sequential,
)


def rewritten(network: EAGRNet) -> nn.Module:
    """A copy for inference: (B, 3, S, S) -> `Logits`, whose `parsing` equals the network's to rounding.

    Any size of input will do. Later changes of the network's weights do not reach the copy. `edges` is None unless
    `forward` is told to give them; the edge module runs where its map guides an EAGR module.

    Args:
        network: as it is in evaluation mode. A module in it that is not known here is copied as it is; so is the
            whole of anything derived from `EAGRNet`.
    """
    if type(network) is not EAGRNet:
        return copy.deepcopy(network).eval()
    return RewrittenNetwork(network).eval().requires_grad_(False)


class RewrittenNetwork(nn.Module):
    """`EAGRNet`, made of faster parts; see `rewritten`."""

    def __init__(self, network: EAGRNet) -> None:
        super().__init__()
        parts = (network.backbone, network.pyramid, network.decoder, network.reason)
        self.backbone, self.pyramid, self.decoder, self.reason = map(_faster, parts)
        self.edge = None if network.edge is None else _faster(network.edge)
        self.climb = None if network.climb is None else _faster(network.climb)
        self.guided = any(isinstance(module, VertexEAGR) for module in self.reason.modules())

    def forward(self, images: torch.Tensor, edges: bool = False) -> Logits:
        """(B, 3, H, W), channel statistics normalised -> `Logits`, with edges only if asked for."""
        features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        found = self.edge(features) if self.edge is not None and (edges or self.guided) else None
        high, low = self.reason(high_level(features, self.pyramid, self.climb), features.conv2, found)
        return Logits(self.decoder(high, low), found if edges else None)


def _faster(module: nn.Module) -> nn.Module:
    if is_foldable(module):
        return activated(module)
    if type(module) in FASTER:
        return FASTER[type(module)](module)
    # A copy, which finds faster parts where it would copy its own.
    parts = module.children() if type(module) in WHOLES else ()
    return copy.deepcopy(module, {id(part): _faster(part) for part in parts})
