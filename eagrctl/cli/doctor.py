"""`eagrctl doctor`: can eagrctl work here, and what is to be done where it cannot?"""

from pathlib import Path

from eagrctl.cli import console
from eagrctl.cli.options import DATA, RUNS
from eagrctl.errors import TrainingError

NAME = 18  # characters, of the longest name


def doctor() -> None:
    """Look at versions, GPUs, memory, disk, data, dlib's landmark predictor, caches and extras.

    A tick means good, a cross broken, and a dash absent, which is not a failure. A line ends with what to do about it.
    The exit code is 1 where training cannot work here.

    ```text
    eagrctl doctor
    ```
    """
    from eagrctl.doctor import examine

    failed = []
    for finding in examine(Path(), DATA, RUNS):
        remedy = f": {finding.remedy}" if finding.remedy else ""
        console.marked(finding.good, f"{finding.name:<{NAME}} {finding.detail}{remedy}")
        if finding.needed and finding.good is False:
            failed.append(finding.name)
    if failed:
        raise TrainingError(f"training cannot work here: mend {', '.join(failed)}")
    console.result("Training works here.")
