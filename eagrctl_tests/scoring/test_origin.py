import dataclasses
from collections.abc import Callable

import pytest

from eagrctl import __version__
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.recipe import Recipe, find_recipe, load_recipe
from eagrctl.scoring.evaluate import Evaluation
from eagrctl.scoring.origin import Difference, Origin, Training
from eagrctl.scoring.scores import score
from eagrctl_tests.scoring.samples import counts_of, origin_of


def test_the_line_says_all_that_decides_whether_figures_compare() -> None:
    origin = dataclasses.replace(origin_of("celebamask-hq"), centred=1, resolutions=((64, 64), (80, 64)))
    assert origin.line() == (
        "dataset celebamask-hq (merged), split test (by the paper's numbers), 1,234 images, 2 more could not be used, "
        "1 centred for want of landmarks, scored at each image's own resolution (2 different ones), "
        "alignment none: the whole frame, resized, paint order official, checkpoint runs/a_b/best.pt (step 5,000), "
        "eagrctl 0.0.0"
    )


def test_what_is_not_known_is_not_named() -> None:
    origin = dataclasses.replace(origin_of("mine"), split="", split_rule="", alignment="", checkpoint="")
    assert list(origin.facts()) == ["dataset", "images", "scored at", "paint order", "eagrctl"]


def test_a_prepared_datasets_origin_is_in_its_index(tiny_data: ShardIndex) -> None:
    counts = counts_of(19)
    evaluation = Evaluation("val", 4, ((64, 64),), counts, score(counts, CELEBAMASK_HQ))
    origin = Origin.of(evaluation, tiny_data, "best.pt")
    assert (origin.dataset, origin.variant, origin.split) == ("celebamask-hq", "merged", "val")
    assert origin.alignment == tiny_data.alignment
    assert dict(origin.settings) == dict(tiny_data.provenance.settings)
    assert origin.version == __version__


@pytest.mark.parametrize(("dataset", "name"), [("lapa", "LaPa"), ("celebamask-hq", "CelebAMask-HQ")])
def test_datasets_for_research_only_say_so(dataset: str, name: str) -> None:
    licence = origin_of(dataset).licence
    assert name in licence
    assert "non-commercial research only" in licence


@pytest.mark.parametrize("dataset", ["helen", "synthetic", "mine"])
def test_other_datasets_say_nothing_of_licences(dataset: str) -> None:
    assert origin_of(dataset).licence == ""


def test_recipes_are_compared_key_by_key(tiny_recipe: Callable[..., Recipe]) -> None:
    paper = load_recipe(find_recipe("celebamask-hq"))
    recipe = load_recipe(
        find_recipe("celebamask-hq"), ["train.rate=2e-3", 'model.backbone="resnet50"', "augment.scale=[1.0, 1.0]"]
    )
    training = Training.of(recipe, "celebamask-hq", paper)
    assert training.differences == (
        Difference("model.backbone", '"resnet50"', '"resnet101"'),
        Difference("augment.scale", "[1.0, 1.0]", "[0.75, 1.25]"),
        Difference("train.rate", "0.002", "0.001"),
    )
    assert Training.of(paper, "celebamask-hq", paper).differences == ()


def test_without_a_recipe_of_the_paper_nothing_is_compared(tiny_recipe: Callable[..., Recipe]) -> None:
    training = Training.of(tiny_recipe())
    assert (training.paper, training.differences) == (None, ())
    assert training.recipe["dataset"] == "celebamask-hq"
