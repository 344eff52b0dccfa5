"""Recipes: a whole training run as one TOML file.

Every number of the science stands in the file; nothing hides as a default in code, so every key is required. GPUs,
paths and workers are no science: they are flags of the command line.
"""

import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from eagrctl.errors import RecipeError, did_you_mean


@dataclass(frozen=True)
class ModelRecipe:
    """The network (paper, section 4.2): see `eagrctl.network.eagrnet.EAGRNet`, which says what each switch leaves.

    Attributes:
        backbone: "resnet18", "resnet50" or "resnet101".
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

    backbone: str
    stem: str
    stride: str
    residual: str
    pretrained: str
    width: float
    edge: bool
    graph: bool
    reasoning: bool
    sampling: bool
    deployment: int
    pooling: int
    high_k: int
    high_t: int
    low_k: int
    low_t: int

    def __post_init__(self) -> None:
        _require(0 < self.width <= 4, "model.width", "above 0 and at most 4", self.width)
        _require(0 <= self.deployment <= 3, "model.deployment", "0, 1, 2 or 3 modules", self.deployment)
        _require(3 <= self.pooling <= 32, "model.pooling", "from 3 to 32", self.pooling)
        for name in ("high_k", "high_t", "low_k", "low_t"):
            _require(getattr(self, name) >= 1, f"model.{name}", "at least 1", getattr(self, name))


@dataclass(frozen=True)
class InputRecipe:
    """What the network is shown.

    Attributes:
        size: side of the square input, in pixels; shards of another size are resized when read.
        mean, std: channel statistics, in RGB order, of pixels scaled to 0..1.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        _require(33 <= self.size <= 4096, "input.size", "from 33 to 4096", self.size)
        _require(min(self.std) > 0, "input.std", "above 0", self.std)


@dataclass(frozen=True)
class AugmentRecipe:
    """Augmentation (paper, section 4.1): see `eagrctl.data.augment.Augmentation`.

    Attributes:
        distribution: "uniform" (the paper's) or "normal" (the released code's) angles and factors.
        rotation: degrees; uniform angles lie in (-rotation, rotation), normal ones have this deviation and are cut off
            at twice as much.
        rotated: share of the samples that turn at all; 1.0 in the paper.
        scale: factors lie between these two; normal ones have half their difference as deviation.
        mirror: mirror half of the samples, left and right labels swapped. Not in the paper.
        colour: brightness, contrast and saturation change by factors in 1 - colour .. 1 + colour. Not in the paper.
    """

    distribution: str
    rotation: float
    rotated: float
    scale: tuple[float, float]
    mirror: bool
    colour: float

    def __post_init__(self) -> None:
        laws = ("uniform", "normal")
        _require(self.distribution in laws, "augment.distribution", " or ".join(map(repr, laws)), self.distribution)
        _require(0 <= self.rotation <= 180, "augment.rotation", "from 0 to 180 degrees", self.rotation)
        _require(0 <= self.rotated <= 1, "augment.rotated", "from 0 to 1", self.rotated)
        _require(0 < self.scale[0] <= self.scale[1], "augment.scale", "[low, high] with 0 < low <= high", self.scale)
        _require(0 <= self.colour < 1, "augment.colour", "from 0 to below 1", self.colour)


@dataclass(frozen=True)
class LossRecipe:
    """The weights of Eq. 7: `edge` is lambda_1, `ba_loss` is lambda_2. 0 switches a term off, as Table 1 does."""

    edge: float
    ba_loss: float

    def __post_init__(self) -> None:
        for name in ("edge", "ba_loss"):
            _require(getattr(self, name) >= 0, f"loss.{name}", "0 or more", getattr(self, name))


@dataclass(frozen=True)
class TrainRecipe:
    """SGD with polynomial decay (paper, section 4.2).

    Attributes:
        seed: fixes initial weights, order of samples and augmentation.
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

    seed: int
    epochs: int
    batch: int
    rate: float
    momentum: float
    weight_decay: float
    power: float
    warm_up: int
    average: float
    precision: str
    compile: bool
    checkpointing: bool

    def __post_init__(self) -> None:
        _require(self.seed >= 0, "train.seed", "0 or more", self.seed)
        _require(self.epochs >= 1, "train.epochs", "at least 1", self.epochs)
        # The pyramid's 1 x 1 level has one value per image and channel: batch norm has no variance over one image.
        _require(self.batch >= 2, "train.batch", "at least 2 (batch norm needs two images)", self.batch)
        _require(self.rate > 0, "train.rate", "above 0", self.rate)
        _require(0 <= self.momentum < 1, "train.momentum", "from 0 to below 1", self.momentum)
        _require(self.weight_decay >= 0, "train.weight_decay", "0 or more", self.weight_decay)
        _require(self.power >= 0, "train.power", "0 or more", self.power)
        _require(self.warm_up >= 0, "train.warm_up", "0 steps or more", self.warm_up)
        _require(0 <= self.average < 1, "train.average", "from 0 to below 1", self.average)
        kinds = ("float32", "tf32", "bf16")
        _require(self.precision in kinds, "train.precision", " or ".join(map(repr, kinds)), self.precision)


@dataclass(frozen=True)
class Recipe:
    """A whole run.

    Attributes:
        dataset: name of the dataset it is meant for; `data/NAME` is where it looks unless told otherwise.
    """

    dataset: str
    model: ModelRecipe
    input: InputRecipe
    augment: AugmentRecipe
    loss: LossRecipe
    train: TrainRecipe


def recipe_names() -> list[str]:
    """Names of the recipes that come with eagrctl, sorted."""
    return sorted(path.stem for path in _shipped().glob("*.toml"))


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
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is not TOML: {error}") from error
    for override in overrides:
        try:
            _merge(table, tomllib.loads(override))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(
                f"--set {override!r} is not TOML: write it as key=value, such as train.rate=2e-3 "
                f"or model.backbone='\"resnet50\"' (strings keep their quotes)"
            ) from error
    return recipe_from_dict(table, source=str(path))


def recipe_from_dict(table: Mapping[str, Any], source: str) -> Recipe:
    """Build a recipe from nested dictionaries; `source` names their origin in messages.

    Raises:
        RecipeError: a key that is unknown, missing or mistyped; a value out of range.
    """
    recipe: Recipe = _build(Recipe, table, source, prefix="")
    return recipe


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dictionaries of plain values: what a checkpoint holds."""
    return {
        name: {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in asdict(recipe).items()
    }


def recipe_to_toml(recipe: Recipe) -> str:
    """The recipe as TOML that `load_recipe` reads back unchanged."""
    table = recipe_to_dict(recipe)
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for section, values in table.items():
        if isinstance(values, dict):
            # For strings, numbers, booleans and lists of them, JSON is TOML.
            lines += ["", f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _shipped() -> Path:
    """Where the recipes are: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def _build(kind: Any, table: Mapping[str, Any], source: str, prefix: str) -> Any:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for key in table:
        if key not in names:
            raise RecipeError(f"{source}: unknown key '{prefix}{key}'{did_you_mean(key, names)}")
    values: dict[str, Any] = {}
    for name in names:
        key, hint = f"{prefix}{name}", hints[name]
        if name not in table:
            what = "section" if is_dataclass(hint) else "key"
            raise RecipeError(f"{source}: missing {what} '{key}'; a recipe is whole, so add it")
        if is_dataclass(hint):
            if not isinstance(table[name], Mapping):
                raise RecipeError(f"{source}: '{key}' must be a section, [{key}]")
            values[name] = _build(hint, table[name], source, f"{key}.")
        else:
            values[name] = _value(table[name], hint, key, source)
    try:
        return kind(**values)
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from None


def _value(value: Any, hint: Any, key: str, source: str) -> Any:
    if isinstance(hint, types.GenericAlias):
        parts = typing.get_args(hint)
        if isinstance(value, list | tuple) and len(value) == len(parts):
            return tuple(_value(item, part, key, source) for item, part in zip(value, parts, strict=True))
        raise RecipeError(f"{source}: '{key}' must be a list of {len(parts)} numbers, not {value!r}")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # In Python True is an integer; in a recipe it is a mistake.
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        wanted = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}[hint]
        raise RecipeError(f"{source}: '{key}' must be {wanted}, not {value!r}")
    return value


def _require(holds: bool, key: str, rule: str, value: object) -> None:
    if not holds:
        raise RecipeError(f"'{key}' must be {rule}, not {value}")


def _merge(table: dict[str, Any], override: Mapping[str, Any]) -> None:
    for key, value in override.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value
