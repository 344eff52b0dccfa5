import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from eagrctl.cli import console
from eagrctl.cli.doctor import NAME
from eagrctl.doctor import Finding, examine
from eagrctl_tests.cli.conftest import Invoke, one_line


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the doctor finds, to be filled in."""
    findings: list[Finding] = []

    def found(folder: Path, data: Path, runs: Path) -> Iterator[Finding]:
        yield from findings

    monkeypatch.setattr("eagrctl.doctor.examine", found)
    return findings


def test_here_training_works_and_every_line_has_a_tick_or_a_remedy(eagrctl: Invoke) -> None:
    result = eagrctl("doctor")
    assert result.exit_code == 0, result.stdout
    *lines, last = result.stdout.splitlines()
    assert last == "Training works here."
    findings = list(examine(Path(), Path("data"), Path("runs")))
    assert len(lines) == len(findings)
    for line, finding in zip(lines, findings, strict=True):
        assert line.startswith(f"{ {True: '✓', False: '✗', None: '-'}[finding.good] } {finding.name:<{NAME}} ")
        assert finding.good or line.endswith(f": {finding.remedy}")
        assert len(finding.name) <= NAME
    assert list(Path().iterdir()) == []


def test_a_full_disk_is_exit_code_1(eagrctl: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    result = eagrctl("doctor")
    assert one_line(result) == "Error: training cannot work here: mend disk"
    assert "✗ disk" in result.stdout


def test_only_what_training_needs_decides_the_exit_code(eagrctl: Invoke, find: list[Finding]) -> None:
    find += [Finding("dlib-bin", False, "broken", "install it"), Finding("GPUs", None, "none", "use the CPU")]
    result = eagrctl("doctor")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:2] == [
        "✗ dlib-bin           broken: install it",
        "- GPUs               none: use the CPU",
    ]
    find += [Finding("torch", False, "broken", "get one", needed=True), Finding("disk", False, "full", "mend", True)]
    result = eagrctl("doctor")
    assert one_line(result).endswith("mend torch, disk")
    assert "Training works" not in result.stdout


def test_a_terminal_without_unicode_gets_ascii(
    eagrctl: Invoke, find: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    find += [Finding("torch", True, "2.13.0"), Finding("dlib-bin", False, "broken", "install it")]
    monkeypatch.setattr(console, "plain", lambda: True)
    assert eagrctl("doctor").stdout.splitlines()[:2] == [
        "+ torch              2.13.0",
        "x dlib-bin           broken: install it",
    ]
