import math

from eagrctl.drawing.curves import Curve


def test_a_label_has_the_last_finite_value() -> None:
    assert Curve("mean F1", (10.0, 70.441, math.nan)).label == "mean F1 70.4"
    assert Curve("mean F1", (math.nan,)).label == "mean F1"
