"""A file that OpenCV takes for a YuNet, made here: it sees a face of 40 x 40 where a patch is bright."""

import io

import torch
from torch import nn

STRIDES = (8, 16, 32)
# The middle of the face lies at the cell's corner, and its sides are exp(log 5) strides.
BOX = [0.0, 0.0, 1.6094379, 1.6094379]
POINTS = [-1.0, -1.0, 1.0, -1.0, 0.0, 0.0, -1.0, 1.0, 1.0, 1.0]


class Fake(nn.Module):
    """YuNet's twelve outputs, of which those of stride 8 say what is bright, and the others say nothing.

    All of it is convolutions, as in YuNet itself: OpenCV 4 reads little else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.grey = nn.ModuleList(filled(3, [0.0], 1 / (3 * 255 * stride**2), stride) for stride in STRIDES)
        self.heads = nn.ModuleList(filled(1, bias, weight) for bias, weight in (([0.0], 1.0), (BOX, 0), (POINTS, 0)))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found: list[list[torch.Tensor]] = [[], [], []]
        for stride, grey in zip(STRIDES, self.grey, strict=True):
            seen = grey(image)
            for outputs, head in zip(found, self.heads, strict=True):
                said = head(seen).permute(0, 2, 3, 1).reshape(1, -1, head.out_channels)
                outputs.append(said if stride == STRIDES[0] or head is not self.heads[0] else 0 * said)
        classes, boxes, points = found
        return (*classes, *(each + 0 for each in classes), *boxes, *points)


def filled(inputs: int, bias: list[float], weight: float, side: int = 1) -> nn.Conv2d:
    """A convolution whose weights are all the same."""
    convolution = nn.Conv2d(inputs, len(bias), side, side)
    nn.init.constant_(convolution.weight, weight)
    with torch.no_grad():
        assert convolution.bias is not None
        convolution.bias.copy_(torch.tensor(bias))
    return convolution


def yunet_bytes() -> bytes:
    """The file's contents, for an input of any size."""
    import warnings

    names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]
    buffer = io.BytesIO()
    axes = {"input": {2: "height", 3: "width"}} | {name: {1: "cells"} for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Fake(),
            (torch.zeros(1, 3, 64, 64),),
            buffer,
            input_names=["input"],
            output_names=names,
            dynamic_axes=axes,
            opset_version=13,
            dynamo=False,
        )
    return buffer.getvalue()
