"""Recipe + shards -> a trained network: one loop, told from top to bottom."""

import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.inference.predict import Segmenter
from eagrctl.network.loss import Losses
from eagrctl.recipe import Recipe
from eagrctl.scoring.evaluate import evaluate
from eagrctl.scoring.examples import examples_sheet
from eagrctl.scoring.scores import Scores, score
from eagrctl.training.batches import Batches, rate_at, read_batches, steps_of
from eagrctl.training.doubts import doubts
from eagrctl.training.interrupts import StoppedError, interrupts, until
from eagrctl.training.progression import Pace, Progression, resumed
from eagrctl.training.run import TENSORBOARD, Run
from eagrctl.training.step import Stepper
from eagrctl.training.tensorboard import TensorBoardLog
from eagrctl.training.world import World
from eagrctl.weights.start import start_from_pretrained

READ_EVERY = 10  # steps on a GPU; reading a loss makes the host wait for it. On a CPU there is nothing to wait for.
SAVE_EVERY = 600.0  # seconds, beside every epoch
PICTURES = 4  # faces that TensorBoard shows


def train(
    recipe: Recipe,
    index: ShardIndex,
    run: Run,
    world: World,
    workers: int = 0,
    micro_batch: int | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    listener: Listener = ignore,
) -> bool:
    """Train a network, or go on training it.

    Order and augmentation of the samples follow from seed, epoch and sample, and nothing else in a step is random. So
    a run that was interrupted and resumed takes the same steps as one that was not, and several processes take the
    same steps as one, to float32's rounding.

    Args:
        recipe: what to train; with `resume`, the recipe the run began with.
        index: a prepared dataset with the splits train and val.
        run: where checkpoints and metrics go.
        world: the processes that train together; each of them calls this.
        workers: processes that read shards for this one; 0 reads in it.
        micro_batch: the most images that pass through a process's network at once; None is its share of the batch.
        resume: continue from the run's last checkpoint.
        tensorboard: write curves and pictures for TensorBoard into the run's folder, too.
        listener: hears of progress.

    Returns:
        True when all epochs are done, False when it was interrupted (SIGINT or SIGTERM); a checkpoint was then saved.

    Raises:
        TrainingError: the run's folder is taken, there are too few samples, too little memory, or a loss that is not
            finite.
        RecipeError: the recipe describes no network, or asks for pretrained weights that nobody publishes.
        ShardError: a shard changed since it was indexed, or cannot be read.
        CheckpointError: a checkpoint cannot be read or written, or the weights to start from do not fit.
    """
    steps = steps_of(recipe, index)
    with ExitStack() as stack:

        def begin() -> None:
            stack.enter_context(run.taken(recipe, index.root, resume, listener))
            for doubt in doubts(recipe, steps, world.device.type == "cuda"):
                listener(Notice(f"{doubt[0].upper()}{doubt[1:]}.", warning=True))
            for split in ("train", "val"):
                index.check(split, listener)

        world.agreed(begin)
        torch.manual_seed(recipe.train.seed)
        network = build_network(recipe, len(index.classes))
        if not resume:
            # One process of a machine fetches what it starts from; the others then find it.
            if world.local == 0:
                start_from_pretrained(network, recipe, listener)
            world.wait()
            if world.local != 0:
                start_from_pretrained(network, recipe)
        network = network.to(world.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        stepper = Stepper(recipe, network, index, world, steps, micro_batch)
        state = Progression()
        if resume:
            # The first process first: where there is nothing to go on from, it alone says so.
            first = world.agreed(lambda: resumed(run, recipe, index.classes, stepper, listener))
            state = first or resumed(run, recipe, index.classes, stepper)
            world.wait()  # until all have read what the first will write anew
            if world.first:
                run.go_on_from(state.step)
                listener(Notice(f"Going on from step {state.step:,} of {steps:,}"))
        elif world.first:
            if run.about.is_file():
                kept = f"; its best.pt is kept as {run.earlier.name}" if run.outlived() else ""
                listener(Notice(f"{run.folder} has no checkpoint to go on from: it starts over{kept}"))
            run.create(recipe, index.root)
        shown = tensorboard and world.first
        with (
            closing(TensorBoardLog(run.folder / TENSORBOARD, state.step)) if shown else nullcontext() as log,
            interrupts(listener, again=world.size == 1) as interrupted,
        ):
            return _Sitting(recipe, index, run, world, stepper, state, listener, log).train(workers, interrupted)


@dataclass
class _Sitting:
    """What the steps of one sitting share, so that they need not hand ten things to one another."""

    recipe: Recipe
    index: ShardIndex
    run: Run
    world: World
    stepper: Stepper
    state: Progression
    listener: Listener
    log: TensorBoardLog | None
    note: str = ""  # the latest figures
    saved: float = field(default_factory=time.monotonic)
    unread: list[torch.Tensor] = field(default_factory=list)  # this process's loss terms, of steps not looked at yet

    def __post_init__(self) -> None:
        settings = self.recipe.train
        count = self.index.split("train").count
        self.batches = Batches(
            count, settings.batch, settings.epochs, settings.seed, self.state.step, share=self.world.share
        )
        self.per_epoch = self.batches.per_epoch
        self.steps = self.per_epoch * settings.epochs
        self.read_every = READ_EVERY if self.world.device.type == "cuda" else 1
        self.pace = Pace(self.state, settings.batch, self.world.device)

    def train(self, workers: int, interrupted: threading.Event) -> bool:
        """Take the steps that are left. False where an interrupt cut them short."""
        state = self.state
        self.listener(Progress("training", state.step, self.steps))
        # A run killed between a checkpoint and its line in the metrics owes that line.
        if state.line is not None and state.line["epoch"] not in {epoch.epoch for epoch in self.run.epochs()}:
            self._log(state.line)
        # A run interrupted between an epoch's last step and its validation owes that validation.
        if state.validated < state.step // self.per_epoch and not self._end_epoch(interrupted):
            return False
        if state.step == self.steps:
            return True
        loader = iter(read_batches(self.recipe, self.index, self.batches, self.world, workers))
        asked = time.monotonic()
        while state.step < self.steps:
            images, labels, positions = next(loader)
            received = time.monotonic()
            epoch = state.step // self.per_epoch
            self.unread.append(self.stepper.take(images, labels, positions.tolist(), state.step, epoch))
            state.step += 1
            self.listener(Progress("training", state.step, self.steps, self.note))
            ends_epoch = state.step % self.per_epoch == 0
            stop = False
            if state.step % self.read_every == 0 or ends_epoch:
                stop = self._look(interrupted)
            now = time.monotonic()
            state.seconds, state.waited = state.seconds + now - asked, state.waited + received - asked
            if stop:
                return self._stopped()
            if ends_epoch:
                if not self._end_epoch(interrupted):
                    return False
                self.pace.restart()
            elif not self.unread and now - self.saved > SAVE_EVERY:  # or the saved sums would lack some losses
                self._save()
            asked = time.monotonic()
        return True

    def _look(self, interrupted: threading.Event) -> bool:
        """Read the losses since the last look, on the host; stop if training has broken down.

        Returns whether any process was asked to stop: all of them have to, after the same step.
        """
        state = self.state
        own = torch.stack(self.unread).cpu()
        first = state.step - len(self.unread)
        self.unread.clear()
        for step, terms in enumerate(own, start=first):
            if not bool(terms.isfinite().all()):
                raise TrainingError(self._broken(step))
        asked = torch.tensor([float(interrupted.is_set())], dtype=torch.float64)
        gathered = self.world.sum(torch.cat([own.double().sum(dim=0), asked])).cpu()
        state.terms += gathered[:-1]
        mean = float(state.terms[0]) / ((state.step - 1) % self.per_epoch + 1)
        best = f"  best F1 {100 * state.best:.1f}" if state.best >= 0 else ""
        epoch = (state.step - 1) // self.per_epoch + 1
        self.note = f"epoch {epoch}/{self.recipe.train.epochs}  loss {mean:.3f}{best}  {self.pace.told()}"
        return bool(gathered[-1] > 0)

    def _broken(self, step: int) -> str:
        """What to say of a step whose loss is not finite."""
        settings = self.recipe.train
        rate = rate_at(step, self.steps, settings.rate, settings.power, settings.warm_up)
        names = [self.index.read("train", position).name for position in self.batches.at(step)]
        return (
            f"the loss is not finite at step {step + 1} (learning rate {rate:.2e}; samples {', '.join(names)}): "
            "check them with eagrctl dataset verify, or lower the rate with --set train.rate=..."
        )

    def _end_epoch(self, interrupted: threading.Event) -> bool:
        """Validate, keep the best, save, log. False where an interrupt cut it short."""
        state = self.state
        network = self.stepper.validated
        predictor = Segmenter(network, self.recipe.input, self.world.device)
        scores = validate(predictor, self.index, self.world, interrupted, self.listener)
        if scores is None:
            return self._stopped()
        epoch = state.step // self.per_epoch
        named = scores.as_dict()
        state.validated = epoch
        loss = dict(zip(Losses._fields, (state.terms / self.per_epoch).tolist(), strict=True))
        state.terms.zero_()
        better = scores.mean_f1 > state.best
        if better:
            state.best = scores.mean_f1
        state.line = {
            "epoch": epoch,
            "step": state.step,
            "rate": self.stepper.optimiser.param_groups[0]["lr"],
            "loss": loss,
            "val": named,
            "seconds": round(state.seconds, 3),
            "waiting": round(state.waited, 3),
        }
        # Killed between any two of these, the run goes on as if it had not been (`Run` says how).
        if better and self.world.first:
            save_checkpoint(self._checkpoint(named, network, training=None), self.run.best)
        self._save(named)
        self._log(state.line)
        self.listener(
            Notice(
                f"epoch {epoch}/{self.recipe.train.epochs}: loss {loss['total']:.3f}, "
                f"val mean F1 {100 * scores.mean_f1:.1f}, mIoU {100 * scores.miou:.1f}"
                + (" (best so far)" if better else "")
            )
        )
        return True

    def _log(self, line: Mapping[str, Any]) -> None:
        """Write an epoch's figures for people."""
        if not self.world.first:
            return
        if self.log:
            predictor = Segmenter(self.stepper.validated, self.recipe.input, self.world.device)
            self.log.epoch(line["step"], line, examples_sheet(predictor, self.index, "val", PICTURES))
        self.run.log(line)

    def _stopped(self) -> bool:
        """Save, and leave together: a process that ends before the others takes them with it."""
        self._save()
        self.world.wait()
        return False

    def _save(self, scores: Mapping[str, float] | None = None) -> None:
        self.saved = time.monotonic()
        if not self.world.first:
            return
        training = self.state.as_dict(self.stepper)
        self.run.keep_last(self._checkpoint(scores or {}, self.stepper.network, training))

    def _checkpoint(
        self, scores: Mapping[str, float], network: torch.nn.Module, training: Mapping[str, Any] | None
    ) -> Checkpoint:
        return Checkpoint(
            recipe=self.recipe,
            dataset=self.index.provenance.dataset,
            classes=self.index.classes,
            # Contiguous, so that a file does not depend on the memory format it was trained in.
            network={name: tensor.contiguous() for name, tensor in network.state_dict().items()},
            scores=scores,
            epoch=self.state.step // self.per_epoch,
            step=self.state.step,
            training=training,
        )


def validate(
    predictor: Segmenter, index: ShardIndex, world: World, interrupted: threading.Event, listener: Listener
) -> Scores | None:
    """Score the split val: each process predicts its share, and all learn the scores; None if any was interrupted.

    Raises:
        ShardError: a shard cannot be read.
    """
    own = world.share(range(index.split("val").count))
    counts = torch.zeros(len(index.classes), len(index.classes), dtype=torch.int64)
    stopped = torch.zeros(1)
    try:
        counted = evaluate(predictor, index, "val", positions=own, listener=until(interrupted, listener))
        counts = torch.from_numpy(counted.counts)
    except StoppedError:
        stopped += 1
    # All processes come here, interrupted or not, and leave together.
    if float(world.sum(stopped)) > 0:
        return None
    return score(world.sum(counts).cpu().numpy(), index.labels)
