"""Recipe + material -> a trained detector: one loop for both of its networks, told from top to bottom.

The folder of a run holds `recipe.toml`, `last.pt`, with which the same command goes on, `best.safetensors`, the best so
far on validation photos, and `metrics.jsonl`, a line for each epoch. All but the first follow from `last.pt`, which is
written first, but for the best, which is written before it: a run that is killed in between writes it again.
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from eagrctl.documents import Count, Number, Versioned, check
from eagrctl.errors import CheckpointError, TrainingError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.faces.detection.file import load_detector, save_detector
from eagrctl.files import printable, replacing, write_text, writing
from eagrctl.locks import locked
from eagrctl.recipe import load_recipe_as, recipe_to_toml
from eagrctl.tensorfile import read_tensors
from eagrctl.training.batches import rate_at
from eagrctl.training.detector.parts import Part, open_part
from eagrctl.training.detector.recipe import DetectorRecipe
from eagrctl.training.interrupts import interrupts, leave_signals_to_the_parent

FORMAT, VERSION = "eagrctl detector run", 1
SAVE_EVERY = 600.0  # seconds, beside every epoch
CLIP = 5.0  # norm of a step's gradient, at most


@dataclass
class _State(Versioned):
    """How far a run has come."""

    marks: ClassVar[Mapping[str, str | int]] = {"format": FORMAT, "version": VERSION}

    step: Count = 0
    best: Number = -1.0
    seconds: Number = 0.0
    lines: list[dict[str, Any]] = field(default_factory=list)


def train_detector(
    recipe: DetectorRecipe,
    root: Path,
    folder: Path,
    device: torch.device,
    workers: int = 0,
    listener: Listener = ignore,
) -> bool:
    """Train a detector, or go on training it.

    What a step does follows from the recipe, the material and its number alone, so a run that was interrupted and goes
    on takes the same steps as one that was not.

    Args:
        recipe: what to train.
        root: prepared material.
        folder: of the run.
        device: where it trains.
        workers: processes that make scenes or crops; 0 makes them in this one.
        listener: hears of progress.

    Returns:
        True when all epochs are done, False when it was interrupted; where it has come is then saved.

    Raises:
        TrainingError: the folder holds something else, or a loss is not finite.
        ShardError: the material is missing or damaged.
        CheckpointError: what there is to go on from cannot be read.
    """
    start = None if recipe.train.start == "none" else load_detector(Path(recipe.train.start))
    torch.manual_seed(recipe.train.seed)
    part = open_part(recipe, root, start)
    with writing(folder, TrainingError):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, TrainingError, listener), interrupts(listener) as interrupted:
        return _Sitting(recipe, part, folder, device, workers, listener).train(interrupted)


class _Sitting:
    """One sitting of a run."""

    def __init__(
        self,
        recipe: DetectorRecipe,
        part: Part,
        folder: Path,
        device: torch.device,
        workers: int,
        listener: Listener,
    ) -> None:
        self.recipe, self.part, self.folder, self.device = recipe, part, folder, device
        self.workers, self.listener = workers, listener
        self.settings = recipe.train
        self.steps = self.settings.per_epoch * self.settings.epochs
        self.network = part.network.to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        law = get_ema_multi_avg_fn(self.settings.average)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.network, multi_avg_fn=law, use_buffers=True)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.settings.rate,
            weight_decay=self.settings.weight_decay,
            fused=device.type == "cuda",
        )
        self.last, self.best = folder / "last.pt", folder / "best.safetensors"
        self.state = self._begun()
        self.saved = time.monotonic()

    def _begun(self) -> _State:
        """Where the folder's run has come; a new one where there is none."""
        written = self.folder / "recipe.toml"
        if not self.last.is_file():
            names = {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}
            other = written.is_file() and written.read_bytes() != recipe_to_toml(self.recipe).encode()
            if other or names - {written.name, self.best.name, "metrics.jsonl"}:
                raise TrainingError(f"{printable(self.folder)} holds something else: name another folder with --output")
            write_text(recipe_to_toml(self.recipe), written)
            return _State()
        contents = read_tensors(self.last).contents
        state = check(contents, _State, printable(self.last), CheckpointError, "name another folder with --output")
        if load_recipe_as(DetectorRecipe, written) != self.recipe:
            raise TrainingError(
                f"{printable(self.folder)} holds a run of another recipe: name another folder with --output"
            )
        try:
            self.network.load_state_dict(contents["network"])
            self.average.load_state_dict(contents["average"])
            self.optimiser.load_state_dict(contents["optimiser"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{printable(self.last)} cannot be gone on with ({reason}): start anew") from None
        self.listener(Notice(f"Going on from step {state.step:,} of {self.steps:,}"))
        return state

    def train(self, interrupted: threading.Event) -> bool:
        """Take the steps that are left. False where an interrupt cut them short."""
        state, per_epoch = self.state, self.settings.per_epoch
        sums, since, noted = torch.zeros(len(self.part.terms), device=self.device), time.monotonic(), state.step
        note = ""
        self.listener(Progress("training", state.step, self.steps))
        batches, batch = iter(self._batches()), None
        while state.step < self.steps:
            if batch is None or state.step % self.settings.views == 0:
                batch = next(batches)
            sums += self._step(batch)
            state.step += 1
            ends = state.step % per_epoch == 0
            if state.step % 10 == 0 or ends:
                now, done = time.monotonic(), (state.step - 1) % per_epoch + 1
                if not bool(sums.isfinite().all()):
                    raise TrainingError(
                        f"the loss is not finite by step {state.step}: lower the rate with --set train.rate=..."
                    )
                rate = (state.step - noted) * self.settings.batch / max(now - since, 1e-9)
                epoch = (state.step - 1) // per_epoch + 1
                ahead = f"  best {100 * state.best:.1f}" if state.best >= 0 else ""
                loss = float(sums[0]) / done
                note = f"epoch {epoch}/{self.settings.epochs}  loss {loss:.3f}{ahead}  {rate:.1f} samples/s"
                state.seconds += now - since
                since, noted = now, state.step
            self.listener(Progress("training", state.step, self.steps, note))
            if ends:
                self._end_epoch((sums / per_epoch).tolist())
                sums.zero_()
                since, noted = time.monotonic(), state.step
            elif interrupted.is_set() or time.monotonic() - self.saved > SAVE_EVERY:
                self._save()
            if interrupted.is_set():
                return state.step == self.steps
        return True

    def _batches(self) -> DataLoader[Any]:
        size, views = self.settings.batch, self.settings.views
        first, end = self.state.step // views, self.steps // views
        numbers = [list(range(batch * size, (batch + 1) * size)) for batch in range(first, end)]
        return DataLoader(
            self.part.samples,
            batch_sampler=numbers,
            num_workers=self.workers,
            collate_fn=self.part.gathered,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if self.workers else None,
            multiprocessing_context="spawn" if self.workers else None,
            worker_init_fn=leave_signals_to_the_parent,
        )

    def _step(self, batch: Any) -> torch.Tensor:
        settings = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.state.step, self.steps, settings.rate, settings.power, settings.warm_up)
        self.network.train()
        random = None
        if self.state.step % settings.views:
            random = torch.Generator().manual_seed((settings.seed << 32) + self.state.step)
        terms = self.part.cost(self.network, batch, self.device, random)
        self.optimiser.zero_grad(set_to_none=True)
        terms[0].backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        return terms.detach()

    def _end_epoch(self, losses: Sequence[float]) -> None:
        """Validate, keep the best, save, log."""
        state = self.state
        network = self.average.module.eval()
        scores = self.part.scores(network)
        epoch = state.step // self.settings.per_epoch
        named = dict(zip(self.part.terms, losses, strict=True))
        seconds = round(state.seconds, 1)
        state.lines.append({"epoch": epoch, "step": state.step, "loss": named, "val": scores, "seconds": seconds})
        merit = next(iter(scores.values()))
        better = merit > state.best
        if better:
            state.best = merit
            save_detector(self.part.kept(network, scores), self.best)
        self._save()
        told = ", ".join(f"{name} {100 * value:.1f}" for name, value in scores.items())
        note = " (best so far)" if better else ""
        self.listener(Notice(f"epoch {epoch}/{self.settings.epochs}: loss {losses[0]:.3f}; val {told}{note}"))

    def _save(self) -> None:
        self.saved = time.monotonic()
        contents = {
            **_State.marks,
            **vars(self.state),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        with writing(self.last, CheckpointError), replacing(self.last) as temporary:
            torch.save(contents, temporary)
        write_text("".join(f"{json.dumps(line)}\n" for line in self.state.lines), self.folder / "metrics.jsonl")
