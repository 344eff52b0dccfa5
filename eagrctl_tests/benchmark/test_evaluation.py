from collections.abc import Callable

import pytest
import torch

from eagrctl.benchmark.evaluation import OUTSIDE, PARTS, benchmark_evaluation, figures_of
from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.events import Notice, Progress
from eagrctl.inference.predict import Segmenter
from eagrctl.recipe import Recipe


def test_both_ways_evaluate_the_same_faces(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe("input.size=65")
    predictor = Segmenter(build_network(recipe, 19), recipe.input, torch.device("cpu"))
    events: list[Progress | Notice] = []
    figures = benchmark_evaluation(predictor, tiny_data, "train", images=10, batch=4, listener=events.append).figures
    assert figures["images"] == 10
    assert [event.done for event in events if isinstance(event, Progress)] == [4, 8, 10]
    for way in (figures["ours"], figures["plain"]):
        assert tuple(way) == PARTS
        assert all(seconds > 0 for seconds in way.values())
    assert figures["differing"] < 0.05  # resizing twice moves borders a little
    assert benchmark_evaluation(predictor, tiny_data, "val", images=100).figures["images"] == 4


def test_shares_and_ratios_follow_from_the_seconds() -> None:
    ours = dict(zip(PARTS, (1.0, 6.0, 1.5, 1.0, 0.5), strict=True))
    plain = dict(zip(PARTS, (1.0, 6.0, 20.0, 22.5, 0.5), strict=True))
    figures = figures_of(5, ours, plain)
    assert OUTSIDE == ("map back", "confusion", "scores")
    assert figures["outside"] == pytest.approx(0.3)
    assert figures["times_plain"] == pytest.approx(5.0)
