"""Landmarks that somebody wrote into a text file."""

import re
from pathlib import Path

import numpy as np

from eagrctl.arrays import Landmarks
from eagrctl.errors import SourceError


def read_landmarks(path: Path) -> dict[str, Landmarks]:
    """Read landmarks, (5, 2) float64 by name, from a text file of one face a line.

    A line is `NAME x1 y1 ... x5 y5`, separated by commas or, where it has none, by spaces; `nan` stands for an unknown
    number. The first line may be a header. A comment starts with `#`, after numbers with `#` between spaces.

    Raises:
        SourceError: the file is missing, unreadable or empty, or a line of it is malformed or repeats a name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SourceError(f"{path} is missing: name a file of landmarks with --landmarks") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read as text ({error}): save landmarks as UTF-8") from None
    landmarks: dict[str, Landmarks] = {}
    first = True
    for number, line in enumerate(text.splitlines(), start=1):
        content = re.split(r"^\s*#|\s#\s", line, maxsplit=1)[0].strip()
        if not content:
            continue
        name, *fields = (field.strip() for field in (content.split(",") if "," in content else content.split()))
        coordinates = [_number(field) for field in fields]
        header, first = first and coordinates == [None] * 10, False
        if header:
            continue
        values = [value for value in coordinates if value is not None]
        if not name or len(fields) != 10 or len(values) != 10:
            raise SourceError(
                f"{path}, line {number}: {content[:60]!r} is not a name and ten numbers: write NAME x1 y1 ... x5 y5"
            )
        if name in landmarks:
            raise SourceError(f"{path}, line {number}: {name} is listed twice: keep one of the lines")
        landmarks[name] = np.array(values).reshape(5, 2)
    if not landmarks:
        raise SourceError(f"{path} names no face: write lines NAME x1 y1 x2 y2 ... x5 y5")
    return landmarks


def _number(text: str) -> float | None:
    """A finite number or NaN; None where the text is neither."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if np.isinf(value) else value
