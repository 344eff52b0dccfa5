"""What arrays of pixels and matrices are called everywhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]


def shape_of(array: Any) -> str:
    """An array's height and width as people write them: `512 x 384`, for messages."""
    return f"{array.shape[1]} x {array.shape[0]}"
