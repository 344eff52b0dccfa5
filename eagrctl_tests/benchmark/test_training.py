import json
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eagrctl.benchmark.harness import painted_faces
from eagrctl.benchmark.scaling import Speed, over_processes
from eagrctl.benchmark.training import benchmark_training, figures_of, fitting, precisions, step_flops
from eagrctl.data.index import ShardIndex
from eagrctl.errors import TrainingError
from eagrctl.events import Notice, Progress, undrawn
from eagrctl.recipe import Recipe, find_recipe, load_recipe
from eagrctl.training.start import Work
from eagrctl.training.timing import Timing

TIMING = Timing(1, 1.0, 0.0, 1, 1)


def test_independent_processes_are_the_floor_of_those_together(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    measured = benchmark_training(tiny_recipe(), tiny_data, gpus=False, processes=2, steps=2)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers  # torch had its own
    written = json.loads(measured.to_json())
    apart, together = written["speeds"]
    assert (apart["name"], together["name"]) == ("2 independent", "2 together")
    assert apart["images_per_second"] > 0
    assert together["images_per_second"] > 0
    assert apart["times"] == 1
    assert together["times"] == pytest.approx(together["images_per_second"] / apart["images_per_second"])
    assert written["matrix_rate"] is None
    (table,) = measured.tables
    shown = dict(zip(table.headings, table.rows[1], strict=True))
    assert shown["times"] == f"{together['times']:.2f}"
    assert shown["waiting"] == f"{together['waiting']:.1%}"
    assert "torch " in written["hardware"]


def test_a_batch_too_small_to_share_out_is_refused(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(TrainingError, match="leaves 1 to each of 4 independent processes"):
        over_processes(Work(tiny_recipe(), tiny_data.root, Path(), gpus=False), 4, 1)


def test_figures_of_a_gpu_follow_from_rates() -> None:
    plain, bf16 = (Speed(name, 1, 28, rate, 0.0, 1, 1) for name, rate in (("plain", 20.0), ("bf16", 50.0)))
    found = figures_of(bf16, plain, flops=2 * 10**12, rate=4e14)
    assert found["of_matrix_rate"] == pytest.approx(0.25)
    assert found["times"] == pytest.approx(2.5)
    assert figures_of(bf16, plain, flops=2 * 10**12, rate=None)["of_matrix_rate"] is None


def test_painted_faces_are_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with painted_faces(33, 4, undrawn) as index:
        assert index.split("train").count == 64
        assert index.root.is_dir()
    assert not list(tmp_path.iterdir())


def test_a_batch_is_halved_until_it_fits_and_each_halving_is_told(
    tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: None)
    tried: list[int] = []

    def measure(recipe: Recipe) -> Timing:
        tried.append(recipe.train.batch)
        if recipe.train.batch > 7:
            raise TrainingError("too little memory")
        return TIMING

    events: list[Progress | Notice] = []
    assert fitting(measure, tiny_recipe("train.batch=28"), "bf16", events.append) == (7, TIMING)
    assert tried == [28, 14, 7]
    assert ["measuring 14" in events[0].text, "measuring 7" in events[1].text] == [True, True]  # type: ignore[union-attr]


def test_what_never_fits_is_an_error(tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: None)

    def measure(recipe: Recipe) -> Timing:
        raise TrainingError(f"{recipe.train.batch} do not fit")

    with pytest.raises(TrainingError, match="bf16: 3 do not fit"):
        fitting(measure, tiny_recipe("train.batch=7"), "bf16")


def test_each_precision_is_timed_on_the_whole_batch(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> None:
    speeds = precisions(tiny_recipe(), tiny_data, torch.device("cpu"), steps=2, workers=0, compiled=False)
    assert [(speed.name, speed.batch) for speed in speeds] == [("float32, plain", 4), ("tf32", 4), ("bf16", 4)]
    assert all(speed.images_per_second > 0 for speed in speeds)


def test_the_full_network_takes_what_the_issue_says(tiny_recipe: Callable[..., Recipe]) -> None:
    released = load_recipe(find_recipe("released"))
    assert step_flops(released, 11) == pytest.approx(1.42e12, rel=0.005)
    assert step_flops(tiny_recipe(), 19) < 1e9
