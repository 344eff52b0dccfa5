"""What is on disk of an ablation, and the tables that follow from it. Training it is `test_ablate`'s."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import HELEN
from eagrctl.data.source import Provenance
from eagrctl.drawing.chart import Chart
from eagrctl.errors import CheckpointError, TrainingError
from eagrctl.inference.predict import Segmenter
from eagrctl.locks import locked
from eagrctl.paper.ablation import Ablation
from eagrctl.paper.ablation_tables import (
    KINDS,
    as_csv,
    as_json,
    cells,
    conditions,
    f1_score_is,
    headings,
    markdown,
    table_of,
    tables_of,
)
from eagrctl.paper.variants import STUDIES, Training, plan_ablation
from eagrctl.recipe import find_recipe
from eagrctl.scoring.evaluate import default_split, evaluate
from eagrctl_tests.conftest import TINY
from eagrctl_tests.scoring.samples import unpadded

CPU = torch.device("cpu")


def ablation_in(folder: Path, index: ShardIndex, *studies: str) -> Ablation:
    plan = plan_ablation(find_recipe("celebamask-hq-small"), [*TINY, "train.epochs=1"], studies or ["components"])
    return Ablation(plan, folder, index, "test")


def finish(ablation: Ablation, training: Training, seed: int = 0) -> None:
    """What a finished run leaves, its network fresh from the seed."""
    run = ablation.run(training)
    run.create(training.recipe, ablation.index.root)
    run.log({"epoch": training.recipe.train.epochs, "step": 3})
    torch.manual_seed(seed)
    network = build_network(training.recipe, len(ablation.index.classes)).state_dict()
    checkpoint = Checkpoint(training.recipe, "celebamask-hq", ablation.index.classes, network, epoch=1, step=3)
    for path in (run.best, run.last):
        save_checkpoint(checkpoint, path)


def give_scores(ablation: Ablation, training: Training, hits: int) -> None:
    """Have it scored by a confusion matrix of Helen's classes that can be reckoned with by hand.

    Background: 50 pixels, all found. Skin: 40, of which 30 are found and 10 taken for background. Nose: 10, of which
    `hits` are found and the others are taken for skin.
    """
    run = ablation.run(training)
    run.create(training.recipe, ablation.index.root)
    run.log({"epoch": training.recipe.train.epochs, "step": 3})
    run.last.write_text("")
    counts = np.zeros((11, 11), int)
    counts[0, 0], counts[1, 1], counts[1, 0], counts[6, 6], counts[6, 1] = 50, 30, 10, hits, 10 - hits
    shards = [shard.sha256 for shard in ablation.index.split("test").shards]
    faces = {"dataset": ablation.index.provenance.dataset, "split": "test", "shards": shards}
    (run.folder / "scores.json").write_text(json.dumps({"faces": faces, "confusion": counts.tolist()}))


@pytest.fixture
def helen(tiny_data: ShardIndex) -> ShardIndex:
    """The tiny dataset under Helen's name and classes, for tests that never look at a face."""
    return dataclasses.replace(tiny_data, labels=HELEN, provenance=Provenance("helen", "HELEN*", "lists", {}))


@pytest.fixture
def half_done(tmp_path: Path, helen: ShardIndex) -> Ablation:
    """Table 1 with its rows 1 and 2 scored."""
    ablation = ablation_in(tmp_path, helen)
    give_scores(ablation, ablation.plan.trainings[0], hits=6)
    give_scores(ablation, ablation.plan.trainings[1], hits=8)
    return ablation


def test_an_evaluation_is_written_once_and_read_back_the_same(tmp_path: Path, tiny_data: ShardIndex) -> None:
    ablation = ablation_in(tmp_path, tiny_data)
    training = ablation.plan.trainings[0]
    assert ablation.scores(training) is None
    finish(ablation, training)
    assert ablation.scores(training) is None
    found = ablation.evaluate(training, CPU)
    predictor = Segmenter.of(
        Checkpoint(training.recipe, "", tiny_data.classes, dict(torch.load(ablation.run(training).best)["network"])),
        CPU,
    )
    expected = evaluate(predictor, tiny_data, "test").scores
    read = ablation.scores(training)
    assert read is not None
    for scores in (found, read):
        assert np.array_equal(scores.iou, expected.iou, equal_nan=True)
        assert scores.as_dict() == expected.as_dict()
    table = json.loads((ablation.run(training).folder / "scores.json").read_text())
    assert (table["images"], table["step"], table["classes"]) == (3, 3, list(tiny_data.classes))
    assert np.sum(table["confusion"]) == 3 * 64 * 64


def test_scores_of_other_faces_do_not_count(half_done: Ablation) -> None:
    training = half_done.plan.trainings[0]
    assert half_done.scores(training) is not None
    assert dataclasses.replace(half_done, split="val").scores(training) is None
    prepared_anew = dict(half_done.index.splits)
    prepared_anew["test"] = dataclasses.replace(
        prepared_anew["test"], shards=tuple(dataclasses.replace(s, sha256="0") for s in prepared_anew["test"].shards)
    )
    index = dataclasses.replace(half_done.index, splits=prepared_anew)
    assert dataclasses.replace(half_done, index=index).scores(training) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"faces": 1}', '{"confusion": [[1]]}'])
def test_damaged_scores_count_as_none(half_done: Ablation, damage: str) -> None:
    training = half_done.plan.trainings[0]
    (half_done.run(training).folder / "scores.json").write_text(damage)
    assert half_done.scores(training) is None


def test_a_network_of_other_classes_is_not_scored(tmp_path: Path, tiny_data: ShardIndex, helen: ShardIndex) -> None:
    ablation = ablation_in(tmp_path, tiny_data)
    finish(ablation, ablation.plan.trainings[0])
    with pytest.raises(CheckpointError, match="parses 19 classes"):
        dataclasses.replace(ablation, index=helen).evaluate(ablation.plan.trainings[0], CPU)


def test_runs_of_another_recipe_or_other_data_are_refused(half_done: Ablation, tmp_path: Path) -> None:
    half_done.check()
    other = plan_ablation(find_recipe("celebamask-hq-small"), [*TINY, "train.epochs=9"], ["pooling"])
    with pytest.raises(TrainingError, match=r"components-baseline was trained by another recipe.*--output"):
        dataclasses.replace(half_done, plan=other).check()
    elsewhere = dataclasses.replace(half_done.index, root=tmp_path / "elsewhere")
    with pytest.raises(TrainingError, match="on other data"):
        dataclasses.replace(half_done, index=elsewhere).check()


def test_what_died_before_its_first_checkpoint_begins_anew_and_a_strangers_folder_stays(
    tmp_path: Path, tiny_data: ShardIndex
) -> None:
    ablation = ablation_in(tmp_path, tiny_data)
    died, whole, strange, busy = ablation.plan.trainings[:4]
    ablation.run(died).create(died.recipe, tiny_data.root)
    assert not ablation.begin(died)
    assert not any(ablation.run(died).folder.iterdir())
    finish(ablation, whole)
    assert ablation.begin(whole)
    ablation.run(strange).folder.mkdir()
    (ablation.run(strange).folder / "diary.txt").write_text("dear diary")
    assert not ablation.begin(strange)
    assert (ablation.run(strange).folder / "diary.txt").is_file()
    finish(ablation, busy)
    with locked(ablation.run(busy).folder), pytest.raises(TrainingError, match="being trained by another process"):
        ablation.begin(busy)


def test_steps_left_are_counted_from_the_last_validation(tmp_path: Path, tiny_data: ShardIndex) -> None:
    plan = plan_ablation(find_recipe("celebamask-hq-small"), [*TINY, "train.epochs=5"], ["components"])
    ablation = Ablation(plan, tmp_path, tiny_data, "test")
    training = plan.trainings[0]
    assert ablation.steps_left(training) == 15
    ablation.run(training).create(training.recipe, tiny_data.root)
    ablation.run(training).log({"epoch": 2, "step": 6})
    assert ablation.steps_left(training) == 9


def test_the_test_split_is_scored_or_where_there_is_none_val(tiny_data: ShardIndex) -> None:
    assert default_split(tiny_data) == "test"
    without = {name: split for name, split in tiny_data.splits.items() if name != "test"}
    assert default_split(dataclasses.replace(tiny_data, splits=without)) == "val"


def test_rows_have_the_papers_figures_ours_and_both_differences_to_the_first_row(half_done: Ablation) -> None:
    table = table_of(half_done, STUDIES["components"])

    def of(row: int, kind: str) -> list[float]:
        begin, keys = KINDS[kind]
        return [float(table.loc[row, f"{begin}{key}"]) for key in keys]

    # IoU of background, skin and nose; the other classes appear nowhere. Overall F1 is the nose's, the only component.
    assert of(0, "ours") == pytest.approx(
        [100 * (50 / 60 + 30 / 44 + 6 / 10) / 3, 100 * 12 / 16, 100 * (1 + 0.75 + 0.6) / 3, 86]
    )
    assert of(1, "ours") == pytest.approx(
        [100 * (50 / 60 + 30 / 42 + 8 / 10) / 3, 100 * 16 / 18, 100 * (1 + 0.75 + 0.8) / 3, 88]
    )
    assert np.isnan([of(0, "difference"), of(2, "ours"), of(2, "difference")]).all()
    assert np.isnan(of(0, "published_difference")).all()
    assert of(1, "difference") == pytest.approx([7.748918, 13.888889, 6.666667, 2.0], abs=1e-6)
    assert of(1, "published") == [77.5, 92.0, 86.2]
    assert of(1, "published_difference") == pytest.approx([1.0, 0.6, 0.3])
    assert of(2, "published_difference") == pytest.approx([0.8, 0.9, -0.1])


@pytest.mark.parametrize(
    ("dataset", "regions", "score"),
    [
        ("helen", ["eyes", "overall"], "overall"),
        ("synthetic", ["overall"], "overall"),
        ("mine", ["overall"], "overall"),
        ("lapa", ["eyes", "overall"], "mean"),  # Helen's regions, but the paper gives LaPa's mean
        ("celebamask-hq", [], "mean"),
        ("mine", [], "mean"),
    ],
)
def test_f1_is_the_one_that_the_dataset_is_scored_by(dataset: str, regions: list[str], score: str) -> None:
    assert f1_score_is(dataset, regions) == score


def test_a_table_that_was_completed_earlier_is_kept_and_half_a_table_is_not(half_done: Ablation) -> None:
    assert list(tables_of(half_done)) == ["components"]
    plan = plan_ablation(find_recipe("celebamask-hq-small"), [*TINY, "train.epochs=1"], ["pooling"])
    ablation = dataclasses.replace(half_done, plan=plan)
    assert list(tables_of(ablation)) == ["pooling"]
    for training in half_done.plan.trainings[2:]:
        give_scores(half_done, training, hits=5)
    assert list(tables_of(ablation)) == ["components", "pooling"]


def test_the_table_has_the_papers_columns_ticks_and_figures_beside_ours(half_done: Ablation) -> None:
    study = STUDIES["components"]
    assert " ".join(headings(study, "helen")) == (
        "Model Baseline Edge Graph Reasoning BA-loss mIoU paper F1-score paper Accuracy paper Pixel accuracy"
    )
    lines = [" | ".join(row) for row in cells(study, table_of(half_done, study))]
    assert lines[0] == "1 | ✓ |  |  |  |  | 70.5 | 76.5 | 75.0 | 91.4 | 78.3 | 85.9 | 86.0"
    assert lines[1] == (
        "2 | ✓ | ✓ |  |  |  | 78.3 (+7.7) | 77.5 (+1.0) | 88.9 (+13.9) | 92.0 (+0.6) | "
        "85.0 (+6.7) | 86.2 (+0.3) | 88.0 (+2.0)"
    )
    assert lines[3] == "4 | ✓ | ✓ | ✓ | ✓ |  | - | 77.8 (+1.3) | - | 92.4 (+1.0) | - | 84.6 (-1.3) | -"
    text = unpadded(markdown(half_done, tables_of(half_done)))
    assert text.startswith("## Table 1: components\n\nModel | Baseline |")
    assert all(line in text.splitlines() for line in lines)
    assert "F1-score: of all facial components as one region (Helen's overall F1)" in text
    assert "split test, 3 images" in text
    assert "The paper's figures: Helen's test split of 100 images." in text
    assert "Not finished yet: 3, 4, 5, 6." in text


def test_on_other_faces_than_helens_the_papers_figures_are_marked_as_helens(
    tmp_path: Path, tiny_data: ShardIndex
) -> None:
    ablation = ablation_in(tmp_path, tiny_data, "pooling", "complexity")
    assert headings(STUDIES["pooling"], "celebamask-hq")[2] == "paper (Helen)"
    text = unpadded(markdown(ablation, tables_of(ablation)))
    assert "F1-score: averaged over the classes without the background" in text
    assert "The paper's figures are Helen's, on other faces than ours" in text
    assert "8 x 8 | - | 78.0 (+1.0) | - | 92.6 (+0.5) | - | 87.0 (-0.4) | -" in text.splitlines()
    # Figure 4 has no scores, and so no columns for them.
    assert headings(STUDIES["complexity"], "celebamask-hq") == [
        *("Model", "mIoU", "F1-score", "Accuracy", "Pixel accuracy")
    ]
    only = {"complexity": table_of(ablation, STUDIES["complexity"])}
    assert not any("paper's figures" in line for line in conditions(ablation, only))


def test_where_val_is_scored_it_is_said_that_it_chose_the_checkpoints(half_done: Ablation) -> None:
    assert not any("chose it" in line for line in conditions(half_done, {}))
    on_val = dataclasses.replace(half_done, split="val")
    (line,) = [line for line in conditions(on_val, {}) if "chose it" in line]
    assert "split val, 4 images" in line


def test_csv_and_json_are_unrounded_and_leave_out_what_is_not_there(half_done: Ablation) -> None:
    tables = tables_of(half_done)
    lines = list(csv.DictReader(io.StringIO(as_csv(tables))))
    assert [line["model"] for line in lines] == list("123456")
    assert float(lines[1]["f1"]) == 100 * (16 / 18)
    assert float(lines[1]["difference_f1"]) == pytest.approx(100 * (16 / 18 - 12 / 16))
    assert (lines[1]["paper_miou"], lines[0]["difference_miou"], lines[2]["f1"]) == ("77.5", "", "")
    assert [lines[2][name] for name in ("Baseline", "Edge", "Graph")] == ["x", "", "x"]
    read = json.loads(as_json(half_done, tables))
    assert (read["dataset"], read["split"], read["images"], read["f1"]) == ("helen", "test", 3, "overall")
    rows = read["tables"]["components"]["rows"]
    assert rows[1]["ours"]["f1"] == 100 * (16 / 18)
    assert rows[1]["published_difference"]["accuracy"] == pytest.approx(0.3)
    assert rows[2]["ours"] == {"miou": None, "f1": None, "accuracy": None, "pixel_accuracy": None}
    assert rows[4]["components"] == ["Baseline", "Edge", "Graph", "BA-loss"]
    assert rows[4]["run"] == "components-edge-graph-ba-loss"


def test_the_picture_has_the_same_faces_every_time_and_a_column_for_each_finished_variant(
    tmp_path: Path, tiny_data: ShardIndex
) -> None:
    ablation = ablation_in(tmp_path, tiny_data)
    study = STUDIES["components"]
    assert ablation.picture(study, 2, CPU) is None
    pictures = []
    for seed, training in enumerate(ablation.plan.trainings[:2]):
        finish(ablation, training, seed)
        ablation.evaluate(training, CPU)
        pictures.append(shown(ablation.picture(study, 2, CPU)))
    assert [len(pictures[number]) for number in (0, 1)] == [2 * 3, 2 * 4]  # with the photo and the ground truth
    again = shown(ablation.picture(study, 2, CPU))
    assert all(np.array_equal(one, other) for one, other in zip(pictures[1], again, strict=True))
    assert len(shown(ablation.picture(study, 99, CPU))) == 3 * 4  # all three faces


def shown(chart: Chart | None) -> list[np.ndarray]:
    """The pictures in a chart."""
    assert chart is not None
    return [np.asarray(axes.images[0].get_array()) for axes in chart.axes]
