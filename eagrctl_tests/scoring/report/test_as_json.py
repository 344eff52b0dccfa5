import dataclasses
import json

import numpy as np

from eagrctl.data.labels import HELEN
from eagrctl.scoring.report.as_json import json_text
from eagrctl_tests.scoring.samples import full_report, table_report


def test_nothing_is_rounded() -> None:
    report = table_report("helen", HELEN)
    read = json.loads(json_text(report))
    figures = read["classes"] | read["regions"]
    assert tuple(figures) == report.scores.names
    for key in ("f1", "iou", "accuracy", "labelled", "predicted"):
        assert [each[key] for each in figures.values()] == getattr(report.scores, key).tolist()
    assert read["means"]["miou"] == report.scores.miou
    assert read["means"]["pixel_accuracy"] == report.scores.pixel_accuracy


def test_all_scores_follow_from_the_confusion_matrix_it_holds() -> None:
    read = json.loads(json_text(full_report()))
    counts = np.array(read["confusion"])
    with np.errstate(invalid="ignore"):
        f1 = 2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))
    for expected, each in zip(f1, read["classes"].values(), strict=True):
        assert each["f1"] == (None if np.isnan(expected) else expected)
    assert read["means"]["mean_f1"] == float(np.nanmean(f1[1:]))


def test_what_is_undefined_or_not_known_is_null() -> None:
    read = json.loads(json_text(full_report()))
    assert read["classes"]["hat"]["f1"] is None
    assert read["boundary_f1"]["5"]["classes"]["hat"] is None
    assert read["table"]["rows"][-1]["values"][14] is None
    bare = json.loads(json_text(dataclasses.replace(full_report(), boundary=None, training=None)))
    assert bare["boundary_f1"] is bare["training"] is None


def test_published_rows_come_first_and_are_marked() -> None:
    table = json.loads(json_text(table_report("helen", HELEN)))["table"]
    assert [row["published"] for row in table["rows"]] == [True] * 6 + [False]
    assert table["rows"][3]["values"][:2] == [None, 96.3]
    assert [column["score"] for column in table["columns"]][-1] == "overall"
