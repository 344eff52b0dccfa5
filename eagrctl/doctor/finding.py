"""One thing that the doctor looked at."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A line of what the doctor says.

    Attributes:
        name: what was looked at.
        good: True; False where it is broken; None where it is absent, and can be done without.
        detail: what was found.
        remedy: what to do about it, wherever it is not good.
        needed: whether training cannot work without it.
    """

    name: str
    good: bool | None
    detail: str
    remedy: str = ""
    needed: bool = False


def why_not(work: Callable[[], object]) -> str | None:
    """Do what only a sound installation can do, and tell in one line why it failed; None where it did not."""
    try:
        work()
    except Exception as error:  # a broken package raises whatever it likes
        said = (str(error).strip() or "no reason given").splitlines()[0]
        return f"{type(error).__name__}: {said}"
    return None


def gigabytes(count: float) -> str:
    """Bytes in words."""
    return f"{count / 1e9:,.1f} GB"
