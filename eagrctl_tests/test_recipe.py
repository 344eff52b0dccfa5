from pathlib import Path

import pytest

from eagrctl.checkpoint import build_network
from eagrctl.documents import check, plain
from eagrctl.errors import RecipeError
from eagrctl.recipe import Recipe, find_recipe, load_recipe, recipe_names, recipe_to_toml
from eagrctl_tests.conftest import CLASSES


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(find_recipe("celebamask-hq-small").read_text())
    return path


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_parses_and_builds_its_network(name: str) -> None:
    recipe = load_recipe(find_recipe(name))
    assert recipe.dataset in CLASSES
    assert build_network(recipe, len(CLASSES[recipe.dataset]))


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_being_written_back(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(find_recipe(name))
    copy = tmp_path / "copy.toml"
    copy.write_text(recipe_to_toml(recipe))
    assert load_recipe(copy) == recipe
    assert check(plain(recipe), Recipe, "copy", RecipeError) == recipe


def test_the_papers_recipe_has_the_papers_numbers() -> None:
    recipe = load_recipe(find_recipe("celebamask-hq"))
    assert (recipe.model.backbone, recipe.model.width, recipe.model.pooling) == ("resnet101", 1.0, 6)
    assert {recipe.model.high_k, recipe.model.low_k} == {128}
    assert {recipe.model.high_t, recipe.model.low_t} == {64}
    assert (recipe.input.size, recipe.augment.rotation, recipe.augment.scale) == (473, 30.0, (0.75, 1.25))
    assert (recipe.train.batch, recipe.train.rate, recipe.train.weight_decay) == (28, 1e-3, 5e-4)
    assert (recipe.loss.edge, recipe.loss.ba_loss) == (1.0, 1.0)


def test_overrides_are_toml(small: Path) -> None:
    recipe = load_recipe(small, ["train.rate=2e-3", 'model.backbone="resnet50"', "augment={rotation=0,scale=[1,1]}"])
    assert recipe.train.rate == 2e-3
    assert recipe.model.backbone == "resnet50"
    assert recipe.augment.scale == (1.0, 1.0)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("train.epochz=3", "unknown key 'train.epochz' .did you mean 'epochs'"),
        ("trian.epochs=3", "unknown key 'trian' .did you mean 'train'"),
        ("sources.a={data='a',share=0.1,classes={},enlargd=2}", "unknown key 'sources.a.enlargd' .did you mean 'enlar"),
        ("train.epochs=2.5", "'train.epochs' must be a whole number, not 2.5"),
        ("train.epochs=true", "'train.epochs' must be a whole number, not True"),
        ("train.rate='fast'", "'train.rate' must be a number, not 'fast'"),
        ("train.rate=0", "'train.rate' must be above 0"),
        ("train.batch=1", "'train.batch' must be at least 2"),
        ("train.batch=1000000000", "'train.batch' must be .*at most 1000000"),
        ("train.epochs=1000000000", "'train.epochs' must be .*at most 1000000"),
        ("train.rate=1e300", "'train.rate' must be .*at most 1000000"),
        ("train.warm_up=100000000000", "'train.warm_up' must be .*at most 1000000000"),
        ("model.high_k=1000000000", "'model.high_k' must be .*at most 4096"),
        ("input.std=[0.2, 1e-300, 0.2]", "'input.std.1.' must be .*at least 1e-06"),
        ("augment.scale=[1.0, 1e300]", "'augment.scale.1.' must be .*at most 100"),
        ("augment.scale=[1.0]", "'augment.scale' must be a list of 2 values"),
        ("augment.scale=[1.2, 0.8]", "'augment.scale' must be .low, high."),
        ("model=3", "'model' must be a table of keys"),
        ("model.pooling=2", "'model.pooling' must be at least 3 and at most 32"),
        ("train.rate", "is not TOML .*; write it as key=value"),
        ("model.backbone=resnet50", "strings keep their quotes"),
    ],
)
def test_a_wrong_override_is_named(small: Path, override: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        load_recipe(small, [override])


def test_a_missing_key_is_named_with_its_file(small: Path) -> None:
    small.write_text(small.read_text().replace("momentum = 0.9\n", ""))
    with pytest.raises(RecipeError, match=r"mine\.toml: missing key 'train\.momentum'"):
        load_recipe(small)


def test_a_missing_section_is_named(small: Path) -> None:
    small.write_text(small.read_text().replace("[loss]\nedge = 1.0\nba_loss = 1.0\n", ""))
    with pytest.raises(RecipeError, match="missing key 'loss'"):
        load_recipe(small)


def test_a_file_that_is_no_toml_is_named(small: Path) -> None:
    small.write_text("not [toml")
    with pytest.raises(RecipeError, match=r"mine\.toml is not TOML"):
        load_recipe(small)


def test_an_unknown_name_lists_the_recipes_and_suggests_one() -> None:
    with pytest.raises(RecipeError, match=r"did you mean 'celebamask-hq-small'.*synthetic-small"):
        find_recipe("celebamask-hq-smal")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no recipe file at"):
        find_recipe(str(tmp_path / "none.toml"))


def test_a_backbone_that_does_not_exist_is_a_recipe_error(small: Path) -> None:
    recipe = load_recipe(small, ['model.backbone="resnet19"'])
    with pytest.raises(RecipeError, match="resnet18, resnet50, resnet101"):
        build_network(recipe, 19)
