import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from eagrctl import __version__
from eagrctl.cli.app import app
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.cli.reference import FILE, reference


def commands(command: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    children = getattr(command, "commands", None)
    if not children:
        return [path]
    # A group that does something by itself is a command, too.
    own = [path] if getattr(command, "invoke_without_command", False) else []
    return own + [leaf for name, child in children.items() for leaf in commands(child, (*path, name))]


COMMANDS = commands(get_command(app))


def test_the_commands_are_the_ones_that_are_built() -> None:
    assert set(COMMANDS) == {
        *(("prepare", name) for name in ("helen", "lapa", "celebamask-hq", "folder", "heads", "synthetic")),
        *(("dataset", name) for name in ("info", "verify", "browse", "merge")),
        *(("detector", name) for name in ("prepare", "train", "evaluate", "export")),
        ("landmarks", "evaluate"),
        *(("weights", name) for name in ("import", "info", "export")),
        *(("benchmark", name) for name in ("train", "evaluate", "parse", "films")),
        ("train",),
        ("runs",),
        ("runs", "show"),
        ("ablate",),
        ("evaluate",),
        ("score",),
        ("complexity",),
        ("visualise",),
        ("parse",),
        ("export",),
        ("doctor",),
        ("demo",),
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(eagrctl: Invoke, path: tuple[str, ...]) -> None:
    result = eagrctl(*path, "--help")
    assert result.exit_code == 0
    assert f"eagrctl {' '.join(path)}" in result.stdout
    command = get_command(app)
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]
    for parameter in command.params:
        assert getattr(parameter, "help", None) or parameter.name == "help", f"{path}: {parameter.name} has no help"


def test_the_command_reference_is_fresh() -> None:
    assert FILE.read_text(encoding="utf-8") == reference(), "run python -m eagrctl_tests.cli.reference"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_each_of_its_options_stands_in_the_reference(path: tuple[str, ...]) -> None:
    text = FILE.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^#+ `eagrctl {' '.join(path)}`$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    command = get_command(app)
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert any(option in section for option in parameter.opts), f"{path}: the reference lacks {parameter.opts}"


def test_the_version_is_printed(eagrctl: Invoke) -> None:
    assert eagrctl("--version").stdout == f"eagrctl {__version__}\n"


def test_no_argument_shows_the_help(eagrctl: Invoke) -> None:
    result = eagrctl()
    assert "eagrctl demo" in result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [["tain"], ["train", "--gpu", "1"], ["train", "--gpus", "many"]])
def test_wrong_usage_exits_with_2(eagrctl: Invoke, arguments: list[str]) -> None:
    assert eagrctl(*arguments).exit_code == 2


def test_a_bug_keeps_its_traceback(eagrctl: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("eagrctl.training.start.find_recipe", broken)
    assert isinstance(eagrctl("train", "--recipe", "synthetic").exception, ZeroDivisionError)


def test_an_interrupt_exits_with_130(eagrctl: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eagrctl.training.start.find_recipe", interrupted)
    result = eagrctl("train", "--recipe", "synthetic")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from eagrctl.cli.app import app; "
        "assert CliRunner().invoke(app, ['train', '--help']).exit_code == 0; "
        "print([name for name in ('torch', 'numpy', 'pandas', 'skimage', 'h5py', 'PIL') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_module_runs_as_a_program() -> None:
    result = subprocess.run([sys.executable, "-m", "eagrctl", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("eagrctl ")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "1000 None"),
        ({"GOMP_SPINCOUNT": "30"}, "30 None"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE"),
    ],
)
def test_threads_spin_briefly_unless_told_how_before_torch_is_there(given: dict[str, str], expected: str) -> None:
    child = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    program = f"""
import subprocess, sys
import eagrctl.cli.app as module

def command(**_):
    assert "torch" not in sys.modules
    subprocess.run([sys.executable, "-c", {child!r}], check=True)

module.app = command
module.main()
"""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


ROOT = Path(__file__).parents[2]


def shell(arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`eagrctl` with redirections, as a shell runs it."""
    command = f"exec '{sys.executable}' -m eagrctl {arguments}"
    return subprocess.run(
        command, shell=True, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    ("redirected", "reason"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_results_that_cannot_be_written_are_an_error(redirected: str, reason: str) -> None:
    done = shell(f"--version {redirected}")
    assert done.returncode == 1
    assert done.stderr == f"Error: cannot write to standard output ({reason}): write it elsewhere\n"


@pytest.mark.parametrize("redirected", ["2>/dev/full", "<&- 2>&-"])
def test_messages_that_cannot_be_written_change_nothing(redirected: str) -> None:
    assert shell(f"tain {redirected}").returncode == 2


def test_a_reader_who_has_seen_enough_ends_it_with_141() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "eagrctl", "--help"], stdout=write, stderr=subprocess.PIPE, cwd=ROOT, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_letters_that_the_output_lacks_are_escaped() -> None:
    program = (
        r"from eagrctl.cli import console; console.open_streams(); console.table(['\u732b'], [['\udcff']], '\u732b')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(r"\u732b")
    assert r"\udcff" in done.stdout


def test_a_second_sigterm_ends_it_at_once() -> None:
    program = """
import sys, time
import eagrctl.cli.app as module

def command(**_):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("leaving", flush=True)
        time.sleep(60)

module.app = command
module.main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in ("ready\n", "leaving\n"):
            assert child.stdout.readline() == line
            child.send_signal(signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM
        assert child.stderr.read() == ""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: \nBacktrace"
        ),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_too_little_memory_is_one_line(eagrctl: Invoke, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def greedy(*_: object) -> None:
        raise error

    monkeypatch.setattr("eagrctl.training.start.find_recipe", greedy)
    said = one_line(eagrctl("train", "--recipe", "synthetic"))
    assert said.startswith("Error: too little memory (")
    assert "--batch" in said


def test_arguments_do_not_act_on_the_terminal_that_usage_is_told_to(eagrctl: Invoke) -> None:
    for arguments in (["\x1b[31mtain\u202e"], ["train", "--gpus", "\x1b[31m\r\udcff"]):
        result = eagrctl(*arguments)
        assert result.exit_code == 2
        assert r"\x1b[31m" in result.stderr
        assert not {"\x1b", "\r", "\u202e"} & {*result.stderr}
