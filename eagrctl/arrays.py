"""What arrays of pixels and matrices are called everywhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]

# Of a face, (5, 2) float64: centres of the viewer's left and right eye, tip of the nose, viewer's left and right corner
# of the mouth, as x and y in pixels whose centres lie on integers; NaN where one is unknown.
Landmarks = NDArray[np.float64]


def shape_of(array: Any) -> str:
    """An array's height and width as people write them: `512 x 384`, for messages."""
    return f"{array.shape[1]} x {array.shape[0]}"
