"""A detector's training as one TOML file, as `eagrctl.recipe` has it for networks that parse faces."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from eagrctl.documents import Count, Text, Whole, Written
from eagrctl.recipe import MOST, AboveZero, BelowOne, Weight
from eagrctl.training.detector.losses import LossWeights
from eagrctl.training.scenes.composites import SceneRecipe

Width = Annotated[Whole, Field(ge=1, le=1024)]
Depth = Annotated[Whole, Field(ge=1, le=32)]


@dataclass(frozen=True)
class NetworkRecipe(Written):
    """The network; see `eagrctl.faces.detection.network.DetectorNetwork`."""

    widths: tuple[Width, Width, Width, Width, Width]
    depths: tuple[Depth, Depth, Depth]
    neck: Width


@dataclass(frozen=True)
class DetectorTrainRecipe(Written):
    """AdamW with polynomial decay.

    Attributes:
        part: which network is trained: "faces" finds faces, "points" refines the points of those that are found.
        start: the file of a detector to start from; "none" starts from random weights. The other part comes from it.
        seed: fixes initial weights, scenes and crops.
        samples: scenes, or crops of single faces, of an epoch; after each, the network is validated.
        epochs: of the run.
        batch: samples a step.
        views: steps that each batch serves; from the second on its samples are shown at another size, place and
            brightness, and mirrored. Making a sample costs more than learning from it (data echoing).
        rate: learning rate of the first step after the warm-up; it decays as (1 - step / steps) ** power.
        weight_decay: of AdamW.
        power: of the decay.
        warm_up: steps over which the rate first grows from 0.
        average: decay of the exponential moving average of the weights, which is what is validated and kept.
    """

    part: Literal["faces", "points"]
    start: Text
    seed: Count
    samples: Annotated[Whole, Field(ge=1, le=MOST)]
    epochs: Annotated[Whole, Field(ge=1, le=MOST)]
    batch: Annotated[Whole, Field(ge=2, le=4096, description="batch norm needs two images")]
    views: Annotated[Whole, Field(ge=1, le=64)]
    rate: AboveZero
    weight_decay: Weight
    power: Weight
    warm_up: Annotated[Whole, Field(ge=0, le=MOST)]
    average: BelowOne

    def __post_init__(self) -> None:
        if self.samples < self.batch:
            raise ValueError(f"samples must be at least one batch of {self.batch}, not {self.samples}")

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return self.samples // self.batch

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return self.batches * self.views


@dataclass(frozen=True)
class DetectorRecipe(Written):
    """A whole run."""

    network: NetworkRecipe
    scenes: SceneRecipe
    loss: LossWeights
    train: DetectorTrainRecipe
