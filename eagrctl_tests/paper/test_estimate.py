from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.paper.complexity import count_flops
from eagrctl.paper.estimate import StepTime, flops_of, in_words, time_steps
from eagrctl.paper.variants import Training
from eagrctl.recipe import Recipe
from eagrctl.training.start import Work


def test_a_training_takes_the_time_of_its_steps_validations_and_evaluation(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    step_time = StepTime(seconds=2.0, flops=100, images=4, processes=1, how="")
    recipe = tiny_recipe("train.epochs=5")
    # 12, 4 and 3 faces: 3 steps an epoch. Four of five epochs are left: 12 steps and 4 times 4 faces, then 3 faces.
    assert step_time.of(recipe, 150, 12, tiny_data, "test") == pytest.approx(2 * 1.5 * (12 + (16 + 3) / 3 / 4))
    assert step_time.of(recipe, 100, 0, tiny_data, "test") == pytest.approx(2 * 3 / 3 / 4)
    # Two processes take half of each batch, and of each validation, at once.
    shared = StepTime(seconds=1.0, flops=100, images=2, processes=2, how="")
    assert shared.of(recipe, 100, 12, tiny_data, "test") == pytest.approx(12 + (8 + 3) / 3 / 2)


@pytest.mark.parametrize(("processes", "micro_batch", "images"), [(1, 2, 4), (2, None, 2), (2, 1, 2)])
def test_steps_are_timed_on_a_processs_share_of_the_batch(
    tiny_data: ShardIndex,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
    processes: int,
    micro_batch: int | None,
    images: int,
) -> None:
    recipe = tiny_recipe()
    work = Work(recipe, tiny_data.root, tmp_path, gpus=False, micro_batch=micro_batch)
    step_time = time_steps(Training("it", recipe, ()), tiny_data, work, processes, 1)
    assert (step_time.images, step_time.processes) == (images, processes)
    assert step_time.seconds > 0
    assert f"a step of it on {images} images" in step_time.how
    with torch.device("meta"):
        network = build_network(recipe, 19).eval()
    assert step_time.flops == flops_of(recipe, tiny_data) == count_flops(network, 49)[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.214, "0.21 s"), (59.6, "60 s"), (120, "2 min"), (5400, "1.5 h"), (200_000, "2.3 days")],
)
def test_durations_are_said_in_the_unit_one_would_use(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
