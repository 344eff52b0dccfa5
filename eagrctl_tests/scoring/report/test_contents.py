import dataclasses
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, recall_score

from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.report.contents import Report, mean_boundary_f1
from eagrctl_tests.scoring.samples import full_report, origin_of, table_report


def random_report(dataset: str, labels: LabelSet, classes: int) -> tuple[Report, np.ndarray, np.ndarray]:
    """A report of random maps in which only so many of the classes appear."""
    random = np.random.default_rng(classes)
    truth = random.integers(0, classes, (40, 40), np.uint8)
    guess = np.where(random.random(truth.shape) < 0.6, truth, random.integers(0, classes, truth.shape, np.uint8))
    confusion = Confusion(len(labels))
    confusion.add(truth, guess)
    report = Report("ours", confusion.counts, labels, origin_of(dataset))
    return report, truth, guess


def test_figures_of_classes_and_regions_equal_scikit_learns() -> None:
    report, truth, guess = random_report("helen", HELEN, 11)
    members = {name: (number,) for number, name in enumerate(HELEN.names)} | dict(HELEN.regions)
    scores = report.scores
    assert scores.names == tuple(members)
    for number, ids in enumerate(members.values()):
        pair = np.isin(truth, ids).ravel(), np.isin(guess, ids).ravel()
        assert scores.f1[number] == pytest.approx(f1_score(*pair), abs=1e-12)
        assert scores.iou[number] == pytest.approx(jaccard_score(*pair), abs=1e-12)
        assert scores.accuracy[number] == pytest.approx(recall_score(*pair), abs=1e-12)
        assert (scores.labelled[number], scores.predicted[number]) == tuple(map(np.count_nonzero, pair))


def published(report: Report) -> dict[str, float]:
    return dict(zip(report.scores.names, report.published, strict=True))


def test_published_figures_stand_beside_the_classes_they_are_of() -> None:
    found = published(table_report("helen", HELEN))
    assert (found["skin"], found["eyes"], found["overall"]) == (0.946, 0.902, 0.932)
    assert math.isnan(found["left eye"])
    assert published(full_report())["skin"] == 0.962


@pytest.mark.parametrize("dataset", ["synthetic", "mine"])
def test_figures_of_other_faces_are_laid_beside_no_class(dataset: str) -> None:
    assert all(map(math.isnan, table_report(dataset, HELEN).published))


def test_what_has_no_score_is_named_and_left_out_of_the_mean() -> None:
    report, truth, guess = random_report("celebamask-hq", CELEBAMASK_HQ, 14)
    table = report.table
    assert "left out of the means: hat, earring, necklace, neck, clothes." in table.notes[-1]
    ours = dict(zip((column.score for line in table.lines for column in line), table.cells.iloc[-1], strict=True))
    assert {name for name, cell in ours.items() if cell == "-"} == {"hat", "ear_r", "neck_l", "neck", "cloth"}
    mean = f1_score(truth.ravel(), guess.ravel(), labels=range(1, 14), average="macro")
    assert ours["mean"] == f"{100 * mean:.1f}"


def test_a_class_that_is_only_predicted_is_named_for_the_mean_it_is_missing_from() -> None:
    notes = full_report().table.notes
    assert "F1 0 and left out of the mean class accuracy: necklace." in notes[-1]
    assert notes[-2].endswith("left out of the means: hat.")


def test_nothing_is_said_of_classes_that_all_have_scores() -> None:
    assert len(table_report("helen", HELEN).table.notes) == 2


def test_a_dataset_of_ones_own_has_all_its_classes_and_no_published_row() -> None:
    table = table_report("mine", HELEN).table
    assert list(table.scores.index) == ["eagrctl"]
    assert list(table.scores.columns) == [*HELEN.names[1:], *HELEN.regions, "Mean"]
    assert not table.best.any(axis=None)
    assert "necklace" in table_report("mine", CELEBAMASK_HQ).table.scores.columns


def test_boundary_f1_has_a_mean_over_the_classes_that_have_any() -> None:
    report = full_report()
    values = report.boundary_f1()
    assert list(values) == [1, 3, 5]
    assert {name for name, value in values[1].items() if not math.isnan(value)} == {
        "background",
        "skin",
        "nose",
        "hair",
    }
    by_hand = (values[1]["skin"] + values[1]["nose"] + values[1]["hair"]) / 3
    assert mean_boundary_f1(values[1], report.labels) == pytest.approx(by_hand)
    empty = dataclasses.replace(report, boundary=Boundary(19)).boundary_f1()[3]
    assert math.isnan(mean_boundary_f1(empty, report.labels))
    assert dataclasses.replace(report, boundary=None).boundary_f1() == {}
