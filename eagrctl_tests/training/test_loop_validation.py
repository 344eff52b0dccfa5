import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.events import Notice, Progress, ignore
from eagrctl.inference.predict import Segmenter
from eagrctl.recipe import Recipe
from eagrctl.scoring.evaluate import evaluate
from eagrctl.training.loop import validate
from eagrctl.training.world import World

ALONE = World(torch.device("cpu"))


@pytest.fixture
def predictor(tiny_recipe: Callable[..., Recipe]) -> Segmenter:
    recipe = tiny_recipe()
    return Segmenter(build_network(recipe, 19), recipe.input, torch.device("cpu"))


def test_alone_it_gives_the_scores_of_evaluate(predictor: Segmenter, tiny_data: ShardIndex) -> None:
    scores = validate(predictor, tiny_data, ALONE, threading.Event(), ignore)
    assert scores is not None
    assert scores.as_dict() == evaluate(predictor, tiny_data, "val").scores.as_dict()


@pytest.mark.parametrize("size", [2, 3, 5])
def test_shares_add_up_to_the_counts_of_the_whole(size: int, predictor: Segmenter, tiny_data: ShardIndex) -> None:
    whole = evaluate(predictor, tiny_data, "val")
    places = range(whole.images)
    shares = [World(torch.device("cpu"), rank, size).share(places) for rank in range(size)]
    assert [place for share in shares for place in share] == list(places)
    parts = [evaluate(predictor, tiny_data, "val", positions=share) for share in shares]
    assert np.array_equal(sum(part.counts for part in parts), whole.counts)
    assert sum(part.images for part in parts) == whole.images


def test_an_interrupt_on_the_way_leaves_no_scores(predictor: Segmenter, tiny_data: ShardIndex) -> None:
    interrupted = threading.Event()

    def listen(event: Progress | Notice) -> None:
        interrupted.set()

    assert validate(predictor, tiny_data, ALONE, interrupted, listen) is None
