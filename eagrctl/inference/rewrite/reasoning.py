"""The EAGR module, with what is linear moved from pixels to vertices."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.inference.rewrite.folding import activate, affine
from eagrctl.inference.rewrite.grids import kept, pooling
from eagrctl.network.reasoning import EAGR


class VertexEAGR(nn.Module):
    """`eagrctl.network.reasoning.EAGR`.

    theta, phi and sigma are linear, and what follows theta and phi, and comes before sigma, is a product with a matrix
    of V rows. Products may be taken in any order, so that theta, phi and sigma act on V vertices, not on HW pixels:

    * the anchors, pool(phi(X) Y): pool X Y first; phi's bias comes in by the pooled Y
    * their similarity to phi(X): that to X of the anchors taken back through phi
    * the vertices, P theta(X): P X first; theta's bias comes in by the sums of P
    * reprojection, sigma(P^T X_G): sigma X_G first, its norm's shift included, as what a pixel has of all vertices
      sums to one
    """

    def __init__(self, module: EAGR) -> None:
        super().__init__()
        project, norm = module.project, module.norm
        scale, shift = affine(norm)
        sigma = module.extend.weight.detach().flatten(1)  # (C, K)
        self.pooling, self.slope = project.pooling, norm.slope
        for name, conv in (("phi", project.phi), ("theta", project.theta)):
            assert conv.bias is not None
            self.register_buffer(name, conv.weight.detach().flatten(1).clone())  # (T or K, C)
            self.register_buffer(f"{name}_bias", conv.bias.detach().clone())
        self.register_buffer("sigma", (sigma.double() * scale[:, None]).to(sigma.dtype))
        self.register_buffer("sigma_bias", shift.to(sigma.dtype))
        self.reason = copy.deepcopy(module.reason)

    def forward(self, features: torch.Tensor, edge_logits: torch.Tensor | None) -> torch.Tensor:
        """Refine X, (B, C, H, W), guided by edge logits, (B, 2, h, w), or by none."""
        phi, theta, sigma = (self.get_buffer(name) for name in ("phi", "theta", "sigma"))
        of_phi, of_theta, of_sigma = (self.get_buffer(f"{name}_bias") for name in ("phi", "theta", "sigma"))
        batch, _, height, width = features.shape
        pixels = features.permute(0, 2, 3, 1).flatten(1, 2)  # X, (B, HW, C)
        weights = _central(self.pooling, height, width, features.dtype, features.device).expand(batch, -1, -1)
        if edge_logits is not None:
            resized = F.interpolate(edge_logits, size=(height, width), mode="nearest")
            weights = weights * (resized[:, 1] - resized[:, 0]).sigmoid().flatten(1)[:, None]  # (B, V, HW)
        anchors = F.linear(weights @ pixels, phi) + weights.sum(2, keepdim=True) * of_phi  # (B, V, T)
        # The bias of phi on the pixels' side adds the same to all pixels, for each anchor its own.
        similarity = pixels @ (anchors @ phi).mT + (anchors @ of_phi)[:, None]  # (B, HW, V)
        projection = similarity.softmax(dim=2)  # P^T
        vertices = F.linear(projection.mT @ pixels, theta) + projection.sum(1)[:, :, None] * of_theta  # (B, V, K)
        extended = F.linear(self.reason(vertices), sigma, of_sigma)  # (B, V, C)
        refined = activate(projection @ extended, self.slope).add_(pixels)
        return refined.view(batch, height, width, -1).permute(0, 3, 1, 2)


@kept
def _central(cells: int, height: int, width: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Pooling to the central cells, (V, HW), its border ring dropped."""
    down, across = (pooling(cells, side)[1:-1] for side in (height, width))
    return torch.kron(down, across).to(device, dtype)
