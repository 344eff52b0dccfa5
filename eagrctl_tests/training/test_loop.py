import dataclasses
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from eagrctl.checkpoint import build_network, load_checkpoint, restore_network, save_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.errors import CheckpointError, ShardError, TrainingError
from eagrctl.events import Notice, Progress
from eagrctl.inference.predict import Segmenter
from eagrctl.locks import locked
from eagrctl.recipe import Recipe
from eagrctl.scoring.evaluate import evaluate
from eagrctl.training import loop
from eagrctl.training.batches import Batches
from eagrctl.training.loop import train
from eagrctl.training.run import Run
from eagrctl.training.step import pieces_needed
from eagrctl.training.world import World

CPU = World(torch.device("cpu"))


def metrics(run: Run) -> list[dict[str, object]]:
    """The logged epochs, without what a clock decides."""
    return [json.loads(line) | {"seconds": None, "waiting": None} for line in run.metrics.read_text().splitlines()]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(path).network)


def interrupt_at(step: int) -> Callable[[Progress | Notice], None]:
    """A listener who presses Ctrl-C when a step is done."""

    def listen(event: Progress | Notice) -> None:
        if isinstance(event, Progress) and event.task == "training" and event.done == step:
            os.kill(os.getpid(), signal.SIGINT)

    return listen


def test_a_run_leaves_checkpoints_and_metrics(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe, run = tiny_recipe(), Run(tmp_path / "run")
    events: list[Progress | Notice] = []
    assert train(recipe, tiny_data, run, CPU, listener=events.append)
    assert run.finished()
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "best.pt",
        "last.pt",
        "metrics.jsonl",
        "previous.pt",
        "recipe.toml",
        "run.json",
    ]
    logged = metrics(run)
    assert [(line["epoch"], line["step"]) for line in logged] == [(1, 3), (2, 6)]
    for line in logged:
        terms = line["loss"]
        assert terms["total"] == pytest.approx(terms["parsing"] + terms["edge"] + terms["boundary"], rel=1e-5)
    steps = [event.done for event in events if isinstance(event, Progress) and event.task == "training"]
    assert steps == [0, 1, 2, 3, 4, 5, 6]


def test_the_best_checkpoint_has_the_scores_it_claims(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe, run = tiny_recipe("train.epochs=3"), Run(tmp_path / "run")
    train(recipe, tiny_data, run, CPU)
    best = load_checkpoint(run.best)
    found = evaluate(Segmenter.of(best, CPU.device), tiny_data, "val").scores
    assert best.scores["mean_f1"] == pytest.approx(found.mean_f1, abs=1e-9)
    assert best.scores["mean_f1"] == max(line["val"]["mean_f1"] for line in metrics(run))
    assert best.training is None
    assert load_checkpoint(run.last).step == 9


def test_it_learns(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    train(tiny_recipe("train.epochs=12"), tiny_data, run, CPU)
    totals = [line["loss"]["total"] for line in metrics(run)]
    assert totals[-1] < 0.7 * totals[0]


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_interrupted_and_resumed_a_run_ends_bit_for_bit_as_if_it_had_not_been(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path, stop: int
) -> None:
    recipe = tiny_recipe()
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    train(recipe, tiny_data, whole, CPU)
    handler = signal.getsignal(signal.SIGINT)
    assert not train(recipe, tiny_data, broken, CPU, listener=interrupt_at(stop))
    assert signal.getsignal(signal.SIGINT) is handler
    assert load_checkpoint(broken.last).step == stop
    assert not broken.finished()
    assert train(recipe, tiny_data, broken, CPU, resume=True)
    assert metrics(broken) == metrics(whole)
    for name in ("best.pt", "last.pt"):
        one, other = weights(whole.folder / name), weights(broken.folder / name)
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_second_interrupt_stops_at_once(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    def listen(event: Progress | Notice) -> None:
        if isinstance(event, Progress) and event.task == "training" and event.done == 0:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny_recipe(), tiny_data, Run(tmp_path / "run"), CPU, listener=listen)


def test_reading_workers_change_nothing(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = tiny_recipe("train.epochs=1")
    one, other = Run(tmp_path / "one"), Run(tmp_path / "other")
    train(recipe, tiny_data, one, CPU)
    train(recipe, tiny_data, other, CPU, workers=1)
    assert metrics(one) == metrics(other)


def test_seeds_differ(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    for seed in (0, 1):
        train(tiny_recipe(f"train.seed={seed}", "train.epochs=1"), tiny_data, Run(tmp_path / str(seed)), CPU)
    assert metrics(Run(tmp_path / "0")) != metrics(Run(tmp_path / "1"))


def test_more_than_a_split_holds_in_a_batch_is_refused_before_anything_is_written(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="has 12 training samples, fewer than one batch of 13"):
        train(tiny_recipe("train.batch=13"), tiny_data, Run(tmp_path / "run"), CPU)
    assert not list(tmp_path.iterdir())


def test_a_shard_that_changed_is_refused_before_anything_is_written(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    root = Path(shutil.copytree(tiny_data.root, tmp_path / "data"))
    with next(root.glob("val-*.h5")).open("ab") as shard:
        shard.write(b"more")
    with pytest.raises(ShardError, match="changed since it was indexed"):
        train(tiny_recipe(), ShardIndex.load(root), Run(tmp_path / "run"), CPU)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_loss_that_is_not_finite_stops_the_run(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"not finite at step 3 \(learning rate .*--set train\.rate") as caught:
        train(tiny_recipe("train.rate=1e6"), tiny_data, Run(tmp_path / "run"), CPU)
    batch = Batches(12, 4, 2, seed=0).at(2)
    assert ", ".join(tiny_data.read("train", position).name for position in batch) in str(caught.value)
    assert not list(tmp_path.iterdir())  # not even a folder without a checkpoint


def test_a_run_of_another_recipe_is_not_resumed(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    train(tiny_recipe(), tiny_data, run, CPU, listener=interrupt_at(2))
    with pytest.raises(CheckpointError, match="belongs to another recipe or dataset"):
        train(tiny_recipe("train.rate=0.5"), tiny_data, run, CPU, resume=True)


def test_a_checkpoint_without_what_resuming_needs_is_refused(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    train(tiny_recipe(), tiny_data, run, CPU, listener=interrupt_at(2))
    last = load_checkpoint(run.last)
    for training, complaint in ((None, "belongs to another recipe"), ({"step": 2}, "cannot be resumed from")):
        save_checkpoint(dataclasses.replace(last, training=training), run.last)
        with pytest.raises(CheckpointError, match=complaint):
            train(tiny_recipe(), tiny_data, run, CPU, resume=True)


def test_a_long_epoch_is_saved_on_the_way(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    run = Run(tmp_path / "run")
    steps: list[int] = []

    def listen(event: Progress | Notice) -> None:
        if isinstance(event, Progress) and event.task == "training" and run.last.is_file():
            steps.append(load_checkpoint(run.last).step)

    train(tiny_recipe("train.epochs=1"), tiny_data, run, CPU, listener=listen)
    assert steps == [1, 2]


def test_a_save_between_two_looks_at_the_losses_waits_for_the_next_one(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a GPU, where losses are looked at every few steps.
    real = loop._Sitting.__post_init__

    def every_other(sitting: loop._Sitting) -> None:
        real(sitting)
        sitting.read_every = 2

    def die(event: Progress | Notice) -> None:
        if isinstance(event, Progress) and event.task == "training" and event.done == 6:
            raise ZeroDivisionError

    monkeypatch.setattr(loop._Sitting, "__post_init__", every_other)
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    train(tiny_recipe(), tiny_data, whole, CPU)
    with pytest.raises(ZeroDivisionError):
        train(tiny_recipe(), tiny_data, broken, CPU, listener=die)
    train(tiny_recipe(), tiny_data, broken, CPU, resume=True)
    assert metrics(broken) == metrics(whole)


def test_a_full_disk_costs_no_checkpoint_that_was_written(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.save

    def fill_up(contents: dict[str, object], path: Path) -> None:
        real(contents, path)
        if contents["training"] is not None:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 128 vs 64")

    monkeypatch.setattr(torch, "save", fill_up)
    run = Run(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"cannot write .*next\.pt: make room on its disk"):
        train(tiny_recipe(), tiny_data, run, CPU)
    assert restore_network(load_checkpoint(run.best))
    assert not list(run.folder.glob("*.part"))


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 999])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    damage: Callable[[bytes], bytes], tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = tiny_recipe("train.epochs=3")
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    train(recipe, tiny_data, whole, CPU)
    train(recipe, tiny_data, broken, CPU, listener=interrupt_at(8))
    broken.last.write_bytes(damage(broken.last.read_bytes()))
    events: list[Progress | Notice] = []
    assert train(recipe, tiny_data, broken, CPU, resume=True, listener=events.append)
    (notice,) = [event for event in events if isinstance(event, Notice) and event.warning]
    assert "previous.pt, step 6" in notice.text
    assert metrics(broken) == metrics(whole)
    one, other = weights(whole.last), weights(broken.last)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_run_is_trained_by_one_at_a_time(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    train(tiny_recipe(), tiny_data, run, CPU, listener=interrupt_at(2))
    with locked(run.folder):
        assert run.state == "running"
        with pytest.raises(TrainingError, match="is being filled by another eagrctl"):
            train(tiny_recipe(), tiny_data, run, CPU, resume=True)
    assert run.state == "interrupted"
    train(tiny_recipe(), tiny_data, run, CPU, resume=True)
    assert run.state == "finished"


def test_micro_batches_give_the_loss_of_the_batch(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    # Norms see fewer images at once, so that losses are near, not equal.
    recipe = tiny_recipe("train.epochs=1")
    train(recipe, tiny_data, Run(tmp_path / "whole"), CPU)
    train(recipe, tiny_data, Run(tmp_path / "pieces"), CPU, micro_batch=2)
    whole, pieces = (metrics(Run(tmp_path / name))[0]["loss"] for name in ("whole", "pieces"))
    assert pieces != whole
    assert pieces["total"] == pytest.approx(whole["total"], rel=0.15)  # type: ignore[index]


@pytest.mark.parametrize(
    ("batch", "processes", "micro_batch", "pieces"), [(28, 4, None, 1), (28, 4, 7, 1), (28, 4, 3, 3), (5, 1, 2, None)]
)
def test_a_share_is_cut_into_as_many_pieces_everywhere(
    batch: int, processes: int, micro_batch: int | None, pieces: int | None
) -> None:
    if pieces is None:
        with pytest.raises(TrainingError, match="pieces of 1: batch norm needs 2"):
            pieces_needed(batch, processes, micro_batch)
    else:
        assert pieces_needed(batch, processes, micro_batch) == pieces


def test_checkpointing_changes_no_bit(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    for name in ("false", "true"):
        train(tiny_recipe(f"train.checkpointing={name}"), tiny_data, Run(tmp_path / name), CPU)
    assert metrics(Run(tmp_path / "false")) == metrics(Run(tmp_path / "true"))


def test_an_average_is_validated_kept_and_resumed(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = tiny_recipe("train.average=0.5", "train.warm_up=2", "augment.mirror=true", "augment.colour=0.2")
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    train(recipe, tiny_data, whole, CPU)
    train(recipe, tiny_data, broken, CPU, listener=interrupt_at(4))
    train(recipe, tiny_data, broken, CPU, resume=True)
    assert metrics(broken) == metrics(whole)
    best, last = weights(whole.best), weights(whole.last)
    assert any(not torch.equal(best[key], last[key]) for key in best)
    found = evaluate(Segmenter.of(load_checkpoint(whole.best), CPU.device), tiny_data, "val").scores
    assert found.mean_f1 == pytest.approx(load_checkpoint(whole.best).scores["mean_f1"], abs=1e-9)


def test_a_slow_average_of_a_short_run_does_not_stay_near_its_start(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe, run = tiny_recipe("train.average=0.9999", "train.epochs=3"), Run(tmp_path / "run")
    torch.manual_seed(recipe.train.seed)
    began = build_network(recipe, len(tiny_data.classes)).state_dict()
    train(recipe, tiny_data, run, CPU)
    key, best, last = "decoder.classify.weight", weights(run.best), weights(run.last)
    assert (best[key] - last[key]).norm() < 0.7 * (began[key] - last[key]).norm()


def test_smaller_beginnings_other_sources_and_another_optimiser_are_resumed_to_the_same_end(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    classes = 'classes={skin=["skin","nose"],hair=["hair"]}'
    other = f'sources.other={{data="{tiny_data.root}",share=0.5,enlarged=1.5,{classes}}}'
    settings = ("input.small_size=33", "input.small_epochs=1", 'train.optimiser="adamw"', "train.rate=1e-3")
    recipe = tiny_recipe("train.epochs=2", *settings, other, "loss.dice=1.0", "loss.lovasz=0.5")
    whole, broken, plain = (Run(tmp_path / name) for name in ("whole", "broken", "plain"))
    train(recipe, tiny_data, whole, CPU)
    train(recipe, tiny_data, broken, CPU, listener=interrupt_at(4))
    train(recipe, tiny_data, broken, CPU, resume=True)
    assert metrics(broken) == metrics(whole)
    train(tiny_recipe("train.epochs=2", *settings, "loss.dice=1.0", "loss.lovasz=0.5"), tiny_data, plain, CPU)
    assert metrics(plain) != metrics(whole)


@pytest.mark.gpu
def test_a_gpu_trains_and_its_checkpoint_works_on_the_cpu(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    assert train(tiny_recipe(), tiny_data, run, World(torch.device("cuda")), workers=1)
    best = load_checkpoint(run.best)
    assert restore_network(best)
    found = evaluate(Segmenter.of(best, CPU.device), tiny_data, "val").scores
    assert np.isclose(found.mean_f1, best.scores["mean_f1"], atol=1e-2)
