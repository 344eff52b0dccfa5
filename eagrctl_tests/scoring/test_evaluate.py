import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eagrctl.arrays import Matrix, Pixels
from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet
from eagrctl.data.source import AlignedSample
from eagrctl.errors import CheckpointError, EagrctlError
from eagrctl.inference.predict import Segmenter
from eagrctl.readers.schemes import SCHEMES
from eagrctl.recipe import Recipe
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.evaluate import check_classes, evaluate, saving_to


@pytest.fixture
def predictor(tiny_recipe: Callable[..., Recipe]) -> Segmenter:
    recipe = tiny_recipe()
    return Segmenter(build_network(recipe, 19), recipe.input, torch.device("cpu"))


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_one_matrix_counts_every_source_pixel_whatever_the_batch(
    tiny_data: ShardIndex, predictor: Segmenter, batch: int
) -> None:
    seen: list[tuple[AlignedSample, Pixels]] = []
    found = evaluate(predictor, tiny_data, "val", batch, each=lambda face, labels: seen.append((face, labels)))
    expected = Confusion(19)
    for face, prediction in seen:
        assert prediction.shape == face.source_labels.shape == (64, 64)
        expected.add(face.source_labels, prediction)
    assert [face.name for face, _ in seen] == ["12", "13", "14", "15"]
    assert np.array_equal(found.counts, expected.counts)
    assert found.counts.sum() == 4 * 64 * 64
    assert (found.images, found.resolutions) == (4, ((64, 64),))


class Oracle(Segmenter):
    """Predicts what it was told."""

    def __init__(self, answers: list[Pixels]) -> None:
        self.answers = answers

    def predict(
        self, images: list[Pixels], matrices: list[Matrix], source_sizes: list[tuple[int, int]]
    ) -> list[Pixels]:
        return [self.answers.pop(0) for _ in images]


def test_predicting_the_truth_scores_one(tiny_data: ShardIndex) -> None:
    truth = [tiny_data.read("val", number).source_labels for number in range(4)]
    scores = evaluate(Oracle(truth), tiny_data, "val").scores
    assert (scores.mean_f1, scores.miou, scores.pixel_accuracy, scores.mean_accuracy) == (1, 1, 1, 1)


def test_other_classes_are_refused(tiny_data: ShardIndex) -> None:
    check_classes(tiny_data.classes, tiny_data, "best.pt")
    other = dataclasses.replace(tiny_data, labels=HELEN)
    with pytest.raises(CheckpointError, match=r"best\.pt parses 19 classes .*--data"):
        check_classes(tiny_data.classes, other, "best.pt")


ACCESSORIES = "glasses, left ear, right ear, hat, earring, necklace, neck, clothes"


@pytest.mark.parametrize(
    ("classes", "labels", "offer"),
    [
        (HELEN.names, CELEBAMASK_HQ, rf", or score .* --scheme helen; it has no counterpart of {ACCESSORIES}$"),
        (CELEBAMASK_HQ.names, HELEN, rf", or score .* --scheme celebamask-hq; .* no counterpart there: {ACCESSORIES}$"),
        (SCHEMES["farl"], CELEBAMASK_HQ, r", or score .* --scheme farl$"),
        (tuple(reversed(HELEN.names)), HELEN, r", or score .* --scheme MAP\.toml$"),
        (
            ("background", "skin", "beard"),
            LabelSet(("background", "hair", "skin"), HELEN.colours[:3]),
            r", or score .* --scheme MAP\.toml; .* no counterpart there: beard; it has no counterpart of hair$",
        ),
        (("background", "road"), HELEN, "$"),
    ],
)
def test_a_network_of_other_classes_is_offered_what_maps_them(
    tiny_data: ShardIndex, classes: tuple[str, ...], labels: LabelSet, offer: str
) -> None:
    with pytest.raises(
        CheckpointError, match=rf"best\.pt parses .*: name the dataset it was trained on with --data{offer}"
    ) as caught:
        check_classes(classes, dataclasses.replace(tiny_data, labels=labels), "best.pt")
    assert "\n" not in str(caught.value)


def test_values_are_ids_and_colours_are_for_the_eye(tiny_data: ShardIndex, tmp_path: Path) -> None:
    face = tiny_data.read("val", 0)
    labels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8) % 19
    saving_to(tmp_path / "made" / "here", tiny_data.labels)(face, labels)
    with Image.open(tmp_path / "made" / "here" / f"{face.name}.png") as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), labels)
        colours = np.asarray(picture.convert("RGB"))
    assert np.array_equal(colours[0, 13], tiny_data.labels.colours[13])
    assert [path.name for path in (tmp_path / "made" / "here").iterdir()] == [f"{face.name}.png"]


def test_a_folder_with_something_in_it_is_refused(tiny_data: ShardIndex, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(EagrctlError, match="holds something already"):
        saving_to(tmp_path, tiny_data.labels)
    with pytest.raises(EagrctlError, match="cannot write predictions"):
        saving_to(tmp_path / "mine.txt" / "deeper", tiny_data.labels)
