from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.readers.schemes import find_scheme
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.examples import mean_f1_of_one
from eagrctl.scoring.label_maps import LabelMaps
from eagrctl.scoring.report.label_maps import mean_f1_of_counts, score_label_maps
from eagrctl.scoring.truths import FolderTruths, label_maps, open_truths

OFFICIAL = find_scheme("official", CELEBAMASK_HQ)


@pytest.fixture
def guesses(tmp_path: Path, tiny_data: ShardIndex) -> dict[str, Pixels]:
    """Predictions for three of the four faces of val, worse for every next one, and saved as PNGs."""
    made = {}
    for place, name in ((0, "12"), (2, "14"), (3, "15")):
        labels = tiny_data.read("val", place).source_labels.copy()
        labels[:, : 10 * place] = 0
        made[name] = labels
        Image.fromarray(labels).save(tmp_path / f"{name}.png")
    return made


def test_the_best_the_median_and_the_worst_are_shown_where_there_are_photos(
    tmp_path: Path, tiny_data: ShardIndex, guesses: dict[str, Pixels]
) -> None:
    maps = LabelMaps(tmp_path, open_truths(tiny_data.root, split="val"), OFFICIAL)
    found = score_label_maps(maps, "a tool", examples=True, keep_going=True).examples
    assert [(one.kind, one.name) for one in found] == [("best", "12"), ("median", "14"), ("worst", "15")]
    for one, place in zip(found, (0, 2, 3), strict=True):
        face = tiny_data.read("val", place)
        assert np.array_equal(one.photo, face.image)
        assert one.mean_f1 == mean_f1_of_one(face.source_labels, guesses[one.name])
    assert score_label_maps(maps, "a tool", keep_going=True).examples == ()


def test_a_folder_of_label_maps_has_no_photos_to_show(tmp_path: Path, guesses: dict[str, Pixels]) -> None:
    truths = FolderTruths(tmp_path, "celebamask-hq", CELEBAMASK_HQ, label_maps(tmp_path))
    report = score_label_maps(LabelMaps(tmp_path, truths, OFFICIAL), "a tool", boundaries=True, examples=True)
    assert report.examples == ()
    assert report.scores.mean_f1 == 1
    assert report.boundary is not None
    assert np.array_equal(report.boundary.labelled, report.boundary.predicted)


def test_the_origin_names_predictions_scheme_and_truth(
    tmp_path: Path, tiny_data: ShardIndex, guesses: dict[str, Pixels]
) -> None:
    maps = LabelMaps(tmp_path, open_truths(tiny_data.root, split="val"), OFFICIAL)
    line = score_label_maps(maps, "a tool", keep_going=True).origin.line()
    for part in (
        "dataset celebamask-hq (merged)",
        "split val (by the lists in the source folder)",
        "3 images",
        "scored at 64 x 64",
        "paint order as merged in the source",
        f"predictions {tmp_path}",
        "scheme official",
        f"truth {tiny_data.root}",
        "left out 1 of 4 truths, which have no prediction",
    ):
        assert part in line
    assert "alignment" not in line
    assert "checkpoint" not in line


def test_one_images_mean_f1_follows_from_its_counts() -> None:
    truth, guess = np.random.default_rng(0).integers(0, 6, (2, 20, 20), np.uint8)
    for labels in (truth, np.zeros_like(truth)):
        confusion = Confusion(19)
        confusion.add(labels, guess)
        expected = mean_f1_of_one(labels, guess)
        assert mean_f1_of_counts(confusion.counts) == pytest.approx(expected, abs=1e-12, nan_ok=True)
