import dataclasses
import hashlib
from pathlib import Path

import pytest

from eagrctl import __version__
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.recipe import find_recipe, load_recipe
from eagrctl.scoring.evaluate import Evaluation
from eagrctl.scoring.origin import Difference, Origin, RecipeComparison, checkpoint_in_words
from eagrctl.weights import NETWORK
from eagrctl_tests.scoring.samples import counts_of, origin_of


def test_the_line_says_all_that_decides_whether_figures_compare() -> None:
    origin = dataclasses.replace(origin_of("celebamask-hq"), centred=1, resolutions=((64, 64), (80, 64)))
    assert origin.line() == (
        "dataset celebamask-hq (merged), split test (by the paper's numbers), 1,234 images, 2 more could not be used, "
        "1 centred for want of landmarks, scored at each image's own resolution (2 different ones), "
        "alignment none: the whole frame, resized, paint order official, checkpoint a_b/best.pt (step 5,000, "
        "SHA-256 0123abcd), eagrctl 0.0.0"
    )


def test_what_is_not_known_is_not_named() -> None:
    origin = dataclasses.replace(origin_of("mine"), split="", split_rule="", alignment="", checkpoint="")
    assert list(origin.facts()) == ["dataset", "images", "scored at", "paint order", "eagrctl"]


def test_a_prepared_datasets_origin_is_in_its_index(tiny_data: ShardIndex) -> None:
    evaluation = Evaluation("val", 4, ((64, 64),), counts_of(19), CELEBAMASK_HQ)
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


def test_recipes_are_compared_key_by_key() -> None:
    paper = find_recipe("celebamask-hq")
    recipe = load_recipe(paper, ["train.rate=2e-3", 'model.backbone="resnet50"', "augment.scale=[1.0, 1.0]"])
    comparison = RecipeComparison.of(recipe)
    assert comparison.paper == "celebamask-hq"
    assert comparison.differences == (
        Difference("model.backbone", '"resnet50"', '"resnet101"'),
        Difference("augment.scale", "[1.0, 1.0]", "[0.75, 1.25]"),
        Difference("train.rate", "0.002", "0.001"),
    )
    assert RecipeComparison.of(load_recipe(paper)).differences == ()


def test_without_a_recipe_of_the_paper_nothing_is_compared() -> None:
    comparison = RecipeComparison.of(load_recipe(find_recipe("celebamask-hq"), ['dataset="mine"']))
    assert (comparison.paper, comparison.differences) == (None, ())
    assert comparison.recipe["dataset"] == "mine"


def test_a_checkpoint_is_named_by_its_run_or_as_shipped_and_never_by_a_place(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny"
    run.mkdir(parents=True)
    for place in (run, tmp_path):
        (place / "best.pt").write_bytes(b"weights")
    alone = checkpoint_in_words(tmp_path / "best.pt", 5000)
    assert alone == f"best.pt (step 5,000, SHA-256 {hashlib.sha256(b'weights').hexdigest()[:8]})"
    (run / "run.json").touch()
    assert checkpoint_in_words(run / "best.pt", 5000) == f"tiny/{alone}"
    assert checkpoint_in_words(NETWORK, 1).startswith("shipped (step 1, SHA-256 ")
