"""Where figures come from: everything that decides whether two of them may be compared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eagrctl import __version__
from eagrctl.data.index import ShardIndex
from eagrctl.documents import plain
from eagrctl.files import sha256_of
from eagrctl.recipe import Recipe, find_recipe, load_recipe, recipe_names
from eagrctl.scoring.evaluate import Evaluation
from eagrctl.weights import NETWORK, SHIPPED

# Datasets whose licence lets their photos be used, and networks trained on them, for non-commercial research alone.
NON_COMMERCIAL = {"lapa": "LaPa", "celebamask-hq": "CelebAMask-HQ"}


@dataclass(frozen=True)
class Origin:
    """Where a row of ours comes from.

    Attributes:
        dataset: its name, which decides the paper's table.
        variant: which of the distributions in circulation.
        split, split_rule: the split, and how it was made, in words; empty where there is none.
        images: how many were scored.
        skipped: how many of the split could not be used.
        centred: how many of those scored alignment could only centre, for want of landmarks.
        resolutions: the distinct (height, width) they were scored at.
        alignment: how faces were aligned, in words, with the source of the landmarks; empty where not known.
        settings: whatever else changes scores, in words: paint order, ...
        checkpoint: where the network came from, in words; empty where there is none.
        version: of eagrctl.
    """

    dataset: str
    variant: str
    split: str
    split_rule: str
    images: int
    skipped: int
    centred: int
    resolutions: tuple[tuple[int, int], ...]
    alignment: str
    settings: Mapping[str, str] = field(default_factory=dict)
    checkpoint: str = ""
    version: str = __version__

    @classmethod
    def of(cls, evaluation: Evaluation, index: ShardIndex, checkpoint: str, views: str = "") -> "Origin":
        """The origin of what a network scored on a prepared dataset, seeing each face in some views."""
        source, split = index.provenance, index.split(evaluation.split)
        return cls(
            dataset=source.dataset,
            variant=source.variant,
            split=evaluation.split,
            split_rule=source.split_rule,
            images=evaluation.images,
            skipped=len(split.skipped),
            centred=len(split.centred),
            resolutions=evaluation.resolutions,
            alignment=index.alignment,
            settings={**source.settings, **({"test-time augmentation": views} if views else {})},
            checkpoint=checkpoint,
        )

    def facts(self) -> dict[str, str]:
        """All of it, named and in words."""
        images = f"{self.images:,} images"
        if self.skipped:
            images += f", {self.skipped:,} more could not be used"
        if self.centred:
            images += f", {self.centred:,} centred for want of landmarks"
        facts = {
            "dataset": f"{self.dataset} ({self.variant})",
            "split": f"{self.split} (by {self.split_rule})" if self.split else "",
            "images": images,
            "scored at": _resolution(self.resolutions),
            "alignment": self.alignment,
            **self.settings,
            "checkpoint": self.checkpoint,
            "eagrctl": self.version,
        }
        return {name: fact for name, fact in facts.items() if fact}

    def line(self) -> str:
        """All of it in one line."""
        return ", ".join(fact if name == "images" else f"{name} {fact}" for name, fact in self.facts().items())

    @property
    def licence(self) -> str:
        """What the dataset's licence asks to be said beside its pictures; empty where it asks nothing."""
        name = NON_COMMERCIAL.get(self.dataset)
        if name is None:
            return ""
        return (
            f"The faces are {name}'s: its pictures, and networks trained on them, are for non-commercial research only."
        )


@dataclass(frozen=True)
class Difference:
    """A key on which a recipe differs from another; values as TOML, None where one lacks the key."""

    key: str
    ours: str | None
    paper: str | None


@dataclass(frozen=True)
class RecipeComparison:
    """How the recipe that was trained differs from the paper's.

    Attributes:
        recipe: what was trained, as nested dictionaries.
        paper: the name of the paper's recipe for the same dataset; None where there is none.
        differences: in the order of the recipe; none where `paper` is None.
    """

    recipe: Mapping[str, Any]
    paper: str | None
    differences: tuple[Difference, ...]

    @classmethod
    def of(cls, recipe: Recipe) -> "RecipeComparison":
        """A recipe beside the paper's for the same dataset, if eagrctl has one."""
        ours, name = plain(recipe), recipe.dataset
        if name not in recipe_names():
            return cls(ours, None, ())
        return cls(ours, name, differences(recipe, load_recipe(find_recipe(name))))


def differences(recipe: Recipe, other: Recipe) -> tuple[Difference, ...]:
    """The keys on which a recipe differs from another, such as the paper's, in their order."""
    ours, paper = _flat(plain(recipe)), _flat(plain(other))
    keys = [key for key in ours | paper if ours.get(key) != paper.get(key)]
    return tuple(Difference(key, ours.get(key), paper.get(key)) for key in keys)


def checkpoint_in_words(path: Path, step: int) -> str:
    """A checkpoint named so that anybody can tell it from others: `shipped`, or its run and file, with its hash.

    Where it lies on this machine is left out; `step` is how far training had come.
    """
    name = f"{path.resolve().parent.name}/{path.name}" if (path.parent / "run.json").is_file() else path.name
    if path.resolve() == NETWORK.resolve():
        name = SHIPPED
    return f"{name} (step {step:,}, SHA-256 {sha256_of(path)[:8]})"


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Keys with dots, values as TOML: for what a recipe holds, that is JSON."""
    flat: dict[str, str] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": json.dumps(value)}
    return flat


def _resolution(sizes: Sequence[tuple[int, int]]) -> str:
    if len(sizes) != 1:
        return f"each image's own resolution ({len(sizes)} different ones)"
    ((height, width),) = sizes
    return f"{width} x {height}"
