"""Trainings that are killed at each of their writes, and continued by the same command."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.events import Notice, Progress
from eagrctl.locks import locked
from eagrctl.recipe import Recipe, find_recipe, load_recipe, recipe_to_toml
from eagrctl.training.loop import train
from eagrctl.training.run import Run
from eagrctl.training.runs import run_for, unfinished_run
from eagrctl.training.world import World
from eagrctl_tests.conftest import TINY
from eagrctl_tests.training.test_loop import CPU, interrupt_at, metrics, weights


class KilledError(BaseException):
    """The end of a process, as far as one process can play it."""


@pytest.fixture(scope="module")
def uninterrupted(tiny_data: ShardIndex, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("uninterrupted") / "whole")
    train(load_recipe(find_recipe("celebamask-hq-small"), TINY), tiny_data, run, CPU)
    return run


@pytest.fixture
def whole(uninterrupted: Run, tmp_path: Path) -> Run:
    """A finished run of the tiny recipe, in a folder that may be damaged."""
    return Run(Path(shutil.copytree(uninterrupted.folder, tmp_path / "whole")))


def again(recipe: Recipe, data: ShardIndex, run: Run) -> Run:
    """The same command, as `eagrctl train --output` has it."""
    found, goes_on = run_for(recipe, data.root, run.folder, run.folder.parent, "mine")
    assert train(recipe, data, found, CPU, resume=goes_on)
    return found


def require_equal(run: Run, whole: Run) -> None:
    assert metrics(run) == metrics(whole)
    assert {path.name for path in run.folder.iterdir()} == {path.name for path in whole.folder.iterdir()}
    for name in ("best.pt", "last.pt", "previous.pt"):
        one, other = weights(whole.folder / name), weights(run.folder / name)
        assert all(torch.equal(one[key], other[key]) for key in one), name
    assert run.finished()


def killed_at(number: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> bool:
    """Do some work, and kill it just before it moves, links or logs anything for this time. Whether it came so far.

    Python clears up on its way out, where a killed process does not: that is kept from doing anything.
    """
    count, dead = 0, False

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def act(*given: object, **named: object) -> object:
            nonlocal count, dead
            if dead:
                return None
            count += 1
            if count > number:
                dead = True
                raise KilledError
            return real(*given, **named)

        return act

    def alive(real: Callable[..., object]) -> Callable[..., object]:
        return lambda *given, **named: None if dead else real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(os, "link", counted(os.link))
        patch.setattr(Run, "log", counted(Run.log))
        for owner, name in ((Path, "unlink"), (Path, "rmdir"), (shutil, "rmtree")):
            patch.setattr(owner, name, alive(getattr(owner, name)))
        try:
            work()
        except KilledError:
            return True
    return False


def test_killed_before_any_of_its_writes_a_run_ends_as_if_it_had_not_been(
    whole: Run,
    tiny_data: ShardIndex,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe, number = tiny_recipe(), 0
    run = Run(tmp_path / "0")
    while killed_at(number, monkeypatch, lambda: train(recipe, tiny_data, run, CPU)):  # noqa: B023  # called at once
        require_equal(again(recipe, tiny_data, run), whole)
        number += 1
        run = Run(tmp_path / str(number))
    assert number >= 9  # recipe, run.json, and of each epoch next.pt, last.pt and its line, at least


def test_killed_again_and_again_it_still_ends_the_same(
    whole: Run,
    tiny_data: ShardIndex,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe, run = tiny_recipe(), Run(tmp_path / "run")
    for number in (0, 1, 3, 5, 6):
        assert killed_at(number, monkeypatch, lambda: again(recipe, tiny_data, run))
    require_equal(again(recipe, tiny_data, run), whole)


def last_is_stale(run: Run) -> None:
    shutil.copyfile(run.previous, run.last)


def line_is_missing(run: Run) -> None:
    run.metrics.write_text(run.metrics.read_text().splitlines(keepends=True)[0])


def line_is_cut(run: Run) -> None:
    run.metrics.write_text(run.metrics.read_text()[:-20])


def only_previous(run: Run) -> None:
    run.last.unlink()


def only_next(run: Run) -> None:
    run.last.rename(run.next)  # as earlier versions left it, between two renames


def only_best(run: Run) -> None:
    run.last.unlink()
    run.previous.unlink()
    run.metrics.write_text(run.metrics.read_text().splitlines(keepends=True)[0])


def half_a_recipe(run: Run) -> None:
    text = run.recipe.read_bytes()
    for path in run.folder.iterdir():
        path.unlink()
    run.recipe.write_bytes(text[: len(text) // 2])
    (run.folder / "next.pt.part").write_bytes(b"half")


def half_about_itself(run: Run) -> None:
    for path in run.folder.iterdir():
        if path != run.recipe:
            path.unlink()
    run.about.write_text('{"data": "/some')


@pytest.mark.parametrize(
    "damage",
    [
        last_is_stale,
        line_is_missing,
        line_is_cut,
        only_previous,
        only_next,
        only_best,
        half_a_recipe,
        half_about_itself,
    ],
)
def test_whatever_a_kill_leaves_the_same_command_goes_on(
    damage: Callable[[Run], None],
    uninterrupted: Run,
    whole: Run,
    tiny_data: ShardIndex,
    tiny_recipe: Callable[..., Recipe],
) -> None:
    damage(whole)
    require_equal(again(tiny_recipe(), tiny_data, whole), uninterrupted)


def test_a_finished_run_is_left_as_it_is_by_the_same_command(
    whole: Run, tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    before = {path.name: path.read_bytes() for path in whole.folder.iterdir()}
    again(tiny_recipe(), tiny_data, whole)
    assert {path.name: path.read_bytes() for path in whole.folder.iterdir()} == before


def test_the_best_of_a_run_whose_last_checkpoint_somebody_removed_is_kept(
    whole: Run, tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    best = whole.best.read_bytes()
    whole.last.unlink()
    whole.previous.unlink()
    events: list[Progress | Notice] = []
    train(tiny_recipe(), tiny_data, whole, CPU, listener=events.append)
    assert whole.earlier.read_bytes() == best
    assert any("it starts over; its best.pt is kept as best-earlier.pt" in str(event) for event in events)


@pytest.mark.parametrize("stranger", ["diary.txt", "recipe.toml", "run.json"])
def test_what_another_command_left_is_refused_and_untouched(
    stranger: str, tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    run.recipe.write_text(recipe_to_toml(tiny_recipe()))
    text = {"recipe.toml": recipe_to_toml(tiny_recipe("train.epochs=9")), "run.json": '{"data": "/elsewhere"}'}
    (run.folder / stranger).write_text(text.get(stranger, "dear diary"))
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    with pytest.raises(TrainingError, match="holds something already"):
        train(tiny_recipe(), tiny_data, run, CPU)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before


def test_resume_starts_a_run_over_that_has_no_checkpoint_yet(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    run.create(tiny_recipe(), tiny_data.root)
    assert not unfinished_run(run.folder, tmp_path).saved


def test_without_a_folder_given_a_run_killed_before_its_first_checkpoint_is_begun_anew(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe, run = tiny_recipe(), Run(tmp_path / "mine-20260101-000000")
    run.create(recipe, tiny_data.root)
    run.about.unlink()
    assert run_for(recipe, tiny_data.root, None, tmp_path, "mine") == (run, False)
    with locked(run.folder):
        assert run_for(recipe, tiny_data.root, None, tmp_path, "mine")[0] != run
    assert run_for(tiny_recipe("train.epochs=9"), tiny_data.root, None, tmp_path, "mine")[0] != run


def test_a_second_training_touches_nothing_of_the_first(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    train(tiny_recipe(), tiny_data, run, CPU, listener=interrupt_at(2))
    run.log({"epoch": 1, "step": 3})  # the first has gone on meanwhile
    with locked(run.folder):
        before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
        for resume in (True, False):
            with pytest.raises(TrainingError, match="is being filled by another eagrctl"):
                train(tiny_recipe(), tiny_data, run, CPU, resume=resume)
        assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before


def test_where_the_first_process_refuses_the_others_leave_with_it(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eagrctl.errors import FollowedError
    from eagrctl.training import world as module

    monkeypatch.setattr(module, "PATIENCE", 0.0)
    monkeypatch.setattr(World, "told", lambda self, value: "refused" if self.rank else value)
    run = Run(tmp_path / "run")
    with pytest.raises(FollowedError):
        train(tiny_recipe(), tiny_data, run, World(torch.device("cpu"), rank=1, size=2), listener=lambda event: None)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_carries_the_line_of_its_epoch(whole: Run) -> None:
    training = load_checkpoint(whole.last).training
    assert training is not None
    assert training["line"] == json.loads(whole.metrics.read_text().splitlines()[-1])
