"""One step of training: a batch, or this process's share of one, in; new weights out."""

import inspect
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from eagrctl.data.augment import Augmentation, augment, draw, side_swaps
from eagrctl.data.dataset import normalise
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import edge_mask
from eagrctl.errors import TrainingError
from eagrctl.network.eagrnet import EAGRNet, Logits
from eagrctl.network.loss import Losses, Totals, Weights, class_weights, losses, totals
from eagrctl.recipe import Recipe
from eagrctl.training.batches import rate_at
from eagrctl.training.scenes.surroundings import Surroundings
from eagrctl.training.sources import Sources
from eagrctl.training.world import World


def pieces_needed(batch: int, processes: int, micro_batch: int | None) -> int:
    """How many micro-batches a process cuts its share into; as many in each, because they have to keep step.

    Raises:
        TrainingError: some of them would be too small for batch norm.
    """
    if batch < processes:
        raise TrainingError(f"a batch of {batch} cannot be shared out among {processes} processes: raise train.batch")
    number = 1 if micro_batch is None else math.ceil(math.ceil(batch / processes) / micro_batch)
    smallest = batch // processes // number
    # Of one image, the pyramid's 1 x 1 level has one value a channel, which has no variance; several processes' have.
    least = 2 if processes == 1 else 1
    if smallest < least:
        raise TrainingError(
            f"--micro-batch {micro_batch} cuts a batch of {batch} into pieces of {smallest}: batch norm needs "
            f"{least}, so raise it or train.batch"
        )
    return number


def loss_weights(recipe: Recipe, index: ShardIndex) -> Weights:
    """What the terms of the loss weigh, and the classes in it.

    Raises:
        TrainingError: the recipe names a class that the dataset has not, or balances classes that nobody counted.
    """
    asked, names = recipe.loss, index.classes
    classes = None
    if asked.balance or asked.classes:
        if unknown := [name for name in asked.classes if name not in names]:
            raise TrainingError(f"loss.classes names {unknown[0]!r}, which {index.root} has not: {', '.join(names)}")
        census = index.split("train").census
        if census is None:
            raise TrainingError(f"{index.root} does not tell how rare its classes are: prepare it again with --force")
        counts = [sum(census.pixels[label : label + 1]) for label in range(len(names))]
        classes = class_weights(counts, asked.balance, [asked.classes.get(name, 1.0) for name in names])
    return Weights(asked.edge, asked.ba_loss, asked.dice, asked.lovasz, classes)


def _average(decay: float, averages: Any, current: Any, count: torch.Tensor) -> None:
    """Take a step into the moving average, which forgets sooner at first: else a short run keeps what it began with."""
    young = (1 + int(count)) / (10 + int(count))
    law = get_ema_multi_avg_fn(min(decay, young))  # type: ignore[no-untyped-call]  # torch's own has no types
    law(averages, current, count)


class Stepper:
    """The network, its optimiser, and how a step is taken.

    Whatever the number of processes, a step is that of the whole batch: the loss terms are averaged over the pixels of
    all, norms share their statistics, and gradients are summed. Splitting a share further into micro-batches gives
    the same gradients but for the norms, whose statistics are then those of a micro-batch (of all processes).

    Args:
        recipe: what to train.
        network: on the world's device.
        index: what it learns from: its classes, and how rare they are.
        world: the processes.
        steps: of the whole run.
        micro_batch: the most images a process passes through the network at once; None is its whole share.

    Attributes:
        average: the averaged network, where the recipe asks for one.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: EAGRNet,
        index: ShardIndex,
        world: World,
        steps: int,
        micro_batch: int | None = None,
    ) -> None:
        self.recipe, self.network, self.index, self.world, self.steps = recipe, network, index, world, steps
        settings = recipe.train
        self.pieces = pieces_needed(settings.batch, world.size, micro_batch)
        self.augmentation = Augmentation(**asdict(recipe.augment))  # the same words in both
        self.swaps = side_swaps(index.labels).to(world.device)
        self.weights = loss_weights(recipe, index)
        asked = recipe.surroundings
        self.sources: Sources | None = None
        if recipe.sources:
            self.sources = Sources(recipe.sources, index.labels, recipe.input.size, settings.seed)
        self.sets = None if self.sources is None else self.sources.sets.to(world.device)
        self.surroundings = Surroundings(asked, settings.seed) if asked.filled or asked.spoilt else None
        common: dict[str, Any] = {"lr": settings.rate, "weight_decay": settings.weight_decay}
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.AdamW(network.parameters(), **common)
            if settings.optimiser == "adamw"
            else torch.optim.SGD(network.parameters(), momentum=settings.momentum, **common)
        )
        self.average: AveragedModel | None = None
        if settings.average:
            self.average = AveragedModel(network, multi_avg_fn=partial(_average, settings.average), use_buffers=True)
        if world.device.type == "cuda":
            # Left to itself, torch has its convolutions in TF32 and its matrix products in float32.
            fast = settings.precision != "float32"
            torch.set_float32_matmul_precision("high" if fast else "highest")
            torch.backends.cudnn.allow_tf32 = fast
        self.module: nn.Module = network
        if settings.compile:
            self.module.compile()
        if world.size > 1:
            # Norms keep the same running statistics everywhere, since they share what they are made of; no process has
            # to send them. torch 2.13 has another name for this, and warns of the old one.
            known = inspect.signature(DistributedDataParallel).parameters
            name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
            options: dict[str, Any] = {name: False}
            self.module = DistributedDataParallel(self.module, **options)

    def take(
        self, images: torch.Tensor, labels: torch.Tensor, positions: Sequence[int], step: int, epoch: int
    ) -> torch.Tensor:
        """Take one step.

        Args:
            images: this process's share of the batch, (B, 3, S, S) uint8.
            labels: (B, S, S) uint8.
            positions: the samples' places in their split.
            step: of the run, from 0.
            epoch: of the run, from 0.

        Returns:
            This process's share of the terms of `Losses`, in their order, on its device.

        Raises:
            TrainingError: the device has too little memory.
        """
        settings, device = self.recipe.train, self.world.device
        inputs, targets, edges = self._prepared(images, labels, positions, epoch)
        counts = totals(targets, edges, len(self.index.classes))
        whole = Totals(*self.world.sum(torch.stack(counts)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(step, self.steps, settings.rate, settings.power, settings.warm_up)
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        terms = torch.zeros(len(Losses._fields), device=device)
        bounds = np.linspace(0, len(images), self.pieces + 1).round().astype(int).tolist()
        pieces = [slice(start, end) for start, end in pairwise(bounds)]
        try:
            for number, piece in enumerate(pieces):
                with self._sums_later(number < len(pieces) - 1):
                    logits = self._forward(inputs[piece])
                    share = losses(logits, targets[piece], edges[piece], self.weights, whole, self.sets)
                    # Distributed training averages gradients, where shares of one loss are to be summed.
                    torch.autograd.backward(share.total * self.world.size)
                terms += torch.stack(share).detach()
        except torch.OutOfMemoryError:
            most = max(piece.stop - piece.start for piece in pieces)
            remedy = f"add --micro-batch {most // 2}" if most > 1 else "set train.checkpointing=true or a smaller input"
            raise TrainingError(
                f"{device} has too little memory for {most} images of {self.recipe.input.size} x "
                f"{self.recipe.input.size} at once: {remedy}"
            ) from None
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return terms

    @property
    def validated(self) -> EAGRNet:
        """The network that is validated and kept: the averaged one, where there is one."""
        if self.average is None:
            return self.network
        averaged = self.average.module
        assert isinstance(averaged, EAGRNet)
        return averaged

    def _prepared(
        self, images: torch.Tensor, labels: torch.Tensor, positions: Sequence[int], epoch: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Augmented and normalised images, labels, and edges derived from them, on the device."""
        device = self.world.device
        drawn = draw(self.recipe.train.seed, epoch, positions, self.augmentation)
        if self.sources is not None:
            images, labels, enlarged = self.sources.among(images, labels, positions, epoch)
            drawn = drawn._replace(transforms=drawn.transforms / enlarged[:, None, None])
        drawn = type(drawn)(*(each.to(device, non_blocking=True) for each in drawn))
        labels = labels.to(device, non_blocking=True)
        warped, targets = augment(images.to(device, non_blocking=True), labels, drawn, self.swaps, self._size(epoch))
        if self.surroundings is not None:
            warped, targets = self.surroundings.around(warped, targets, labels, drawn.transforms, epoch, positions)
        inputs = normalise(warped, self.recipe.input.mean, self.recipe.input.std)
        return inputs.contiguous(memory_format=torch.channels_last), targets, edge_mask(targets)

    def _size(self, epoch: int) -> int:
        """Side of the input in an epoch."""
        asked = self.recipe.input
        return asked.small_size if epoch < asked.small_epochs else asked.size

    def _forward(self, inputs: torch.Tensor) -> Logits:
        mixed = self.recipe.train.precision == "bf16" and self.world.device.type == "cuda"
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
            logits: Logits = self.module(inputs)
        return Logits(logits.parsing.float(), None if logits.edges is None else logits.edges.float())

    def _sums_later(self, later: bool) -> AbstractContextManager[None]:
        """Leave the gradients of a micro-batch in this process until those of the last are there."""
        return self.module.no_sync() if later and isinstance(self.module, DistributedDataParallel) else nullcontext()
