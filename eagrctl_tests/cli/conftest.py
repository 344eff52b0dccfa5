"""The command line, run in this process in a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from eagrctl.cli import console
from eagrctl.cli.app import app

Invoke = Callable[..., Result]


@pytest.fixture
def eagrctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`eagrctl("train", "--gpus", "0")` in an empty folder, results and messages kept apart."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: object) -> Result:
        with monkeypatch.context() as patch:
            # Consoles made at import hold on to the streams of that time.
            patch.setattr(console, "stdout", console.Console(highlight=False, width=200))
            patch.setattr(console, "stderr", console.Console(stderr=True, highlight=False, width=200))
            return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


def one_line(result: Result) -> str:
    """The single line of an error, checked to be all there is on stderr after messages."""
    assert result.exit_code == 1, (result.exit_code, result.stderr, result.exception)
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    return line
