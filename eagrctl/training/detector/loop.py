"""Recipe + material -> a trained detector: one loop, told from top to bottom.

The folder of a run holds `recipe.toml`, `last.pt`, with which the same command goes on, `best.safetensors`, the best so
far on validation photos, and `metrics.jsonl`, a line for each epoch. All but the first follow from `last.pt`, which is
written first, but for the best, which is written before it: a run that is killed in between writes it again.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from eagrctl.documents import Count, Number, Versioned, check, plain
from eagrctl.errors import CheckpointError, TrainingError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.faces.detection.file import DetectorAbout, load_detector, save_detector
from eagrctl.faces.detection.look import NetworkLooker, look
from eagrctl.faces.detection.network import STRIDES, DetectorNetwork, decoded
from eagrctl.files import printable, replacing, write_text, writing
from eagrctl.locks import locked
from eagrctl.recipe import load_recipe_as, recipe_to_toml
from eagrctl.tensorfile import read_tensors
from eagrctl.training.batches import rate_at
from eagrctl.training.detector.calibration import calibrate
from eagrctl.training.detector.losses import DetectorLosses, Faces, detector_losses
from eagrctl.training.detector.materials import Material, MaterialIndex, PhotoAbout
from eagrctl.training.detector.measure import Matches, match, pooled
from eagrctl.training.detector.recipe import DetectorRecipe
from eagrctl.training.detector.scenes import Scene, SceneRecipe, Stock, scene
from eagrctl.training.interrupts import interrupts, leave_signals_to_the_parent

FORMAT, VERSION = "eagrctl detector run", 1
LEAST = 0.05  # score of a box that counts in average precision
LOOK = 640  # pixels of a validation photo's longer side
COMPOSITES = 200  # scenes of the split val that are validated, too
SAVE_EVERY = 600.0  # seconds, beside every epoch
CLIP = 5.0  # norm of a step's gradient, at most


class Batch(NamedTuple):
    """Scenes of a step."""

    images: torch.Tensor  # (B, S, S, 3) uint8
    faces: Faces


class Scenes(Dataset[Scene]):
    """The scenes of a run by their number, epoch after epoch; each process reads the material itself."""

    def __init__(self, root: Path, recipe: DetectorRecipe) -> None:
        self.root, self.recipe = root, recipe
        self._stock: Stock | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "recipe": self.recipe, "_stock": None}

    def __getitem__(self, number: int) -> Scene:
        if self._stock is None:
            self._stock = Stock.of(MaterialIndex.load(self.root), "train")
        settings = self.recipe.train
        epoch, place = divmod(number, settings.per_epoch * settings.batch)
        return scene(self._stock, self.recipe.scenes, settings.seed, epoch, place)


def gathered(scenes: Sequence[Scene]) -> Batch:
    """Scenes as a batch, their faces padded with NaN."""
    boxes, points, ignored = (
        _padded([getattr(each, name) for each in scenes]) for name in ("boxes", "points", "ignored")
    )
    return Batch(torch.from_numpy(np.stack([each.image for each in scenes])), Faces(boxes, points, ignored))


def _padded(rows: Sequence[np.ndarray]) -> torch.Tensor:
    most = max(len(each) for each in rows)
    padded = np.full((len(rows), most, *rows[0].shape[1:]), np.nan, np.float32)
    for place, each in enumerate(rows):
        padded[place, : len(each)] = each
    return torch.from_numpy(padded)


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
        workers: processes that make scenes; 0 makes them in this one.
        listener: hears of progress.

    Returns:
        True when all epochs are done, False when it was interrupted; where it has come is then saved.

    Raises:
        TrainingError: the folder holds something else, or a loss is not finite.
        ShardError: the material is missing or damaged.
        CheckpointError: what there is to go on from cannot be read.
    """
    index = MaterialIndex.load(root)
    for kind in ("heads", "photos", "backgrounds"):
        if not index.count(kind, "train") or (kind == "photos" and not index.count(kind, "val")):
            raise TrainingError(f"{printable(root)} has no {kind} to learn from: prepare it again")
    with writing(folder, TrainingError):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, TrainingError, listener), interrupts(listener) as interrupted:
        return _Sitting(recipe, root, index, folder, device, workers, listener).train(interrupted)


class _Sitting:
    """One sitting of a run."""

    def __init__(
        self,
        recipe: DetectorRecipe,
        root: Path,
        index: MaterialIndex,
        folder: Path,
        device: torch.device,
        workers: int,
        listener: Listener,
    ) -> None:
        self.recipe, self.root, self.folder, self.device = recipe, root, folder, device
        self.workers, self.listener = workers, listener
        self.settings = recipe.train
        self.steps = self.settings.per_epoch * self.settings.epochs
        torch.manual_seed(self.settings.seed)
        shape = recipe.network
        self.network = DetectorNetwork(shape.widths, shape.depths, shape.neck).to(device)
        if self.settings.start != "none" and not (folder / "last.pt").is_file():
            self._start_from(Path(self.settings.start))
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
        self.validation = Validation(index, recipe.scenes, self.settings.seed, device)
        self.saved = time.monotonic()

    def _start_from(self, path: Path) -> None:
        network, about = load_detector(path)
        try:
            self.network.load_state_dict(network.state_dict())
        except RuntimeError:
            raise TrainingError(
                f"{printable(path)} has widths {about.widths}, depths {about.depths} and neck {about.neck}: "
                "give the recipe's [network] the same"
            ) from None
        self.network.calibration.copy_(torch.tensor([[1.0, 0.0]] * len(STRIDES)))

    def _begun(self) -> _State:
        """Where the folder's run has come; a new one where there is none."""
        written = self.folder / "recipe.toml"
        if not self.last.is_file():
            names = {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}
            if names - {written.name, self.best.name, "metrics.jsonl"}:
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
        sums, since, noted = torch.zeros(len(DetectorLosses._fields), device=self.device), time.monotonic(), state.step
        note = ""
        self.listener(Progress("training", state.step, self.steps))
        batches = iter(self._batches())
        while state.step < self.steps:
            sums += self._step(next(batches))
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
                ahead = f"  best AP {100 * state.best:.1f}" if state.best >= 0 else ""
                loss = float(sums[0]) / done
                note = f"epoch {epoch}/{self.settings.epochs}  loss {loss:.3f}{ahead}  {rate:.1f} scenes/s"
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

    def _batches(self) -> DataLoader[Scene]:
        size = self.settings.batch
        numbers = [list(range(step * size, (step + 1) * size)) for step in range(self.state.step, self.steps)]
        return DataLoader(
            Scenes(self.root, self.recipe),
            batch_sampler=numbers,
            num_workers=self.workers,
            collate_fn=gathered,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if self.workers else None,
            multiprocessing_context="spawn" if self.workers else None,
            worker_init_fn=leave_signals_to_the_parent,
        )

    def _step(self, batch: Any) -> torch.Tensor:
        images, faces = batch
        settings, device = self.settings, self.device
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.state.step, self.steps, settings.rate, settings.power, settings.warm_up)
        self.network.train()
        pixels = images.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        known = Faces(*(each.to(device, non_blocking=True) for each in faces))
        answers = decoded(self.network(pixels.contiguous(memory_format=torch.channels_last)))
        size = self.recipe.scenes.size
        losses = detector_losses(answers, known, (size, size), self.recipe.loss)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        return torch.stack(losses).detach()

    def _end_epoch(self, losses: Sequence[float]) -> None:
        """Validate, keep the best, save, log."""
        state = self.state
        network = self.average.module
        assert isinstance(network, DetectorNetwork)
        network.eval()
        scores = self.validation.scores(network)
        epoch = state.step // self.settings.per_epoch
        named = dict(zip(DetectorLosses._fields, losses, strict=True))
        state.lines.append({"epoch": epoch, "step": state.step, "loss": named, "val": scores})
        better = scores["ap"] > state.best
        if better:
            state.best = scores["ap"]
            shape = plain(self.recipe.network)
            about = check({**shape, "scores": scores}, DetectorAbout, "the recipe", CheckpointError)
            calibrated = self.validation.calibrated(network)
            save_detector(calibrated, about, self.best)
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


@dataclass
class Validation:
    """Photos and composites of the split val, and how a network does on them."""

    index: MaterialIndex
    recipe: SceneRecipe
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        stock = Stock.of(self.index, "val")
        self.photos = stock.photos
        only = SceneRecipe(**{**vars(self.recipe), "photos": 0.0})
        self.composites = [scene(stock, only, self.seed, 0, number) for number in range(COMPOSITES)]

    def scores(self, network: DetectorNetwork) -> dict[str, float]:
        """Average precision on real photos and on composites, and `ap`, the mean of both."""
        real = _pooled(self._on_photos(network))
        made = _pooled(self._on_composites(network))
        return {"ap": 0.5 * (real + made), "ap_photos": real, "ap_composites": made}

    def calibrated(self, network: DetectorNetwork) -> DetectorNetwork:
        """The network with scores that mean the same at all strides; see `eagrctl.training.detector.calibration`."""
        scenes = [(each.image, each.boxes, each.ignored) for each in self.composites]
        scenes += [(np.asarray(picture), boxes, ignored) for picture, boxes, ignored in map(_known, self.photos)]
        return calibrate(network, scenes)

    def _on_photos(self, network: DetectorNetwork) -> Iterator[tuple[np.ndarray, Matches, int]]:
        for material in self.photos:
            picture, boxes, ignored = _known(material)
            found = look(NetworkLooker(network), np.asarray(picture), LOOK, LEAST)
            yield found.scores, match(found.boxes, found.scores, boxes, ignored), len(boxes)

    def _on_composites(self, network: DetectorNetwork) -> Iterator[tuple[np.ndarray, Matches, int]]:
        for each in self.composites:
            found = NetworkLooker(network).see(each.image[None], LEAST)[0]
            yield found.scores, match(found.boxes, found.scores, each.boxes, each.ignored), len(each.boxes)


def _known(material: Material) -> tuple[Any, np.ndarray, np.ndarray]:
    about = material.about
    assert isinstance(about, PhotoAbout)
    boxes, ignored = (np.array(each, np.float64).reshape(-1, 4) for each in (about.boxes, about.ignored))
    return material.picture(), boxes, ignored


def _pooled(photos: Iterator[tuple[np.ndarray, Matches, int]]) -> float:
    rows = list(photos)
    return pooled([(scores, matches) for scores, matches, _ in rows], sum(faces for *_, faces in rows))
