import json
import signal
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from eagrctl.benchmark.scaling import over_processes
from eagrctl.benchmark.steps import Speed
from eagrctl.benchmark.training import Goal, benchmark_training, painted_faces, precision_goals
from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.events import ignore
from eagrctl.recipe import Recipe

SILENT = partial(nullcontext, ignore)


def test_independent_processes_are_the_floor_of_those_together(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    measured = benchmark_training(
        tiny_recipe(), tiny_data, gpus=False, processes=2, steps=2, workers=0, compiled=False, drawing=SILENT
    )
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers  # torch had its own
    apart, together = measured.speeds
    assert (apart.name, together.name) == ("2 independent", "2 together")
    assert apart.images_per_second > 0
    assert together.images_per_second > 0
    ratio, waiting = measured.goals
    assert ratio.value == pytest.approx(together.images_per_second / apart.images_per_second)
    assert waiting.value == together.waiting
    written = json.loads(measured.to_json())
    assert written["speeds"][1]["images_per_second"] == together.images_per_second
    assert written["goals"][0]["reached"] == (ratio.value >= 0.85)
    assert written["matrix_rate"] is None


def test_a_batch_too_small_to_share_out_is_refused(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(TrainingError, match="leaves 1 to each of 4 independent processes"):
        over_processes(tiny_recipe(), tiny_data, False, 4, 1, 0, SILENT)


def test_goals_of_a_gpu_follow_from_rates() -> None:
    speeds = [Speed(name, 1, 28, rate, 0.0, 1, 1) for name, rate in (("plain", 20.0), ("tf32", 35.0), ("bf16", 50.0))]
    of_rate, of_plain = precision_goals(speeds, flops=2 * 10**12, rate=4e14)
    assert of_rate.value == pytest.approx(0.25)
    assert not of_rate.reached
    assert of_plain.value == pytest.approx(2.5)
    assert of_plain.reached
    assert not Goal("waiting", 0.05, 0.05, least=False).reached


def test_painted_faces_are_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with painted_faces(33, 4, 1, SILENT) as index:
        assert index.split("train").count == 64
        assert index.root.is_dir()
    assert not list(tmp_path.iterdir())
