import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.export.operators import pooled


@given(cells=st.integers(1, 9), height=st.integers(1, 40), width=st.integers(1, 40))
def test_pooling_by_products_is_adaptive_pooling(cells: int, height: int, width: int) -> None:
    features = torch.randn(2, 3, height, width, dtype=torch.float32)
    expected = F.adaptive_avg_pool2d(features, (cells, cells + 1))
    torch.testing.assert_close(pooled(features, (cells, cells + 1)), expected, rtol=1e-5, atol=1e-5)
