import random
import subprocess
import sys
from pathlib import Path

import pytest

from eagrctl.errors import AlignmentError
from eagrctl.faces import predictor_file
from eagrctl.faces.predictor_file import check_predictor
from eagrctl_tests.faces.test_landmarks import train


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound predictor, as dlib's trainer writes it."""
    return train(
        tmp_path_factory.mktemp("points") / "five.dat", [(200 + number, 120) for number in range(5)]
    ).read_bytes()


def test_a_sound_predictor_passes(content: bytes) -> None:
    check_predictor(content, "points.dat")


@pytest.mark.parametrize("end", [0, 1, 30, 4_000, -1])
def test_a_predictor_that_is_cut_short_is_refused(content: bytes, end: int) -> None:
    with pytest.raises(AlignmentError, match=r"points\.dat is not dlib's landmark predictor"):
        check_predictor(content[:end], "points.dat")


def test_what_stands_behind_the_end_is_refused(content: bytes) -> None:
    with pytest.raises(AlignmentError, match="more behind its end"):
        check_predictor(content + b"\1\0", "points.dat")


def test_a_pixel_that_there_is_not_is_refused(content: bytes) -> None:
    # The first split stands behind the version, the mean shape and three lengths.
    file = predictor_file._Reader(content)
    file.count()
    rows = predictor_file._number(file.take(rb"\x81."))
    file.take(rb"\x81.")
    file.take(predictor_file._FRACTION, rows)
    for _ in range(3):
        file.count()
    assert content[file.at] in (1, 2)
    changed = content[: file.at] + b"\x02\xff\xff" + content[file.at + 1 + content[file.at] :]
    with pytest.raises(AlignmentError, match="pixel 65,535 of "):
        check_predictor(changed, "points.dat")


TRY = """
import sys
import dlib, numpy as np
for path in sys.argv[1:]:
    predictor = dlib.shape_predictor(path)
    predictor(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8), dlib.rectangle(10, 10, 70, 70))
"""


def test_what_passes_does_not_crash_dlib(content: bytes, tmp_path: Path) -> None:
    chance = random.Random(0)
    passed = []
    for number in range(40):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 3))):
            changed[chance.randrange(chance.choice((60, 3000, len(changed))))] = chance.randrange(256)
        try:
            check_predictor(bytes(changed), "points.dat")
        except AlignmentError:
            continue
        passed.append(tmp_path / f"{number}.dat")
        passed[-1].write_bytes(changed)
    assert 3 <= len(passed) <= 37
    ran = subprocess.run([sys.executable, "-c", TRY, *passed], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
