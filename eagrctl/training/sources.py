"""Other datasets beside the main one, each with classes of its own: a recipe's `[sources]`.

A dataset made for another purpose may know less of a pixel: one that labels hair alone calls eyes, hats and walls by
one name. Each of its classes stands for a set of the main dataset's, of which a pixel has one. Where the set is one
class alone, the pixel is labelled like any other; else its label is N + k, and the loss takes the k-th set for what it
is (`eagrctl.network.loss.losses`). A class that the recipe leaves out has no label.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from eagrctl.arrays import Pixels
from eagrctl.data.dataset import FaceDataset
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import IGNORE, LabelSet
from eagrctl.errors import TrainingError, did_you_mean
from eagrctl.recipe import SourceRecipe

OWN = 2  # what is drawn here is drawn apart from what others draw
BUT = "!"  # before a class: all others


class Sources:
    """Puts samples of other datasets in the places of some of a batch.

    Args:
        recipes: of `[sources]`, by name.
        main: the classes that a network learns.
        size: of its input.
        seed: of the run; what takes a place follows from it, the epoch and the place alone.

    Attributes:
        sets: (K, N) bool, the sets of classes that partial labels stand for.

    Raises:
        ShardError: a dataset is not there.
        TrainingError: a class that a dataset, or the main one, has not; or a set that is another in the mirror.
    """

    def __init__(self, recipes: Mapping[str, SourceRecipe], main: LabelSet, size: int, seed: int) -> None:
        self.seed = seed
        self.shares = np.cumsum([each.share for each in recipes.values()])
        self.enlarged = [each.enlarged for each in recipes.values()]
        self.data: list[FaceDataset] = []
        self.ids: list[torch.Tensor] = []
        sets: list[frozenset[int]] = []
        for name, recipe in recipes.items():
            index = ShardIndex.load(Path(recipe.data))
            ids = label_ids(recipe.classes, index.classes, main, sets, f"sources.{name}.classes")
            self.data.append(FaceDataset(index, "train", size))
            self.ids.append(torch.from_numpy(ids))
        self.sets = torch.tensor([[label in each for label in range(len(main))] for each in sets], dtype=torch.bool)

    def among(
        self, images: torch.Tensor, labels: torch.Tensor, positions: Sequence[int], epoch: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What a batch becomes, and what each face is to be enlarged by, (B,) float32.

        Args:
            images: (B, 3, S, S) uint8.
            labels: (B, S, S) uint8.
            positions: the samples' places in the main dataset's split.
            epoch: of the run, from 0.
        """
        images, labels = images.clone(), labels.clone()
        enlarged = torch.ones(len(images))
        for place, position in enumerate(positions):
            chance = np.random.default_rng((self.seed, OWN, epoch, position))
            which = int(np.searchsorted(self.shares, chance.random(), side="right"))
            if which < len(self.data):
                data = self.data[which]
                image, found, _ = data[int(chance.integers(len(data)))]
                images[place], labels[place] = image, self.ids[which][found.long()]
                enlarged[place] = self.enlarged[which]
        return images, labels, enlarged


def label_ids(
    classes: Mapping[str, Sequence[str]],
    theirs: Sequence[str],
    main: LabelSet,
    sets: list[frozenset[int]],
    source: str,
) -> Pixels:
    """(256,) uint8: what each label of a dataset becomes.

    Args:
        classes: the main dataset's classes that each of its classes may be; "!hair" is all but hair.
        theirs: its classes, in id order.
        main: the main dataset's.
        sets: those of several classes that are known, to which new ones are added.
        source: of `classes`, for messages.

    Raises:
        TrainingError: as `Sources`.
    """
    mirror = {one: other for pair in main.mirrored for one, other in (pair, pair[::-1])}
    ids = np.full(IGNORE + 1, IGNORE, np.uint8)
    for name, words in classes.items():
        if name not in theirs:
            raise TrainingError(f"{source} names {name!r}, which the data has not{did_you_mean(name, theirs)}")
        possible: set[int] = set()
        for word in words:
            if (meant := word.removeprefix(BUT)) not in main.names:
                raise TrainingError(f"{source} names {meant!r}, which is not a class{did_you_mean(meant, main.names)}")
            others = set(range(len(main))) - {main.id(meant)}
            possible |= others if word.startswith(BUT) else {main.id(meant)}
        if {mirror.get(label, label) for label in possible} != possible:
            raise TrainingError(f"{source}: {name!r} is another set in the mirror; name both sides, left and right")
        if len(possible) == 1:
            ids[theirs.index(name)] = possible.pop()
        elif possible:
            if (one := frozenset(possible)) not in sets:
                sets.append(one)
            ids[theirs.index(name)] = len(main) + sets.index(one)
    return ids
