import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from eagrctl.arrays import Pixels
from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.data.source import AlignedSample
from eagrctl.drawing.pictures import sheet
from eagrctl.inference.predict import Segmenter
from eagrctl.recipe import find_recipe, load_recipe
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.evaluate import evaluate
from eagrctl.scoring.examples import Example, examples_of, examples_sheet, mean_f1_of, ranked, spread
from eagrctl_tests.conftest import TINY


def mean_f1_of_one(labels: Pixels, prediction: Pixels) -> float:
    return mean_f1_of(Confusion(19).add(labels, prediction))


def test_the_best_the_median_and_the_worst_by_hand() -> None:
    scores = [0.5, 0.9, 0.1, 0.7, 0.3, 0.8, 0.2, 0.6, 0.4]
    assert ranked(scores, 1) == {1: "best", 0: "median", 2: "worst"}
    assert ranked(scores, 3) == {
        **dict.fromkeys((1, 5, 3), "best"),
        **dict.fromkeys((7, 0, 8), "median"),
        **dict.fromkeys((4, 6, 2), "worst"),
    }
    assert list(ranked(scores, 2)) == [1, 5, 7, 0, 6, 2]


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=30), st.integers(1, 4))
def test_no_face_is_picked_twice_and_none_without_a_score(scores: list[float], each: int) -> None:
    picked = ranked(scores, each)
    known = [score for score in scores if not math.isnan(score)]
    values = [scores[place] for place in picked]
    assert values == sorted(values, reverse=True)
    assert not any(map(math.isnan, values))
    kinds = list(picked.values())
    assert all(kinds.count(kind) <= each for kind in ("best", "median", "worst"))
    if known:
        assert values[0] == max(known)
    if len(known) > 1:
        assert values[-1] == min(known)
    if len(known) >= 3 * each:
        assert [kinds.count(kind) for kind in ("best", "median", "worst")] == [each] * 3


@given(st.integers(0, 1000))
def test_one_faces_mean_is_scikit_learns_over_the_classes_of_its_truth(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.choice(np.array([0, 1, 3, 4, 255], np.uint8), (9, 8))
    guess = random.choice(np.array([0, 1, 2, 3], np.uint8), (9, 8))
    known = truth != 255
    present = [number for number in (1, 3, 4) if (truth == number).any()]
    expected = f1_score(truth[known], guess[known], labels=present, average="macro", zero_division=0.0)
    assert mean_f1_of_one(truth, guess) == pytest.approx(expected, abs=1e-12)


def test_a_face_without_any_class_has_no_mean() -> None:
    assert math.isnan(mean_f1_of_one(np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)))


def test_picked_faces_are_predicted_again_in_the_order_of_the_ranking(tiny_data: ShardIndex) -> None:
    recipe = load_recipe(find_recipe("celebamask-hq-small"), TINY)
    predictor = Segmenter(build_network(recipe, 19), recipe.input, torch.device("cpu"))
    seen = {}

    def look(face: AlignedSample, prediction: Pixels) -> None:
        seen[face.name] = mean_f1_of_one(face.source_labels, prediction)

    evaluate(predictor, tiny_data, "val", each=look)
    found: tuple[Example, ...] = examples_of(predictor, tiny_data, "val", ranked(list(seen.values()), 1))
    order = sorted(seen, key=lambda name: -seen[name])
    assert [each.kind for each in found] == ["best", "median", "worst"]
    assert (found[0].name, found[2].name) == (order[0], order[-1])
    for each in found:
        assert each.mean_f1 == pytest.approx(seen[each.name], abs=0.02)
        assert each.photo.shape == (65, 65, 3)
        assert each.truth.shape == each.prediction.shape == (65, 65)


def test_a_sheet_shows_faces_from_all_over_the_split(tiny_data: ShardIndex) -> None:
    assert list(spread(12, 3)) == [0, 4, 8]
    assert list(spread(2, 8)) == [0, 1]
    recipe = load_recipe(find_recipe("celebamask-hq-small"), TINY)
    predictor = Segmenter(build_network(recipe, 19), recipe.input, torch.device("cpu"))
    drawn = examples_sheet(predictor, tiny_data, "train", 3)
    examples = examples_of(predictor, tiny_data, "train", spread(12, 3))
    assert [each.name for each in examples] == [tiny_data.read("train", place).name for place in (0, 4, 8)]
    groups = [(each.photo, each.truth, each.prediction) for each in examples]
    titles = ("photo", "truth", "prediction")
    assert np.array_equal(np.asarray(drawn), np.asarray(sheet(titles, groups, tiny_data.labels, side=220, across=2)))


def test_nothing_picked_is_nothing_predicted(tiny_data: ShardIndex) -> None:
    class Never(Segmenter):
        def __init__(self) -> None:
            pass

    assert examples_of(Never(), tiny_data, "val", {}) == ()
