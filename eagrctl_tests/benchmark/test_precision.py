from collections.abc import Callable

import pytest

from eagrctl.benchmark.precision import fitting, step_flops
from eagrctl.benchmark.steps import Timing
from eagrctl.errors import TrainingError
from eagrctl.events import Notice, Progress
from eagrctl.recipe import Recipe, find_recipe, load_recipe

TIMING = Timing(1, 1.0, 0.0, 1, 1)


def test_a_batch_is_halved_until_it_fits_and_each_halving_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: None)
    tried: list[int] = []

    def measure(batch: int) -> Timing:
        tried.append(batch)
        if batch > 7:
            raise TrainingError("too little memory")
        return TIMING

    events: list[Progress | Notice] = []
    assert fitting(measure, 28, "bf16", events.append) == (7, TIMING)
    assert tried == [28, 14, 7]
    assert ["measuring 14" in events[0].text, "measuring 7" in events[1].text] == [True, True]  # type: ignore[union-attr]


def test_what_never_fits_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: None)

    def measure(batch: int) -> Timing:
        raise TrainingError(f"{batch} do not fit")

    with pytest.raises(TrainingError, match="bf16: 3 do not fit"):
        fitting(measure, 7, "bf16")


def test_the_full_network_takes_what_the_issue_says(tiny_recipe: Callable[..., Recipe]) -> None:
    released = load_recipe(find_recipe("released"))
    assert step_flops(released, 11) == pytest.approx(1.42e12, rel=0.005)
    assert step_flops(tiny_recipe(), 19) < 1e9
