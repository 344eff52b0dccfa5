from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, IGNORE
from eagrctl.data.prepare import prepare
from eagrctl.errors import RecipeError, TrainingError
from eagrctl.readers.folder import open_folder
from eagrctl.recipe import SourceRecipe, find_recipe, load_recipe, recipe_to_toml
from eagrctl.training.sources import Sources, label_ids

SIDE = 33
NAMES = CELEBAMASK_HQ.names
HAIR, EARS = CELEBAMASK_HQ.id("hair"), {CELEBAMASK_HQ.id("l_ear"), CELEBAMASK_HQ.id("r_ear")}
CLASSES = {"wig": ("hair",), "ears": ("l_ear", "r_ear"), "background": ("!hair",)}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> ShardIndex:
    """Four faces of another dataset, which tells apart: background, wig, ears, and what nobody asks for."""
    root = tmp_path_factory.mktemp("other")
    for kind in ("images", "labels"):
        (root / kind).mkdir()
    for number in range(4):
        Image.fromarray(np.full((SIDE, SIDE, 3), 10 * number, np.uint8)).save(root / "images" / f"{number}.png")
        labels = np.zeros((SIDE, SIDE), np.uint8)
        labels[:5], labels[5:9], labels[9:12] = 1, 2, 3
        Image.fromarray(labels).save(root / "labels" / f"{number}.png")
    (root / "classes.toml").write_text('classes = ["background", "wig", "ears", "moustache"]\n')
    (root / "train.txt").write_text("0\n1\n2\n3\n")
    return prepare(open_folder(root), root / "data", Aligner(SIDE), 0)


def sources(other: ShardIndex, **changes: object) -> Sources:
    values = {"data": str(other.root), "share": 1.0, "classes": CLASSES, "enlarged": 2.0, **changes}
    return Sources({"other": SourceRecipe(**values)}, CELEBAMASK_HQ, SIDE, seed=1)  # type: ignore[arg-type]


def batch(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((count, 3, SIDE, SIDE), 200, dtype=torch.uint8), torch.zeros(count, SIDE, SIDE).byte()


def test_classes_become_one_of_ours_a_set_of_ours_or_nothing(other: ShardIndex) -> None:
    found = sources(other)
    _, labels, enlarged = found.among(*batch(2), [0, 1], epoch=0)
    assert enlarged.tolist() == [2, 2]
    for column in labels[:, :, 4]:
        assert set(column[:5].tolist()) == {HAIR}
        assert set(column[9:12].tolist()) == {IGNORE}
        for part, expected in ((column[5:9], EARS), (column[12:], set(range(len(NAMES))) - {HAIR})):
            (label,) = set(part.tolist())
            assert set(found.sets[label - len(NAMES)].nonzero().flatten().tolist()) == expected


def test_so_many_places_are_taken_as_the_shares_say_and_always_the_same(other: ShardIndex) -> None:
    found, positions = sources(other, share=0.25), list(range(400))
    images, labels = batch(400)
    kept = images.clone()
    mixed, told, enlarged = found.among(images, labels, positions, epoch=3)
    taken = (mixed != 200).flatten(1).any(dim=1)
    assert 0.15 < taken.float().mean() < 0.35
    assert torch.equal(enlarged, torch.where(taken, 2.0, 1.0))
    assert torch.equal(images, kept)
    again = sources(other, share=0.25).among(*batch(400), positions, epoch=3)
    assert torch.equal(again[0], mixed)
    assert torch.equal(again[1], told)
    assert not torch.equal(found.among(*batch(400), positions, epoch=4)[0], mixed)
    # Whatever the batch is cut into.
    assert torch.equal(found.among(*batch(5), positions[100:105], epoch=3)[0], mixed[100:105])


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"wigs": ["hair"]}, r"names 'wigs', which the data has not \(did you mean .wig."),
        ({"wig": ["hairs"]}, r"names 'hairs', which is not a class \(did you mean .hair."),
        ({"wig": ["!beard"]}, "names 'beard', which is not a class"),
        ({"ears": ["l_ear", "skin"]}, "'ears' is another set in the mirror"),
        ({"ears": ["l_ear"]}, "'ears' is another set in the mirror"),
    ],
)
def test_a_class_that_there_is_not_and_half_a_pair_are_refused(
    other: ShardIndex, classes: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(TrainingError, match=said) as caught:
        sources(other, classes=classes)
    assert "sources.other.classes" in str(caught.value)


def test_a_set_that_two_datasets_have_is_one() -> None:
    sets: list[frozenset[int]] = []
    one = label_ids({"a": ["!hair"]}, ["a"], CELEBAMASK_HQ, sets, "here")
    other = label_ids({"b": ["l_ear", "r_ear"], "c": ["!hair"]}, ["b", "c"], CELEBAMASK_HQ, sets, "there")
    assert one[0] == other[1] == len(NAMES)
    assert other[0] == len(NAMES) + 1
    assert len(sets) == 2


def test_a_recipe_says_so_and_is_written_as_it_was_read(tmp_path: Path) -> None:
    line = 'sources.hair={data="x",share=0.5,enlarged=2,classes={hair=["hair"],"all else"=["!hair"]}}'
    recipe = load_recipe(find_recipe("celebamask-hq"), [line])
    assert recipe.sources["hair"].classes == {"hair": ("hair",), "all else": ("!hair",)}
    (tmp_path / "again.toml").write_text(recipe_to_toml(recipe))
    assert load_recipe(tmp_path / "again.toml") == recipe
    assert hash(recipe) == hash(load_recipe(tmp_path / "again.toml"))
    with pytest.raises(RecipeError, match="shares of sources must not exceed 1"):
        load_recipe(
            find_recipe("celebamask-hq"), [line, line.replace("sources.hair", "sources.more").replace("0.5", "0.6")]
        )
