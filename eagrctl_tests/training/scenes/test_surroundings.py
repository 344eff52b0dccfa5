from pathlib import Path

import numpy as np
import pytest
import torch

from eagrctl.data.augment import Augmentation, augment, draw, side_swaps
from eagrctl.data.labels import BACKGROUND, CELEBAMASK_HQ, IGNORE
from eagrctl.errors import RecipeError, ShardError
from eagrctl.recipe import SurroundingsRecipe, find_recipe, load_recipe
from eagrctl.training.scenes.materials import BackgroundAbout, Material, MaterialIndex, write_shard
from eagrctl.training.scenes.surroundings import Surroundings, laid_on

SIDE, HAIR, SKIN = 33, 13, 1
SMALL = Augmentation("uniform", 0.0, 0.0, (0.5, 0.5), mirror=False, colour=0.0)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One background for training: evenly blue."""
    root = tmp_path_factory.mktemp("material")
    blue = np.full((60, 80, 3), (0, 0, 200), np.uint8)
    shard = write_shard(
        root / "train-backgrounds-00000.h5", "backgrounds", "train", [Material.of("a", blue, BackgroundAbout(False))]
    )
    MaterialIndex(root, {}, "none", (shard,)).save()
    return root


def face(count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Red skin, with hair from it to the upper edge of its photo, which is green elsewhere."""
    labels = torch.zeros(count, SIDE, SIDE, dtype=torch.uint8)
    labels[:, 10:24, 10:24] = SKIN
    labels[:, :10, 12:20] = HAIR
    images = torch.where(labels[:, None] > 0, torch.tensor([200, 0, 0])[:, None, None], 0).byte()
    images[:, 1] = torch.where(labels > 0, 0, 200)
    return images, labels


def moved(count: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    images, labels = face(count)
    drawn = draw(0, 0, range(count), SMALL)
    warped, targets = augment(images, labels, drawn, side_swaps(CELEBAMASK_HQ))
    return warped, targets, labels, drawn.transforms


def test_a_head_is_cut_out_and_what_lies_around_it_is_background_but_where_it_was_cut() -> None:
    warped, targets, labels, transforms = moved()
    assert targets[0, 0, 0] == IGNORE
    behind = torch.tensor([0.0, 0.0, 200.0])[None, :, None, None].expand(1, 3, SIDE, SIDE)
    laid, told = laid_on(warped, targets, labels, transforms, behind)
    middle = SIDE // 2
    assert laid[0, :, middle, middle].tolist() == [200, 0, 0]
    assert laid[0, :, middle, 1].tolist() == laid[0, :, middle, 10].tolist() == [0, 0, 200]  # nothing is left of green
    assert told[0, middle, middle] == SKIN
    assert told[0, middle, 1] == told[0, middle, 10] == told[0, SIDE - 2, middle] == BACKGROUND
    # Nobody knows how the hair went on above the photo's edge.
    assert told[0, 2, middle] == IGNORE
    assert torch.equal(told[targets != IGNORE], targets[targets != IGNORE])


def test_what_a_sample_gets_follows_from_seed_epoch_and_sample_alone(material: Path) -> None:
    surroundings = Surroundings(SurroundingsRecipe(str(material), 0.5, 0.5), seed=4)
    warped, targets, labels, transforms = moved(6)
    whole = surroundings.around(warped, targets, labels, transforms, 2, range(6))
    for part in (slice(0, 2), slice(2, 6)):
        some = surroundings.around(warped[part], targets[part], labels[part], transforms[part], 2, range(6)[part])
        for one, other in zip(whole, some, strict=True):
            assert torch.equal(one[part], other)
    again = surroundings.around(warped, targets, labels, transforms, 3, range(6))
    assert not torch.equal(whole[0], again[0])


@pytest.mark.parametrize(("filled", "spoilt"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_only_what_is_asked_for_happens(material: Path, filled: float, spoilt: float) -> None:
    warped, targets, labels, transforms = moved(8)
    surroundings = Surroundings(SurroundingsRecipe(str(material), filled, spoilt), seed=0)
    images, told = surroundings.around(warped, targets, labels, transforms, 0, range(8))
    corner = images[:, :, SIDE // 2, 1]
    if filled:
        assert ((corner - torch.tensor([0.0, 0.0, 200.0])).abs() < 12).all()  # JPEG's rounding
        assert (told == BACKGROUND).sum() > (targets == BACKGROUND).sum()
    else:
        assert torch.equal(told, targets)
    assert (images != warped).any() == bool(filled or spoilt)


def test_missing_backgrounds_are_named(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"no prepared material at .*: run eagrctl detector prepare first"):
        Surroundings(SurroundingsRecipe(str(tmp_path), 0.5), 0)
    with pytest.raises(RecipeError, match="filled needs backgrounds"):
        load_recipe(find_recipe("celebamask-hq-small"), ["surroundings={filled=0.5}"])
