"""The same network, faster: exact rewrites for inference.

The network in `eagrctl.network` reads like the paper and can be trained. What is here computes the same function of an
image, to rounding, in fewer and larger steps:

* `folding`: a norm becomes part of the convolution before it, and its activation part of the same pass over memory
* `residual`: a block's sum and its ReLU are one pass
* `winograd`: large 3x3 convolutions take a quarter of the multiplications, where the processor is short of them
* `pyramid`: half of what the bottleneck convolves are bilinear images of 50 cells; they are products of small matrices
* `reasoning`: projections that are linear in the pixels act on vertices instead, of which there are far fewer
* `decoder`: a 1x1 convolution and bilinear resizing commute, and the convolution is cheaper before the map grows
"""

from eagrctl.inference.rewrite.network import rewritten

__all__ = ["rewritten"]
