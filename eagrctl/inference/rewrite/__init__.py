"""The same network, faster: exact rewrites for inference, in public torch.

The network in `eagrctl.network` reads like the paper and can be trained. What is here computes the same function of an
image, to rounding, in fewer steps:

* `folding`: norms become part of the convolutions before them, and activations overwrite what these give
* `blocks`: what is linear changes places, so that it acts on few cells or vertices instead of many pixels
* `winograd`: large 3x3 convolutions take a quarter of the multiplications, where the processor is short of them
"""

from eagrctl.inference.rewrite.network import rewritten

__all__ = ["rewritten"]
