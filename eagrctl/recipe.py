"""Recipes: a whole training run as one TOML file.

Every number of the science stands in the file; nothing hides as a default in code, so every key is required. GPUs,
paths and workers are no science: they are flags of the command line.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

from eagrctl.documents import Count, Flag, Number, Text, Whole, Written, check, plain, read_toml, toml_table
from eagrctl.errors import RecipeError, did_you_mean


def _in_order(factors: tuple[float, float]) -> tuple[float, float]:
    if factors[0] > factors[1]:
        raise ValueError(f"must be [low, high], not {list(factors)}")
    return factors


Kind = TypeVar("Kind", bound=Written)

DETECTOR = "detector"  # the one recipe that comes with eagrctl and is another network's
MOST = 1_000_000  # of whatever is counted; also of rates and weights
AboveZero = Annotated[Number, Field(gt=0, le=MOST)]
Weight = Annotated[Number, Field(ge=0, le=MOST)]
Mean = Annotated[Number, Field(ge=-1000, le=1000)]
Deviation = Annotated[Number, Field(ge=1e-6, le=1000)]
Share = Annotated[Number, Field(ge=0, le=1)]
BelowOne = Annotated[Number, Field(ge=0, lt=1)]
Channels = Annotated[Whole, Field(ge=1, le=4096)]
Factor = Annotated[Number, Field(gt=0, le=100)]
Factors = Annotated[tuple[Factor, Factor], AfterValidator(_in_order)]


@dataclass(frozen=True)
class ModelRecipe(Written):
    """The network (paper, section 4.2): see `eagrctl.network.eagrnet.EAGRNet`, which says what each switch leaves.

    Attributes:
        backbone: "resnet18", "resnet50", "resnet101"; or "efficientnet-lite0", of which stem, stride and residual say
            nothing and whose own channels `width` leaves alone.
        stem: "deep" (the paper's three 3x3 convolutions) or "conv7x7".
        stride: which convolution of a bottleneck has the stride of its stage, "3x3" or "1x1".
        residual: "activated" (as In-Place ABN has it) or "plain" (as in ImageNet networks) before a block's sum.
        pretrained: "none"; "imagenet" to fetch the published weights of this backbone; or the path of a file.
        width: scales every channel count; 1.0 is the paper's network.
        edge, graph, reasoning: the components of Table 1; its fourth is `loss.ba_loss`.
        sampling: anchors by pooling; false is Figure 4's "Without sampling".
        deployment: number of EAGR modules, 0 to 3 (Table 2).
        pooling: pooling size of Eq. 2, its border included (Table 2).
        high_k, high_t, low_k, low_t: K and T of the modules on high-level and low-level features.
    """

    backbone: Text
    stem: Text
    stride: Text
    residual: Text
    pretrained: Text
    width: Annotated[Number, Field(gt=0, le=4)]
    edge: Flag
    graph: Flag
    reasoning: Flag
    sampling: Flag
    deployment: Annotated[Whole, Field(ge=0, le=3)]
    pooling: Annotated[Whole, Field(ge=3, le=32)]
    high_k: Channels
    high_t: Channels
    low_k: Channels
    low_t: Channels


@dataclass(frozen=True)
class InputRecipe(Written):
    """What the network is shown.

    Attributes:
        size: side of the square input, in pixels; shards of another size are resized when read.
        small_size, small_epochs: side of the input in so many epochs of the beginning, which then take less time.
        mean, std: channel statistics, in RGB order, of pixels scaled to 0..1.
    """

    size: Annotated[Whole, Field(ge=33, le=4096)]
    mean: tuple[Mean, Mean, Mean]
    std: tuple[Deviation, Deviation, Deviation]
    small_size: Annotated[Whole, Field(ge=0, le=4096)] = 0
    small_epochs: Annotated[Whole, Field(ge=0, le=MOST)] = 0

    def __post_init__(self) -> None:
        if self.small_epochs and not 33 <= self.small_size <= self.size:
            raise ValueError(f"small_size must be from 33 to size, {self.size}, for small_epochs")


@dataclass(frozen=True)
class AugmentRecipe(Written):
    """Augmentation (paper, section 4.1): `eagrctl.data.augment.Augmentation` says what each key means.

    In the paper every sample turns (`rotated` is 1), and there is neither `mirror` nor `colour`.
    """

    distribution: Literal["uniform", "normal"]
    rotation: Annotated[Number, Field(ge=0, le=180)]
    rotated: Share
    scale: Factors
    mirror: Flag
    colour: BelowOne
    shift: BelowOne = 0.0


@dataclass(frozen=True)
class SurroundingsRecipe(Written):
    """What lies around a face, and what becomes of its photo; all of it is off unless a recipe names it.

    Attributes:
        backgrounds: prepared material of `eagrctl detector prepare`, whose photos without a face are taken; or "none".
        filled: share of the samples whose head is cut out and laid on one of them.
        spoilt: share of the samples that are made darker, grey, blurred, noisy or JPEG, as chance has it.
    """

    backgrounds: Text = "none"
    filled: Share = 0.0
    spoilt: Share = 0.0

    def __post_init__(self) -> None:
        if self.filled and self.backgrounds == "none":
            raise ValueError("filled needs backgrounds: name the folder that eagrctl detector prepare wrote")


@dataclass(frozen=True)
class SourceRecipe(Written):
    """Another dataset that a network learns from, whose classes may be others (`eagrctl.training.sources`).

    Attributes:
        data: the prepared dataset.
        share: of the samples of an epoch that are its.
        classes: for each of its classes, which of the main dataset's a pixel of it may be; `["!hair"]` is all but hair.
            A class that is not named here has no label.
        enlarged: what its faces grow by before `[augment]` scales them: 2 where they were prepared with --wider 2.
    """

    data: Text
    share: Share
    classes: dict[Text, tuple[Text, ...]]
    enlarged: Factor = 1.0


@dataclass(frozen=True)
class LossRecipe(Written):
    """The weights of Eq. 7, and of terms beside it (`eagrctl.network.loss`), which are off unless a recipe names them.

    Attributes:
        edge: lambda_1; 0 switches the term off, as Table 1 does.
        ba_loss: lambda_2.
        dice: of the Dice loss.
        lovasz: of the Lovasz softmax, which sorts the pixels of every class.
        balance: the power of a class's rarity with which its pixels weigh in the parsing term; 1 gives all classes the
            same say.
        classes: by name, what the pixels of single classes weigh besides, such as `{neck_l = 2.0}`.
    """

    edge: Weight
    ba_loss: Weight
    dice: Weight = 0.0
    lovasz: Weight = 0.0
    balance: Annotated[Number, Field(ge=0, le=1)] = 0.0
    classes: dict[Text, Weight] = field(default_factory=dict, hash=False)  # recipes are keys, and a table is not


@dataclass(frozen=True)
class TrainRecipe(Written):
    """SGD with polynomial decay (paper, section 4.2), unless a recipe asks for another optimiser.

    Attributes:
        seed: fixes initial weights, order of samples and augmentation.
        optimiser: "sgd", as in the paper, or "adamw", which takes far lower rates and pays `momentum` no heed.
        epochs: passes over the training split.
        batch: samples a step, in total.
        rate: learning rate of the first step; it decays as (1 - step / steps) ** power.
        momentum, weight_decay: of SGD.
        power: of the decay.
        warm_up: steps over which the rate first grows from 0; 0 in the paper.
        average: decay of the exponential moving average of the weights that is validated and kept as the best; 0 (the
            paper's) keeps the weights themselves.
        precision: "float32"; or on GPUs "tf32" or "bf16" (autocast), which are faster.
        compile: whether torch.compile builds the network's kernels; the first steps take minutes.
        checkpointing: keep fewer activations and compute them again, which saves memory and changes nothing else.
    """

    seed: Count
    epochs: Annotated[Whole, Field(ge=1, le=MOST)]
    # The pyramid's 1 x 1 level has one value per image and channel: batch norm has no variance over one image.
    batch: Annotated[Whole, Field(ge=2, le=MOST, description="batch norm needs two images")]
    rate: AboveZero
    momentum: BelowOne
    weight_decay: Weight
    power: Weight
    warm_up: Annotated[Whole, Field(ge=0, le=1_000 * MOST)]
    average: BelowOne
    precision: Literal["float32", "tf32", "bf16"]
    compile: Flag
    checkpointing: Flag
    optimiser: Literal["sgd", "adamw"] = "sgd"


@dataclass(frozen=True)
class Recipe(Written):
    """A whole run.

    Attributes:
        dataset: name of the dataset it is meant for; `data/NAME` is where it looks unless told otherwise.
        sources: others that it learns from besides, by name.
    """

    dataset: Text
    model: ModelRecipe
    input: InputRecipe
    augment: AugmentRecipe
    loss: LossRecipe
    train: TrainRecipe
    surroundings: SurroundingsRecipe = SurroundingsRecipe()
    sources: dict[Text, SourceRecipe] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if sum(source.share for source in self.sources.values()) > 1:
            raise ValueError("the shares of sources must not exceed 1 together")


def recipe_names() -> list[str]:
    """Names of the recipes of `Recipe` that come with eagrctl, sorted."""
    return sorted(path.stem for path in _shipped().glob("*.toml") if path.stem != DETECTOR)


def find_recipe(name: str) -> Path:
    """The file of a recipe, given by its path or by the name of one that comes with eagrctl.

    Raises:
        RecipeError: there is none.
    """
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise RecipeError(f"no recipe file at {path}")
        return path
    shipped = _shipped() / f"{name}.toml"
    if not shipped.is_file():
        raise RecipeError(
            f"no recipe is called {name!r}{did_you_mean(name, recipe_names())}; "
            f"there are {', '.join(recipe_names())}, and any path to a .toml file"
        )
    return shipped


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe file, then apply overrides such as `train.rate=2e-3`, each a line of TOML.

    Raises:
        RecipeError: unreadable or not TOML; a key that is unknown, missing or mistyped; a value out of range.
    """
    return load_recipe_as(Recipe, path, overrides)


def load_recipe_as(kind: type[Kind], path: Path, overrides: Iterable[str] = ()) -> Kind:
    """As `load_recipe`, for a recipe of another kind, such as a detector's."""
    table = read_toml(path, dict[str, Any], RecipeError)
    remedy = (
        "write it as key=value, such as train.rate=2e-3 or model.backbone='\"resnet50\"' (strings keep their quotes)"
    )
    for override in overrides:
        _merge(table, toml_table(override, f"--set {override}", RecipeError, remedy))
    return check(table, kind, str(path), RecipeError)


def changed(recipe: Recipe, **values: Any) -> Recipe:
    """The recipe with other values, such as `train={"batch": 8}`, which are checked like a file's; RecipeError."""
    table = plain(recipe)
    _merge(table, values)
    return check(table, Recipe, "the recipe", RecipeError)


def recipe_to_toml(recipe: Written) -> str:
    """A recipe of any kind as TOML that reads back unchanged."""
    table = plain(recipe)
    lines = [f"{key} = {_toml(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for section, values in table.items():
        if isinstance(values, dict):
            lines += ["", f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    # For numbers, booleans and lists of them, JSON is TOML; for strings, too, but for what it writes as two halves.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _shipped() -> Path:
    """Where the recipes are: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def _merge(table: dict[str, Any], override: Mapping[str, Any]) -> None:
    for key, value in override.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value
