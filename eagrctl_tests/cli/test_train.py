import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import TINY

SETTINGS = [part for override in TINY for part in ("--set", override)]


@pytest.fixture
def data(eagrctl: Invoke, tiny_data: ShardIndex) -> Path:
    """The tiny dataset at the place where eagrctl looks for it."""
    return Path(shutil.copytree(tiny_data.root, Path("data") / "celebamask-hq"))


def test_prepare_train_and_evaluate_chain_without_arguments(eagrctl: Invoke, data: Path) -> None:
    result = eagrctl("train", "--recipe", "celebamask-hq-small", *SETTINGS)
    assert result.exit_code == 0, result.stderr
    (run,) = Path("runs").iterdir()
    assert run.name.startswith("celebamask-hq-small-")
    assert f"Wrote {run}/best.pt" in result.stderr
    result = eagrctl("evaluate", "--report", "table.md")
    assert result.exit_code == 0, result.stderr
    assert f"checkpoint {run.name}/best.pt (step " in Path("table.md").read_text()


def test_the_default_recipe_is_named_as_the_data(eagrctl: Invoke, data: Path) -> None:
    result = eagrctl("train", "--output", "mine", "--seed", 7, "--set", 'model.backbone="resnet18"', *SETTINGS)
    assert result.exit_code == 0, result.stderr
    recipe = load_checkpoint(Path("mine/best.pt")).recipe
    assert (recipe.dataset, recipe.model.backbone, recipe.train.seed) == ("celebamask-hq", "resnet18", 7)
    assert recipe.augment.rotation == 30  # the paper's, not the small recipe's


def test_no_data_says_what_to_run(eagrctl: Invoke) -> None:
    assert "run eagrctl prepare first" in one_line(eagrctl("train"))
    line = one_line(eagrctl("train", "--recipe", "celebamask-hq-small"))
    assert "no prepared dataset at data/celebamask-hq" in line


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--recipe", "hellen"], "no recipe is called 'hellen'"),
        (["--set", "train.epohcs=3"], "did you mean 'epochs'"),
        (["--set", "train.batch=1000"], "fewer than one batch of 1000"),
        (["--gpus", "64"], "visible to torch"),
        (["--gpus", "0", "--micro-batch", "1"], "batch norm needs 2"),
        (["--cpu-processes", "29"], "cannot be shared out among 29 processes"),
        (["--resume"], "no unfinished run in runs/"),
        (["--resume", "--seed", "1"], "drop --recipe, --set, --pretrained and --seed"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    eagrctl: Invoke, data: Path, arguments: list[str], complaint: str
) -> None:
    assert complaint in one_line(eagrctl("train", *arguments))
    assert not Path("runs").exists()


def test_one_gpu_where_there_is_none_names_the_way_out(
    eagrctl: Invoke, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no GPU is visible to torch: --gpus 0 runs on the CPU" in one_line(eagrctl("train", "--gpus", 1))


def test_more_gpus_than_there_are_is_one_line_before_anything_starts(
    eagrctl: Invoke, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert "only 4 GPUs are visible to torch: --gpus 4 runs on what is there" in one_line(eagrctl("train", "--gpus", 5))
    assert not Path("runs").exists()


def test_the_same_command_goes_on_with_its_unfinished_run(eagrctl: Invoke, data: Path) -> None:
    from eagrctl.recipe import load_recipe
    from eagrctl.training.loop import train
    from eagrctl.training.run import Run
    from eagrctl.training.world import World
    from eagrctl_tests.training.test_loop import interrupt_at

    command = ("train", "--recipe", "celebamask-hq-small", *SETTINGS)
    assert eagrctl(*command, "--output", "runs/other").exit_code == 0
    recipe = load_recipe(Path("runs/other/recipe.toml"))
    broken = Run(Path("runs/celebamask-hq-small-20260101-000000"))
    train(recipe, ShardIndex.load(data), broken, World(torch.device("cpu")), listener=interrupt_at(2))
    result = eagrctl(*command, "--seed", 3)
    assert "unfinished run" not in result.stderr  # another recipe
    result = eagrctl(*command)
    assert "an unfinished run of this recipe and dataset (--output names another run)" in result.stderr
    assert f"Wrote {broken.best}" in result.stderr
    assert broken.finished()
    result = eagrctl(*command)
    assert "unfinished run" not in result.stderr


def test_ctrl_c_saves_and_says_how_to_resume(eagrctl: Invoke, data: Path) -> None:
    command = [sys.executable, "-m", "eagrctl", "train", "--recipe", "celebamask-hq-small", *SETTINGS]
    command += ["--set", "train.epochs=500"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ) as process:
        deadline = time.monotonic() + 120
        while not list(Path("runs").glob("*/last.pt")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=120)
    assert process.returncode == 130, messages
    assert "Continue with: eagrctl train --resume" in messages
    (run,) = Path("runs").iterdir()
    step = load_checkpoint(run / "last.pt").step
    assert 0 < step < 1500


def test_resume_continues_the_newest_unfinished_run(eagrctl: Invoke, data: Path) -> None:
    from eagrctl.recipe import load_recipe
    from eagrctl.training.loop import train
    from eagrctl.training.run import Run
    from eagrctl.training.world import World
    from eagrctl_tests.training.test_loop import interrupt_at

    assert eagrctl("train", "--recipe", "celebamask-hq-small", *SETTINGS, "--output", "runs/whole").exit_code == 0
    recipe = load_recipe(Path("runs/whole/recipe.toml"))
    broken = Run(Path("runs/broken"))
    assert not train(recipe, ShardIndex.load(data), broken, World(torch.device("cpu")), listener=interrupt_at(2))
    result = eagrctl("train", "--resume")
    assert result.exit_code == 0, result.stderr
    assert "Wrote runs/broken/best.pt" in result.stderr
    one, other = (load_checkpoint(Path("runs") / name / "last.pt").network for name in ("whole", "broken"))
    assert all(torch.equal(one[key], other[key]) for key in one)
