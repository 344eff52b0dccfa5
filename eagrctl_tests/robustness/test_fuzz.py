"""Damaged files given to every command: no traceback, no crash, nothing started, nothing touched but its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eagrctl_tests.robustness import fuzz
from eagrctl_tests.robustness.commands import Command
from eagrctl_tests.robustness.fuzz import run_input
from eagrctl_tests.robustness.materials import make_materials
from eagrctl_tests.robustness.server import Server

PLANTED = Command(("--version",), ("parts",), (), ("out",))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def materials(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_materials(server, tmp_path_factory.mktemp("materials"))


def test_damaged_files_are_one_line_and_touch_nothing_else(
    server: Server, materials: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed, first = request.config.getoption("fuzz_seed"), 0
    count = request.config.getoption("fuzz")
    if one := request.config.getoption("fuzz_one"):
        seed, first = (int(part) for part in one.split(":"))
        count = 1
    found = []
    for number in range(first, first + count):
        outcome = run_input(server, materials, tmp_path / "sandbox", seed, number)
        if one:
            print(outcome.what, outcome.ran, sep="\n")
        if outcome.faults:
            found.append(f"{outcome.what}: {'; '.join(outcome.faults)}")
            print(found[-1], flush=True)
    assert not found, f"{len(found)} of {count} inputs:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        ("raise RuntimeError('a bug')", "a traceback: RuntimeError: a bug"),
        ("import os; os.kill(os.getpid(), 11)", "a crash (signal 11)"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os.system('true')", "os.system"),
        ("open('../victim/new', 'w').close()", "open of"),
        ("open('out/.eagrctl-0.part', 'w').close()", "out/.eagrctl-0.part is left"),
        ("print(chr(27) + '[2J')", "raw control characters"),
        ("held = bytearray(b'1' * 2_600_000_000)", "a traceback: MemoryError"),
        ("pass", None),
    ],
)
def test_what_should_not_happen_is_seen(
    server: Server, materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: str, seen: str | None
) -> None:
    monkeypatch.setattr(fuzz, "COMMANDS", (PLANTED,))
    outcome = run_input(server, materials, tmp_path / "sandbox", 0, 0, plant)
    if seen is None:
        assert not outcome.faults, outcome
    else:
        assert any(fault.startswith(seen) for fault in outcome.faults), outcome
