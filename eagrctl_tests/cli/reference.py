"""The command reference, `eagrctl/cli/README.md`, by Typer's own generator: `python -m eagrctl_tests.cli.reference`."""

from pathlib import Path
from unittest.mock import patch

import typer.cli
from typer.core import TyperCommand
from typer.testing import CliRunner

import eagrctl.cli

FILE = Path(eagrctl.cli.__file__).parent / "README.md"
NOTE = "<!-- Generated, not written: python -m eagrctl_tests.cli.reference -->"


def reference() -> str:
    """The reference as it should be now."""
    # Typer would cut the sentence about each command in a list at 45 characters.
    with patch.object(TyperCommand, "get_short_help_str", _first_sentence):
        result = CliRunner().invoke(typer.cli.app, ["eagrctl.cli.app", "utils", "docs", "--name", "eagrctl"])
    if result.exception is not None:
        raise result.exception
    return f"{NOTE}\n\n{result.stdout.strip()}\n"


def _first_sentence(command: TyperCommand) -> str:
    return command.short_help or (command.help or "").partition("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
