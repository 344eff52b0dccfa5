"""An ablation in a folder: which variants are trained and scored, and what they score. Everything is read from disk.

The folder holds a run for each training, `NAME/`, and in it, once it is evaluated, `scores.json` with the confusion
matrix. So the same command finds what is done, and goes on with the rest.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eagrctl import __version__
from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.documents import Count, Versioned, read_json_or_none
from eagrctl.drawing.chart import Chart
from eagrctl.drawing.figures import label_figure
from eagrctl.errors import RecipeError, TrainingError
from eagrctl.events import Listener, ignore, tracked
from eagrctl.files import remove_stale, write_text, writing
from eagrctl.inference.predict import Segmenter
from eagrctl.locks import locked
from eagrctl.paper.variants import Plan, Study, Training
from eagrctl.recipe import load_recipe
from eagrctl.scoring.evaluate import check_classes, evaluate
from eagrctl.scoring.examples import Example, examples_of, spread
from eagrctl.scoring.scores import Scores, score
from eagrctl.training.batches import steps_of
from eagrctl.training.run import Run


@dataclass(frozen=True)
class _Scored(Versioned):
    """What is read of scores.json: on which faces, and the confusion matrix."""

    faces: dict[str, Any]
    confusion: tuple[tuple[Count, ...], ...]


@dataclass(frozen=True)
class Ablation:
    """An ablation, planned and in its folder.

    Attributes:
        plan: what is to be trained.
        folder: of the runs and tables.
        index: the data.
        split: what is scored.
    """

    plan: Plan
    folder: Path
    index: ShardIndex
    split: str

    def run(self, training: Training) -> Run:
        """The run of a training, begun or not."""
        return Run(self.folder / training.name)

    def check(self) -> None:
        """Refuse a folder whose runs are of another recipe or another dataset.

        Raises:
            TrainingError: one is.
        """
        for training in self.plan.all:
            run = self.run(training)
            if not run.saved:
                continue
            try:
                same = load_recipe(run.recipe) == training.recipe and run.data() == self.index.root.absolute()
            except RecipeError:
                same = False
            if not same:
                raise TrainingError(
                    f"{run.folder} was trained by another recipe or on other data than this command asks for: "
                    "name another folder with --output"
                )

    def begin(self, training: Training) -> bool:
        """Make way for a training.

        Returns:
            Whether its run is there already, and goes on.

        Raises:
            TrainingError: somebody else is at it.
        """
        run = self.run(training)
        if run.state == "running":
            raise TrainingError(f"{run.folder} is being trained by another process: wait, or stop it")
        if run.recipe.is_file():  # not somebody else's folder
            run.discard_unless_saved()  # as a run leaves it that is killed before its first checkpoint
        return bool(run.saved)

    @contextmanager
    def taken(self, listener: Listener = ignore) -> Iterator[None]:
        """Have the folder to oneself, cleared of what killed processes left half written.

        Raises:
            TrainingError: another process is at it, or it cannot be written.
        """
        with writing(self.folder, TrainingError):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.folder, TrainingError, listener):
                for training in self.plan.all:
                    remove_stale(self.run(training).folder)
                yield
        finally:
            with suppress(OSError):
                self.folder.rmdir()  # where nothing is in it

    def steps_left(self, training: Training) -> int:
        """Steps that a training still has to take, counted from its last validation."""
        logged = self.run(training).epochs()
        return steps_of(training.recipe, self.index) - (logged[-1].step if logged else 0)

    def scores(self, training: Training) -> Scores | None:
        """What a finished training scored on the split; None where it is not evaluated, or on other faces."""
        run = self.run(training)
        if not run.finished():
            return None
        found, count = read_json_or_none(self._scores_file(training), _Scored), len(self.index.labels)
        if found is None or found.faces != self._faces():
            return None
        if {len(found.confusion), *map(len, found.confusion)} != {count}:
            return None
        return score(np.array(found.confusion, np.int64), self.index.labels)

    def evaluate(self, training: Training, device: torch.device, listener: Listener = ignore) -> Scores:
        """Score a finished training's best checkpoint on the split, and write down what it scored.

        Raises:
            EagrctlError: a checkpoint or shard that cannot be read, or a full disk.
        """
        path = self.run(training).best
        checkpoint = load_checkpoint(path)
        check_classes(checkpoint.classes, self.index, str(path))
        self.index.check(self.split, listener)
        evaluation = evaluate(Segmenter.of(checkpoint, device), self.index, self.split, listener=listener)
        table = {
            "eagrctl": __version__,
            "faces": self._faces(),
            "images": evaluation.images,
            "checkpoint": path.name,
            "step": checkpoint.step,
            "scores": evaluation.scores.as_dict(),
            "classes": list(self.index.classes),
            "confusion": evaluation.counts.tolist(),
        }
        write_text(json.dumps(table) + "\n", self._scores_file(training))
        return evaluation.scores

    def picture(self, study: Study, faces: int, device: torch.device, listener: Listener = ignore) -> Chart | None:
        """The paper's Fig. 3: faces in rows; photo, what each finished variant sees, and ground truth in columns.

        The faces are spread evenly over the split, and always the same ones. None where no variant is finished.
        """
        places, titles, columns = spread(self.index.split(self.split).count, faces), [], []
        shown: tuple[Example, ...] = ()
        for variant in tracked(study.variants, f"drawing {study.picture}", listener):
            training = self.plan.training(study, variant)
            if self.scores(training) is not None:
                predictor = Segmenter.of(load_checkpoint(self.run(training).best), device)
                shown = examples_of(predictor, self.index, self.split, places)
                titles.append(variant.name)
                columns.append([each.prediction for each in shown])
        if not shown:
            return None
        photos, truths = [each.photo for each in shown], [each.truth for each in shown]
        return label_figure(["photo", *titles, "ground truth"], [photos, *columns, truths], self.index.labels)

    def _scores_file(self, training: Training) -> Path:
        return self.run(training).folder / "scores.json"

    def _faces(self) -> dict[str, Any]:
        """What scores hold for."""
        shards = [shard.sha256 for shard in self.index.split(self.split).shards]
        return {"dataset": self.index.provenance.dataset, "split": self.split, "shards": shards}
