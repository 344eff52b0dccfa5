"""Recipe + shards -> a trained network: one loop, told from top to bottom."""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import DataLoader

from eagrctl.checkpoint import Checkpoint, build_network, load_checkpoint, save_checkpoint
from eagrctl.data.augment import augment, draw_transforms
from eagrctl.data.dataset import FaceDataset, normalise
from eagrctl.data.edges import edge_mask
from eagrctl.data.index import ShardIndex
from eagrctl.errors import CheckpointError, TrainingError
from eagrctl.events import Notice, Progress, Report, ignore
from eagrctl.inference.predict import Predictor
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.network.loss import losses
from eagrctl.recipe import Recipe
from eagrctl.scoring.evaluate import evaluate
from eagrctl.training.interrupts import interrupts, leave_interrupts_to_the_parent
from eagrctl.training.progression import Progression
from eagrctl.training.run import Run
from eagrctl.training.schedule import Batches, rate_at
from eagrctl.weights.start import start_from_pretrained

READ_LOSS_EVERY = 10  # steps; reading makes the host wait for the device
SAVE_EVERY = 600.0  # seconds, beside every epoch


def train(
    recipe: Recipe,
    index: ShardIndex,
    run: Run,
    device: torch.device,
    workers: int = 0,
    resume: bool = False,
    report: Report = ignore,
) -> bool:
    """Train a network, or go on training it.

    Order and augmentation of the samples follow from seed, epoch and sample, and nothing else in a step is random. So
    a run that was interrupted and resumed takes the same steps as one that was not.

    Args:
        recipe: what to train; with `resume`, the recipe the run began with.
        index: a prepared dataset with the splits train and val.
        run: where checkpoints and metrics go.
        device: where the network runs.
        workers: processes that read shards; 0 reads in this one.
        resume: continue from the run's last checkpoint.
        report: hears of progress.

    Returns:
        True when all epochs are done, False when it was interrupted (SIGINT or SIGTERM); a checkpoint was then saved.

    Raises:
        TrainingError: the run's folder is taken, there are too few samples, or a loss that is not finite.
        RecipeError: the recipe describes no network, or asks for pretrained weights that nobody publishes.
        ShardError: a shard changed since it was indexed.
        CheckpointError: a checkpoint cannot be read or written, or the weights to start from do not fit.
    """
    if not resume:
        run.require_free()
    for split in ("train", "val"):
        index.verify(split, report)
    count = index.split("train").count
    if count < recipe.train.batch:
        raise TrainingError(
            f"{index.root} has {count} training samples, fewer than one batch of {recipe.train.batch}: "
            "prepare more, or lower it with --set train.batch=..."
        )
    torch.manual_seed(recipe.train.seed)
    network = build_network(recipe, len(index.classes))
    if not resume:
        start_from_pretrained(network, recipe, report)
    network = network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=recipe.train.rate,
        momentum=recipe.train.momentum,
        weight_decay=recipe.train.weight_decay,
    )
    state = Progression.beginning(device)
    if resume:
        state = _restore(run, recipe, index, network, optimiser, device)
        run.forget_after(state.step)
    else:
        run.create(recipe, index.root)
    sitting = _Sitting(recipe, index, run, device, network, optimiser, state, report)
    try:
        with interrupts(report) as interrupted:
            return sitting.train(workers, interrupted)
    except BaseException:
        run.discard_unless_saved()
        raise


@dataclass
class _Sitting:
    """What the steps of one sitting share, so that they need not hand ten things to one another."""

    recipe: Recipe
    index: ShardIndex
    run: Run
    device: torch.device
    network: EAGRNet
    optimiser: torch.optim.SGD
    state: Progression
    report: Report
    note: str = ""  # the latest figures
    saved: float = field(default_factory=time.monotonic)

    @property
    def per_epoch(self) -> int:
        """Steps an epoch."""
        return self.index.split("train").count // self.recipe.train.batch

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.per_epoch * self.recipe.train.epochs

    def train(self, workers: int, interrupted: threading.Event) -> bool:
        """Take the steps that are left. False where an interrupt cut them short."""
        settings, state = self.recipe.train, self.state
        dataset = FaceDataset(self.index, "train", self.recipe.input.size)
        batches = Batches(len(dataset), settings.batch, settings.epochs, settings.seed, state.step)
        loader = DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=leave_interrupts_to_the_parent,
        )
        self.report(Progress("training", state.step, self.steps))
        # A run interrupted between an epoch's last step and its validation owes that validation.
        if state.validated < state.step // self.per_epoch and not self._end_epoch(interrupted):
            return False
        started = time.monotonic()
        for images, labels, positions in loader:
            self._step(images, labels, positions.tolist())
            state.step += 1
            now = time.monotonic()
            state.seconds, started = state.seconds + now - started, now
            if state.step % READ_LOSS_EVERY == 0 or state.step % self.per_epoch == 0:
                self._read_loss()
            self.report(Progress("training", state.step, self.steps, self.note))
            if interrupted.is_set():
                self._save()
                return False
            if state.step % self.per_epoch == 0:
                if not self._end_epoch(interrupted):
                    return False
            elif now - self.saved > SAVE_EVERY:
                self._save()
            started = time.monotonic()
        return True

    def _step(self, images: torch.Tensor, labels: torch.Tensor, positions: list[int]) -> None:
        recipe, state = self.recipe, self.state
        epoch = state.step // self.per_epoch
        drawn = draw_transforms(recipe.train.seed, epoch, positions, recipe.augment.rotation, recipe.augment.scale)
        warped, targets = augment(
            images.to(self.device, non_blocking=True),
            labels.to(self.device, non_blocking=True),
            drawn.to(self.device, non_blocking=True),
        )
        inputs = normalise(warped, recipe.input.mean, recipe.input.std)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(state.step, self.steps, recipe.train.rate, recipe.train.power)
        self.network.train()
        terms = losses(self.network(inputs), targets, edge_mask(targets), recipe.loss.edge, recipe.loss.ba_loss)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(terms.total)
        self.optimiser.step()
        state.terms += torch.stack(terms).detach()

    def _read_loss(self) -> None:
        """Look at the loss on the host, and stop if training has broken down."""
        state = self.state
        done = (state.step - 1) % self.per_epoch + 1
        mean = float(state.terms[0]) / done
        if not math.isfinite(mean):
            raise TrainingError(
                f"the loss is not finite at step {state.step} (learning rate "
                f"{self.optimiser.param_groups[0]['lr']:.2e}): lower it with --set train.rate=..."
            )
        epoch = (state.step - 1) // self.per_epoch + 1
        best = f"  best F1 {100 * state.best:.1f}" if state.best >= 0 else ""
        self.note = f"epoch {epoch}/{self.recipe.train.epochs}  loss {mean:.3f}{best}"

    def _end_epoch(self, interrupted: threading.Event) -> bool:
        """Validate, log, keep the best, save. False where an interrupt cut it short."""
        state = self.state

        def unless_interrupted(event: Progress | Notice) -> None:
            if interrupted.is_set():
                raise _InterruptedError
            self.report(event)

        predictor = Predictor(self.network, self.recipe.input, self.device)
        try:
            scores = evaluate(predictor, self.index, "val", report=unless_interrupted).scores
        except _InterruptedError:
            self._save()
            return False
        epoch = state.step // self.per_epoch
        total, parsing, edge, boundary = (state.terms / self.per_epoch).tolist()
        named = scores.as_dict()
        self.run.log(
            {
                "epoch": epoch,
                "step": state.step,
                "rate": self.optimiser.param_groups[0]["lr"],
                "loss": {"total": total, "parsing": parsing, "edge": edge, "boundary": boundary},
                "val": named,
                "seconds": round(state.seconds, 3),
            }
        )
        state.validated = epoch
        state.terms.zero_()
        better = scores.mean_f1 > state.best
        if better:
            state.best = scores.mean_f1
            save_checkpoint(self._checkpoint(named, training=None), self.run.best)
        self._save(named)
        self.report(
            Notice(
                f"epoch {epoch}/{self.recipe.train.epochs}: loss {total:.3f}, val mean F1 {100 * scores.mean_f1:.1f}, "
                f"mIoU {100 * scores.miou:.1f}" + (" (best so far)" if better else "")
            )
        )
        return True

    def _save(self, scores: Mapping[str, float] | None = None) -> None:
        training = self.state.as_dict(self.optimiser)
        save_checkpoint(self._checkpoint(scores or {}, training), self.run.last)
        self.saved = time.monotonic()

    def _checkpoint(self, scores: Mapping[str, float], training: Mapping[str, Any] | None) -> Checkpoint:
        return Checkpoint(
            recipe=self.recipe,
            dataset=self.index.provenance.dataset,
            classes=self.index.classes,
            # Contiguous, so that a file does not depend on the memory format it was trained in.
            network={name: tensor.contiguous() for name, tensor in self.network.state_dict().items()},
            scores=scores,
            epoch=self.state.step // self.per_epoch,
            step=self.state.step,
            training=training,
        )


class _InterruptedError(Exception):
    """Validation was cut short."""


def _restore(
    run: Run, recipe: Recipe, index: ShardIndex, network: EAGRNet, optimiser: torch.optim.SGD, device: torch.device
) -> Progression:
    checkpoint = load_checkpoint(run.last)
    if checkpoint.training is None or checkpoint.recipe != recipe or checkpoint.classes != index.classes:
        raise CheckpointError(f"{run.last} belongs to another recipe or dataset: start a new run")
    network.load_state_dict(dict(checkpoint.network))
    return Progression.restored(checkpoint.training, optimiser, device)
