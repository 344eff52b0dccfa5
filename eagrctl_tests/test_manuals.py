"""Manuals name what is there: rooms, files, links and commands."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

import eagrctl
from eagrctl.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ROOT / "eagrctl" / "README.md"
MANUALS = [
    ROOT / "README.md",
    *sorted((ROOT / ".github").glob("*.md")),
    *sorted((ROOT / "eagrctl").rglob("README.md")),
    ROOT / "eagrctl_tests" / "README.md",
    ROOT / "recipes" / "README.md",
]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("manual", MANUALS, ids=name)
def test_links_lead_to_files(manual: Path) -> None:
    text = manual.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (manual.parent / link).exists(), link


def test_readme_can_be_read_in_three_minutes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 220


def test_the_house_has_all_rooms_and_names_no_file_that_is_gone() -> None:
    text = HOUSE.read_text(encoding="utf-8")
    package = Path(eagrctl.__file__).parent
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").is_file()}
    modules = {path.name for path in package.glob("*.py") if not path.stem.startswith("_")}
    assert not {room for room in rooms if f"`{room}/`" not in text}
    assert not {module for module in modules if f"`{module}`" not in text}
    for path in re.findall(r"`([a-z_/]+/[a-z_]*(?:\.py)?)`", text):
        inside = path if path.startswith(("eagrctl_tests", "recipes")) else f"eagrctl/{path}"
        assert (ROOT / inside).exists() or Path(path).name == "NAME.py", path


@pytest.mark.parametrize("manual", MANUALS, ids=name)
def test_commands_in_manuals_exist(manual: Path) -> None:
    command = get_command(app)
    text = manual.read_text(encoding="utf-8")
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    for line in [*re.findall(r"`eagrctl ([^\n`]+)`", text), *re.findall(r"^eagrctl (.+)", shell, re.MULTILINE)]:
        first = line.split()[0]
        if re.fullmatch(r"[a-z]+", first):
            assert first in command.commands, line  # type: ignore[attr-defined]
