"""The Edge Aware Graph Reasoning (EAGR) module (paper, section 3.2 and Fig. 2), and the block it is compared with."""

import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.network.norm import ActivatedBatchNorm


class GraphProjection(nn.Module):
    """Pixels -> vertices (Eqs. 2 and 3).

    P = softmax(pool(phi(X) * Y) phi(X)^T). The pooling gives `pooling` x `pooling` cells, of which the border ring is
    dropped: "to pay more attention on the facial components, we just utilize the central 4x4" of 6x6. The softmax runs
    over the vertices, so that each pixel shares itself out among them.

    Args:
        inputs: C.
        states: K, the channels of theta(X) and of a vertex.
        projections: T, the channels of phi(X).
        pooling: the pooling size, border included.
    """

    def __init__(self, inputs: int, states: int, projections: int, pooling: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(inputs, states, kernel_size=1)
        self.phi = nn.Conv2d(inputs, projections, kernel_size=1)
        self.pooling = pooling

    def forward(self, features: torch.Tensor, edges: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Project.

        Args:
            features: X, (B, C, H, W).
            edges: Y, (B, 1, H, W), the probability that a pixel is an edge pixel; None pools all pixels alike, which
                is Table 1 without "Edge", "whether edge aware pooling is employed".

        Returns:
            X_G, (B, V, K), and P, (B, V, HW).
        """
        projected = self.phi(features)  # (B, T, H, W)
        weighted = projected if edges is None else projected * edges
        pooled = F.adaptive_avg_pool2d(weighted, self.pooling)
        centres = pooled[:, :, 1:-1, 1:-1].flatten(2)  # (B, T, V)
        similarity = centres.mT @ projected.flatten(2)  # (B, V, HW)
        projection = similarity.softmax(dim=1)
        states = self.theta(features).flatten(2)  # (B, K, HW)
        return projection @ states.mT, projection


class GraphReasoning(nn.Module):
    """Vertices -> vertices (Eq. 4): ReLU((I - A) X_G W), (B, V, K) -> (B, V, K).

    A is dense, learned and randomly initialised, with one bias per vertex as in the released network; W has none.
    """

    def __init__(self, vertices: int, states: int) -> None:
        super().__init__()
        self.adjacency = nn.Linear(vertices, vertices)  # A and its bias
        self.weight = nn.Linear(states, states, bias=False)  # W

    def forward(self, vertices: torch.Tensor) -> torch.Tensor:
        """Let each vertex hear from all others."""
        propagated = self.adjacency(vertices.mT).mT  # A X_G
        return F.relu(self.weight(vertices - propagated))


class EAGR(nn.Module):
    """Projection, reasoning, reprojection: Z = X + sigma(P^T X_G) (Eq. 5), (B, C, H, W) -> (B, C, H, W).

    Args:
        channels: C.
        states: K.
        projections: T.
        pooling: the pooling size, border included; (pooling - 2)^2 vertices remain.
        reasoning: whether Eq. 4 stands between projection and reprojection. Without it, vertices go back to the pixels
            as they came: Table 1's row 5 ("the graph reasoning excluding graph projection and reprojection" is taken
            out) and Fig. 4's "Without graph" ("without graph convolution for reasoning").

    Raises:
        ValueError: the pooling leaves no vertex.
    """

    def __init__(self, channels: int, states: int, projections: int, pooling: int, reasoning: bool = True) -> None:
        super().__init__()
        if pooling < 3:
            raise ValueError(f"a pooling size of {pooling} leaves no vertex once its border is dropped; 3 is the least")
        self.project = GraphProjection(channels, states, projections, pooling)
        self.reason = GraphReasoning((pooling - 2) ** 2, states) if reasoning else nn.Identity()
        self.extend = nn.Conv2d(states, channels, kernel_size=1, bias=False)  # sigma
        self.norm = ActivatedBatchNorm(channels)

    def forward(self, features: torch.Tensor, edge_logits: torch.Tensor | None) -> torch.Tensor:
        """Refine X.

        Args:
            features: X, (B, C, H, W).
            edge_logits: (B, 2, h, w) of any size, or None where there is no edge module.
        """
        vertices, projection = self.project(features, _guidance(features, edge_logits))
        reasoned = self.reason(vertices)  # (B, V, K)
        reprojected = (reasoned.mT @ projection).unflatten(2, features.shape[2:])  # (B, K, H, W)
        refined: torch.Tensor = features + self.norm(self.extend(reprojected))
        return refined


class NonLocal(nn.Module):
    """A non-local block (Eq. 1) in the place of an EAGR module: Fig. 4's "Without sampling".

    X + sigma(softmax(theta(X) phi(X)^T) gamma(X)), (B, C, H, W) -> (B, C, H, W). Every pixel asks every other, so that
    there are neither anchors nor vertices; Eq. 1 has no graph convolution either. theta and phi have T channels and
    gamma has K, like their counterparts in Eqs. 2 and 3, so that what differs in cost is the sampling alone. It is
    written out as in Eq. 1, attention maps and all, because their cost is what Fig. 4 shows.

    Args:
        channels: C.
        states: K.
        projections: T.
    """

    def __init__(self, channels: int, states: int, projections: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(channels, projections, kernel_size=1)
        self.phi = nn.Conv2d(channels, projections, kernel_size=1)
        self.gamma = nn.Conv2d(channels, states, kernel_size=1)
        self.extend = nn.Conv2d(states, channels, kernel_size=1, bias=False)  # sigma, as in Eq. 5
        self.norm = ActivatedBatchNorm(channels)

    def forward(self, features: torch.Tensor, edge_logits: torch.Tensor | None) -> torch.Tensor:
        """Refine X; the edge map has no part in it."""
        similarity = self.theta(features).flatten(2).mT @ self.phi(features).flatten(2)  # (B, HW, HW)
        attention = similarity.softmax(dim=2)  # V
        states = self.gamma(features).flatten(2)  # (B, K, HW)
        mixed = (states @ attention.mT).unflatten(2, features.shape[2:])  # (B, K, H, W)
        refined: torch.Tensor = features + self.norm(self.extend(mixed))
        return refined


def _guidance(features: torch.Tensor, edge_logits: torch.Tensor | None) -> torch.Tensor | None:
    """Y of Eq. 2, (B, 1, H, W)."""
    if edge_logits is None:
        return None
    # Detached: Y guides the anchors, and is taught by the edge loss alone.
    resized = F.interpolate(edge_logits.detach(), size=features.shape[2:], mode="nearest")
    return resized.softmax(dim=1)[:, 1:]
