from collections.abc import Generator, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eagrctl.benchmark.films import FILMS, Film, benchmark_films, flicker
from eagrctl.data.index import ShardIndex
from eagrctl_tests.conftest import face


def test_a_still_film_is_its_photo() -> None:
    photo, labels = face(1)
    film = Film.of(photo, labels, 3, motion=0, noise=0, seed=0)
    for frame, truth in zip(film.frames, film.truths, strict=True):
        np.testing.assert_array_equal(frame, photo)
        np.testing.assert_array_equal(truth, labels)


def test_the_truth_itself_does_not_flicker_however_it_moves() -> None:
    photo, labels = face(2, 128)
    film = Film.of(photo, labels, 24, motion=1, noise=0, seed=0)
    assert len({frame.tobytes() for frame in film.frames}) > 20
    changed, compared = flicker(film.truths, film)
    assert compared > 0.6 * 23 * labels.size
    assert changed < 0.0005 * compared


def test_what_changes_by_more_than_a_pixel_counts_once_for_each_change() -> None:
    photo, labels = face(3)
    film = Film.of(photo, np.zeros_like(labels), 3, motion=0, noise=0, seed=0)
    shown = [np.zeros_like(labels) for _ in range(3)]
    shown[1][10:14, 10:14] = 1  # comes, and goes; its rim is within a pixel of what was there
    shown[2][30, :] = 2  # so is a line
    changed, compared = flicker(shown, film)
    assert compared == 2 * labels.size
    assert changed == 2 * 2 * 2


class Doubtful:
    """Knows the truth of films that stand still, but for a patch that blinks where each frame is parsed for itself."""

    def __init__(self, index: ShardIndex) -> None:
        self.classes, self.index = index.classes, index

    def parse_many(self, frames: Iterable[np.ndarray], blinking: bool = True) -> Generator[Any, None, None]:
        for number, frame in enumerate(frames):
            labels = np.ones(frame.shape[:2], np.uint8)
            if blinking and number % 2:
                labels[20:30, 20:30] = 2
            yield SimpleNamespace(labels=labels)

    def parse_film(self, frames: Iterable[tuple[np.ndarray, float]]) -> Generator[Any, None, None]:
        return self.parse_many((frame for frame, _ in frames), blinking=False)


def test_both_ways_are_compared_on_the_same_films(tiny_data: ShardIndex) -> None:
    result = benchmark_films(Doubtful(tiny_data), tiny_data, "val", faces=2, frames=4)  # type: ignore[arg-type]
    assert [row[0] for row in result.tables[0].rows] == list(FILMS)
    for name in FILMS:
        ways = result.figures[name]
        assert ways["steady"]["flips"] < ways["frame by frame"]["flips"]
        assert 0 <= ways["steady"]["f1"] <= 1
    assert result.figures["still, noise"]["frame by frame"]["flips"] == pytest.approx(8 * 8 / 65**2)
