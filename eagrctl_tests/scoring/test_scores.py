import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, recall_score

from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.scores import Scores, score

seeds = st.integers(0, 10_000)


def random_maps(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, (30, 31), np.uint8)
    guess = np.where(random.random(truth.shape) < 0.6, truth, random.integers(0, classes, truth.shape, np.uint8))
    return truth, guess.astype(np.uint8)


def scored(truth: np.ndarray, guess: np.ndarray, labels: LabelSet = HELEN) -> Scores:
    confusion = Confusion(len(labels))
    confusion.add(truth, guess)
    return score(confusion.counts, labels)


@pytest.mark.parametrize("labels", [HELEN, CELEBAMASK_HQ], ids=["Helen", "CelebAMask-HQ"])
@given(seed=seeds)
def test_scores_equal_scikit_learns(labels: LabelSet, seed: int) -> None:
    truth, guess = random_maps(seed, len(labels))
    known = np.random.default_rng(seed).random(truth.shape) < 0.9
    ours = scored(np.where(known, truth, 255).astype(np.uint8), guess, labels)
    pair, ids = (truth[known], guess[known]), range(len(labels))
    assert np.abs(ours.f1[: len(labels)] - f1_score(*pair, labels=ids, average=None)).max() < 1e-12
    assert np.abs(ours.iou[: len(labels)] - jaccard_score(*pair, labels=ids, average=None)).max() < 1e-12
    assert np.abs(ours.accuracy[: len(labels)] - recall_score(*pair, labels=ids, average=None)).max() < 1e-12
    assert ours.mean_f1 == pytest.approx(f1_score(*pair, labels=ids[1:], average="macro"), rel=0, abs=1e-12)
    assert ours.miou == pytest.approx(jaccard_score(*pair, labels=ids, average="macro"), rel=0, abs=1e-12)
    assert ours.mean_accuracy == pytest.approx(recall_score(*pair, labels=ids, average="macro"), rel=0, abs=1e-12)
    assert ours.pixel_accuracy == pytest.approx(accuracy_score(*pair), rel=0, abs=1e-12)


@given(seeds)
def test_a_region_scores_as_if_its_classes_were_relabelled_as_one_first(seed: int) -> None:
    truth, guess = random_maps(seed, len(HELEN))
    ours = scored(truth, guess)
    for name, ids in HELEN.regions.items():
        relabelled = [np.where(np.isin(labels, ids), ids[0], labels).ravel() for labels in (truth, guess)]
        (expected,) = f1_score(*relabelled, labels=ids[:1], average=None)
        assert ours.f1_of(name) == pytest.approx(expected, rel=0, abs=1e-12)


def test_left_taken_for_right_is_right_in_the_merged_region() -> None:
    truth = np.array([[HELEN.id("left eye")] * 3 + [0] * 3], np.uint8)
    guess = np.array([[HELEN.id("right eye")] * 3 + [0] * 3], np.uint8)
    ours = scored(truth, guess)
    assert ours.f1_of("left eye") == 0
    assert ours.f1_of("eyes") == ours.f1_of("overall") == 1


def test_a_class_that_appears_nowhere_has_no_score_and_no_part_in_a_mean() -> None:
    truth = np.array([[0, 1, 1, 6]], np.uint8)
    guess = np.array([[0, 1, 6, 6]], np.uint8)
    ours = scored(truth, guess)
    assert math.isnan(ours.f1_of("hair"))
    assert math.isnan(ours.f1_of("mouth"))
    assert ours.mean_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert ours.miou == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)


def test_a_class_that_is_predicted_but_never_labelled_counts_against_the_mean() -> None:
    ours = scored(np.array([[0, 1]], np.uint8), np.array([[10, 1]], np.uint8))
    assert ours.f1_of("hair") == 0
    assert math.isnan(ours.accuracy[10])
    assert ours.mean_f1 == pytest.approx(0.5)


def test_a_matrix_of_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit 19 classes"):
        score(np.zeros((11, 11), np.int64), CELEBAMASK_HQ)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError):
        scored(*random_maps(0, 11)).f1_of("beard")
