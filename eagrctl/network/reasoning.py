"""The Edge Aware Graph Reasoning (EAGR) module (paper, section 3.2 and Fig. 2)."""

import torch
import torch.nn.functional as F
from torch import nn

from eagrctl.network.abn import ActivatedBatchNorm


class GraphProjection(nn.Module):
    """Pixels -> vertices (Eqs. 2 and 3).

    P = softmax(pool(phi(X) * Y) phi(X)^T). The pooling gives `anchors` x `anchors` cells, of which the border ring is
    dropped: "to pay more attention on the facial components, we just utilize the central 4x4" of 6x6. The softmax runs
    over the vertices, so that each pixel shares itself out among them.

    Args:
        inputs: C.
        states: K, the channels of theta(X) and of a vertex.
        projections: T, the channels of phi(X).
        anchors: the pooling size, border included.
    """

    def __init__(self, inputs: int, states: int, projections: int, anchors: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(inputs, states, kernel_size=1)
        self.phi = nn.Conv2d(inputs, projections, kernel_size=1)
        self.anchors = anchors

    def forward(self, features: torch.Tensor, edges: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Project.

        Args:
            features: X, (B, C, H, W).
            edges: Y, (B, 1, H, W), the probability that a pixel is an edge pixel.

        Returns:
            X_G, (B, V, K), and P, (B, V, HW).
        """
        projected = self.phi(features)  # (B, T, H, W)
        pooled = F.adaptive_avg_pool2d(projected * edges, self.anchors)
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
        anchors: the pooling size, border included; (anchors - 2)^2 vertices remain.

    Raises:
        ValueError: the pooling leaves no vertex.
    """

    def __init__(self, channels: int, states: int, projections: int, anchors: int) -> None:
        super().__init__()
        if anchors < 3:
            raise ValueError(f"a pooling size of {anchors} leaves no vertex once its border is dropped; 3 is the least")
        self.project = GraphProjection(channels, states, projections, anchors)
        self.reason = GraphReasoning((anchors - 2) ** 2, states)
        self.extend = nn.Conv2d(states, channels, kernel_size=1, bias=False)  # sigma
        self.norm = ActivatedBatchNorm(channels)

    def forward(self, features: torch.Tensor, edge_logits: torch.Tensor) -> torch.Tensor:
        """Refine X.

        Args:
            features: X, (B, C, H, W).
            edge_logits: (B, 2, h, w) of any size.
        """
        # Detached: Y guides the anchors, and is taught by the edge loss alone.
        guidance = F.interpolate(edge_logits.detach(), size=features.shape[2:], mode="nearest")
        edges = guidance.softmax(dim=1)[:, 1:]  # Y, (B, 1, H, W)
        vertices, projection = self.project(features, edges)
        reasoned = self.reason(vertices)  # (B, V, K)
        reprojected = (reasoned.mT @ projection).unflatten(2, features.shape[2:])  # (B, K, H, W)
        refined: torch.Tensor = features + self.norm(self.extend(reprojected))
        return refined
