from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eagrctl.data.index import ShardIndex
from eagrctl.events import Notice, Progress
from eagrctl.recipe import Recipe
from eagrctl.training.doubts import doubts
from eagrctl.training.loop import train
from eagrctl.training.run import Run
from eagrctl.training.world import World


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "train.warm_up=100000",
            "train.warm_up is 100,000 steps, and the run has 6: the learning rate never gets above",
        ),
        ("train.power=500", "for 83% of the run, train.power and train.warm_up keep the learning rate below"),
        ("train.rate=1e-12", "never gets above 1.0e-12, at which weights stay as they are"),
        ('train.precision="bf16"', 'train.precision is "bf16", which acts on GPUs only: this trains in float32'),
    ],
)
def test_what_cannot_act_is_told(tiny_recipe: Callable[..., Recipe], override: str, said: str) -> None:
    told = doubts(tiny_recipe(override), 6, gpu=False)
    assert said in told[0]


def test_a_recipe_that_acts_is_not_doubted(tiny_recipe: Callable[..., Recipe]) -> None:
    assert doubts(tiny_recipe(), 1, gpu=False) == []
    recipe = tiny_recipe("train.average=0.999", "train.warm_up=100", 'train.precision="bf16"')
    assert doubts(recipe, 20_000, gpu=True) == []


def test_doubts_are_warnings_at_the_start_of_a_training(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    events: list[Progress | Notice] = []
    recipe = tiny_recipe('train.precision="bf16"', "train.epochs=1")
    train(recipe, tiny_data, Run(tmp_path / "run"), World(torch.device("cpu")), listener=events.append)
    first, *_ = [event for event in events if isinstance(event, Notice)]
    assert first.warning
    assert "this trains in float32" in first.text
