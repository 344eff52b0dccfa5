import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from eagrctl.paper.complexity import MODULES, Comparison, Complexity
from eagrctl.paper.memory import TrainingMemory
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import TINY

SETTINGS = [part for override in TINY for part in ("--set", override)]
SMALL = ("complexity", "--recipe", "celebamask-hq-small", *SETTINGS)
MODELS = ["Baseline", "Without sampling", "Without graph", "EAGRNet"]


def cells(output: str, row: str) -> list[str]:
    """The figures of a table's row, by its name."""
    lines = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in output.splitlines()]
    return next(figures for name, *figures in lines if name == row)


def test_four_models_are_measured_tabled_written_and_drawn(eagrctl: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    # What these find has tests of its own.
    monkeypatch.setattr("eagrctl.paper.complexity.inference_memory", lambda *_: 1234567)
    memories = (TrainingMemory(10**6, number * 10**6) for number in range(1, 9))
    monkeypatch.setattr("eagrctl.paper.complexity.training_memory", lambda *_: next(memories))
    result = eagrctl(*SMALL, "--classes", 19, "--runs", 1, "--gpus", 0, "--json", "c.json", "--chart", "c.svg")
    assert result.exit_code == 0, result.stderr
    assert "Wrote c.json" in result.stderr
    assert "Wrote c.svg" in result.stderr
    read = json.loads(Path("c.json").read_text())
    assert [model["name"] for model in read["models"]] == MODELS
    assert (read["classes"], read["size"], read["runs"]) == (19, 49, 1)
    for row, key, unit in (("parameters (M)", "parameters", 1e6), ("inference (MB)", "inference_memory", 1e6)):
        shown = [float(cell) for cell in cells(result.stdout, row)]
        assert shown == pytest.approx([model[key] / unit for model in read["models"]], rel=1e-3)
    for row, key in (("training (MB)", "training_memory"), ("checkpointed (MB)", "checkpointed_memory")):
        shown = [float(cell) for cell in cells(result.stdout, row)]
        assert shown == [model[key]["peak"] / 1e6 for model in read["models"]]
    modules = [[float(cell) for cell in cells(result.stdout, name)] for name in read["models"][0]["flops_by_module"]]
    totals = [model["flops"] / 1e9 for model in read["models"]]
    assert [sum(column) for column in zip(*modules, strict=True)] == pytest.approx(totals, abs=1e-3)
    assert all(float(cell) > 0 for cell in cells(result.stdout, "latency (ms)"))
    assert "19 classes, one image of 49 x 49; latency on CPU" in result.stdout
    chart = ElementTree.parse("c.svg").getroot()
    written = [text for each in chart.iter() for text in each.itertext()]
    assert {"Parameters (M)", "Latency (ms)", "1.235"} <= set(written)


@pytest.fixture
def full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures as long as those of the full networks, without measuring any."""
    memory = TrainingMemory(3445664048, 4910544816)
    models = [
        Complexity(name, 66722523, 472818712032, dict.fromkeys(MODULES, 187328102400), 1721492880, memory, memory, None)
        for name in MODELS
    ]
    comparison = Comparison(tuple(models), 11, 473, "CPU (1 thread)", 0)
    monkeypatch.setattr("eagrctl.paper.complexity.compare", lambda *_: comparison)


@pytest.mark.usefixtures("full_size")
def test_tables_fit_a_narrow_terminal(eagrctl: Invoke) -> None:
    result = eagrctl("complexity")
    assert max(len(line) for line in result.stdout.splitlines() if line[:1] in "┏┃┡│└") <= 80
    assert cells(result.stdout, "parameters (M)") == ["66.72"] * 4
    assert cells(result.stdout, "GFLOPs") == ["472.8"] * 4
    assert cells(result.stdout, "inference (MB)") == ["1,721"] * 4
    assert cells(result.stdout, "training (MB)") == ["4,911"] * 4
    assert cells(result.stdout, "conv4") == ["187.33"] * 4


@pytest.mark.usefixtures("full_size")
def test_without_runs_no_latency_is_shown(eagrctl: Invoke) -> None:
    result = eagrctl("complexity", "--runs", 0, "--quiet", "--chart", "c.svg")
    assert result.exit_code == 0, result.stderr
    assert "latency (ms)" not in result.stdout
    assert "11 classes, one image of 473 x 473; latency not measured" in result.stdout
    assert "Latency" not in Path("c.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--recipe", "hellen"], "no recipe is called 'hellen' (did you mean 'helen'?)"),
        (["--set", "model.widht=1"], "did you mean 'width'"),
        (["--set", 'model.backbone="vgg16"'], "cannot be built: no backbone is called 'vgg16'"),
        (["--chart", "x.jpg"], "cannot write x.jpg: give a name that ends in .png, .svg or .pdf"),
        (["--json", "missing/x.json"], "its folder does not exist"),
        (["--gpus", 64], "visible to torch"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(eagrctl: Invoke, arguments: list[str], complaint: str) -> None:
    assert complaint in one_line(eagrctl("complexity", *arguments))
    assert not list(Path().iterdir())


@pytest.mark.parametrize("arguments", [["--classes", "1"], ["--runs", "-1"]])
def test_numbers_out_of_range_are_wrong_usage(eagrctl: Invoke, arguments: list[str]) -> None:
    assert eagrctl("complexity", *arguments).exit_code == 2
