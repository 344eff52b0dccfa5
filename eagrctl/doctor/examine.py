"""Everything that the doctor looks at, in order."""

from collections.abc import Iterator
from pathlib import Path

from eagrctl.doctor.finding import Finding
from eagrctl.doctor.installation import extras, installation
from eagrctl.doctor.machine import machine
from eagrctl.doctor.places import places


def examine(folder: Path, data: Path, runs: Path) -> Iterator[Finding]:
    """Look at one thing after the other: should one end the process, the lines before it tell which it was.

    Args:
        folder: where eagrctl is to work.
        data: where prepared datasets are.
        runs: where runs are.
    """
    yield from installation(folder)
    yield from machine(folder)
    yield from places(folder, data, runs)
    yield from extras()
