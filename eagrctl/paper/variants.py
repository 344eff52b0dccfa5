"""The paper's ablations (section 4.3) as data: which variants there are, and what each changes in a recipe."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagrctl.errors import RecipeError
from eagrctl.recipe import Recipe, changed, load_recipe
from eagrctl.scoring.origin import differences
from eagrctl.scoring.published import (
    BA_LOSS,
    COMPONENTS,
    EDGE,
    GRAPH,
    REASONING,
    TABLE_1,
    TABLE_2_DEPLOYMENT,
    TABLE_2_POOLING,
    AblationRow,
)

# The models of Fig. 4, and what is taken out of each.
FIGURE_4: Mapping[str, Mapping[str, bool]] = {
    "Baseline": {"edge": False, "graph": False},
    "Without sampling": {"sampling": False},
    "Without graph": {"reasoning": False},
    "EAGRNet": {},
}


@dataclass(frozen=True)
class Variant:
    """One row of an ablation.

    Attributes:
        model: what the table calls it.
        name: what it is, in words.
        overrides: lines of TOML, as `--set` takes them; keys that are not named stay the recipe's.
        published: its row in the paper; None where the paper prints no scores.
    """

    model: str
    name: str
    overrides: tuple[str, ...]
    published: AblationRow | None = None


@dataclass(frozen=True)
class Study:
    """One ablation of the paper.

    Attributes:
        name: its command.
        title: of its table.
        picture: the file that shows what its variants see, faces in rows.
        variants: in the table's order; the first is what the others are compared with.
        components: columns of ticks.
        note: what a reader of the table has to know.
    """

    name: str
    title: str
    picture: str
    variants: tuple[Variant, ...]
    components: tuple[str, ...] = ()
    note: str = ""

    def folder(self, variant: Variant) -> str:
        """A name for the variant's run that no other variant of any study has."""
        return f"{self.name}-{variant.name.lower().replace(',', '').replace(' x ', 'x').replace(' ', '-')}"


def _components(row: AblationRow) -> Variant:
    ticked = row.components
    switches = {"edge": EDGE, "graph": GRAPH, "reasoning": REASONING}
    overrides = [f"model.{key}={json.dumps(name in ticked)}" for key, name in switches.items()]
    # Where it is on, it has the recipe's own weight.
    overrides += [] if BA_LOSS in ticked else ["loss.ba_loss=0.0"]
    # Row 6, the whole, has a name of its own, and the others the names of their ticks.
    shown = [name for name in COMPONENTS[1:] if name in ticked]
    name = "EAGRNet" if len(shown) == 4 else ", ".join(shown) or COMPONENTS[0]
    return Variant(row.model, name, tuple(overrides), row)


def _figure_4(name: str) -> Variant:
    switches = {"edge": True, "graph": True, "reasoning": True, "sampling": True, **FIGURE_4[name]}
    return Variant(name, name, tuple(f"model.{key}={json.dumps(value)}" for key, value in switches.items()))


STUDIES: Mapping[str, Study] = {
    study.name: study
    for study in (
        Study(
            "components",
            "Table 1: components",
            "figure-3.png",
            tuple(_components(row) for row in TABLE_1),
            COMPONENTS,
            "Edge without Graph (row 2) is the edge perceiving module with its loss, which no pooling uses; Graph "
            "without Edge (row 3) pools all pixels alike and has no edge module.",
        ),
        Study(
            "deployment",
            "Table 2: deployment of EAGR modules",
            "deployment.png",
            tuple(
                Variant(row.model, row.model, (f"model.deployment={number}",), row)
                for number, row in enumerate(TABLE_2_DEPLOYMENT)
            ),
        ),
        Study(
            "pooling",
            "Table 2: pooling size",
            "pooling.png",
            tuple(
                Variant(row.model, row.model, (f"model.pooling={row.model.split()[0]}",), row)
                for row in TABLE_2_POOLING
            ),
        ),
        Study(
            "complexity",
            "Figure 4: what the models of the complexity comparison score",
            "complexity.png",
            tuple(_figure_4(name) for name in FIGURE_4),
            note="The paper's Figure 4 shows what the four cost (eagrctl complexity) and not what they score. All are "
            "trained with the recipe's BA loss, so that the Baseline is not that of Table 1.",
        ),
    )
}


@dataclass(frozen=True)
class Training:
    """A network to train; several variants may share it.

    Attributes:
        name: of its run's folder.
        recipe: what is trained.
        rows: whose it is: (study, variant), those of studies that nobody asked for too.
    """

    name: str
    recipe: Recipe
    rows: tuple[tuple[Study, Variant], ...]


@dataclass(frozen=True)
class Plan:
    """What an ablation trains.

    Attributes:
        base: the recipe that the variants override.
        studies: those asked for.
        all: what all studies would need.
    """

    base: Recipe
    studies: tuple[Study, ...]
    all: tuple[Training, ...]

    @property
    def trainings(self) -> tuple[Training, ...]:
        """What the studies need, in the order of their rows, each once."""
        rows = [(study, variant) for study in self.studies for variant in study.variants]
        return tuple(dict.fromkeys(self.training(*row) for row in rows))

    def training(self, study: Study, variant: Variant) -> Training:
        """The training that gives a study's row."""
        return next(each for each in self.all if (study, variant) in each.rows)

    def changes(self, training: Training) -> tuple[str, ...]:
        """The keys in which its recipe differs from the base, as `--set` would have them."""
        return tuple(f"{each.key}={each.ours}" for each in differences(training.recipe, self.base))


def plan_ablation(path: Path, settings: Sequence[str], studies: Sequence[str]) -> Plan:
    """Find out what has to be trained. Variants whose networks and losses are the same are trained once.

    A training is called after the first variant that it is for, whichever studies are asked for, so that studies into
    the same folder share it, too. "The same initialization" is the same seed and pretrained weights: backbone,
    pyramid and decoder, which all variants have, start alike in all.

    Args:
        path: of the recipe.
        settings: overrides of all variants, each a line of TOML.
        studies: names of `STUDIES`.

    Raises:
        RecipeError: the recipe cannot be read, or leaves two rows of a table nothing to differ in.
    """
    chosen = tuple(STUDIES[name] for name in studies)
    alike: dict[Recipe, list[tuple[Study, Variant, Recipe]]] = {}
    for study in STUDIES.values():
        for variant in study.variants:
            recipe = load_recipe(path, [*settings, *variant.overrides])
            rows = alike.setdefault(_essence(recipe), [])
            twin = next((other for of, other, _ in rows if of == study), None)
            if twin is not None and study in chosen:
                raise RecipeError(
                    f"under this recipe {twin.name!r} and {variant.name!r} of {study.title} are the same network and "
                    "loss: drop what leaves them nothing to differ in, such as --set model.deployment=0"
                )
            rows.append((study, variant, recipe))
    trainings = tuple(
        Training(rows[0][0].folder(rows[0][1]), rows[0][2], tuple((study, variant) for study, variant, _ in rows))
        for rows in alike.values()
    )
    return Plan(load_recipe(path, settings), chosen, trainings)


def _essence(recipe: Recipe) -> Recipe:
    """The recipe with every switch at rest that its network takes no notice of: equal essences train alike."""
    model: dict[str, Any] = {}
    if not recipe.model.graph or not recipe.model.deployment:
        model = {"graph": False, "deployment": 0, "sampling": True, "reasoning": False, "pooling": 3}
    elif not recipe.model.sampling:
        model = {"reasoning": False, "pooling": 3}
    return changed(recipe, model=model, loss={} if recipe.model.edge else {"edge": 0.0})
