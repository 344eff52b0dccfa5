"""A file that OpenCV takes for a YuNet, made here: it sees a face of 40 x 40 where a patch is bright."""

import io

import torch
from torch import nn
from torch.nn import functional as F


class Fake(nn.Module):
    """YuNet's twelve outputs, of which those of stride 8 say what is bright, and the others say nothing."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        classes, objects, boxes, points = [], [], [], []
        for stride in (8, 16, 32):
            grey = F.avg_pool2d(image.mean(1, keepdim=True), stride).flatten(2).transpose(1, 2) / 255
            seen = grey if stride == 8 else 0 * grey
            classes.append(seen)
            objects.append(seen)
            # The middle of the face lies at the cell's corner, and its sides are exp(log 5) strides.
            boxes.append(torch.cat([0 * grey, 0 * grey, 0 * grey + 1.6094379, 0 * grey + 1.6094379], 2))
            offsets = (-1.0, -1.0, 1.0, -1.0, 0.0, 0.0, -1.0, 1.0, 1.0, 1.0)
            points.append(torch.cat([0 * grey + offset for offset in offsets], 2))
        return (*classes, *objects, *boxes, *points)


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
