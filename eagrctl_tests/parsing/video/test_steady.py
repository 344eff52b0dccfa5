from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from eagrctl.arrays import Pixels
from eagrctl.data.align import align_matrix
from eagrctl.faces.found import FoundFace
from eagrctl.parsing.labelling import label_face
from eagrctl.parsing.parsed import ParsedFace
from eagrctl.parsing.placing import Placer, Square
from eagrctl.parsing.video.steady import FilmMemory, Steadier, parse_film

SIZE, GRID, CLASSES = 65, 17, 3
POINTS = np.array([[203.0, 102], [246, 104], [221, 125], [201, 140], [245, 141]])


class Finder:
    """Finds the astronaut's face where it is, give or take a pixel; not in every seventh frame."""

    description = identity = "trembling"

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.frames = 0

    def find_all(self, image: Pixels) -> list[FoundFace]:
        self.frames += 1
        if self.frames % 7 == 0:
            return []
        points = POINTS + self.random.normal(0, 1, (1, 2))
        return [FoundFace(np.array([180.0, 80, 268, 172]), 0.9, points)]


def square_of(photo: Pixels) -> Square:
    return Placer(SIZE, "faces", None).square(photo, FoundFace(np.array([180.0, 80, 268, 172]), 0.9, POINTS))


def spoken(square: Square, logits: np.ndarray) -> ParsedFace:
    return label_face(square, torch.from_numpy(logits.astype(np.float32)), SIZE)


def test_what_is_said_of_a_still_face_is_averaged_and_of_one_that_changes_is_not() -> None:
    random, photo = np.random.default_rng(1), astronaut()
    for still in (True, False):
        steadier, changes, plain = Steadier(), [], []
        before: tuple[np.ndarray, np.ndarray] | None = None
        for number in range(12):
            shown = photo if still or number % 2 == 0 else 255 - photo
            square = square_of(shown)
            face = spoken(square, random.normal(0, 1, (CLASSES, GRID, GRID)))
            (steady,) = steadier.steady([0], [square], [face])
            if before is not None:
                changes.append((steady.labels != before[0]).mean())
                plain.append((face.labels != before[1]).mean())
            before = steady.labels, face.labels
        assert (np.mean(changes) < 0.8 * np.mean(plain)) == still
        if not still:
            assert np.mean(changes) == pytest.approx(np.mean(plain), abs=0.02)


def test_another_face_and_another_grid_begin_anew() -> None:
    steadier, square = Steadier(), square_of(astronaut())
    one, other = (spoken(square, np.random.default_rng(seed).normal(0, 1, (CLASSES, GRID, GRID))) for seed in (1, 2))
    steadier.steady([0], [square], [one])
    (found,) = steadier.steady([1], [square], [other])
    assert np.array_equal(found.labels, other.labels)
    wide = spoken(square, np.random.default_rng(3).normal(0, 1, (CLASSES, 33, 33)))
    (found,) = steadier.steady([1], [square], [wide])
    assert np.array_equal(found.labels, wide.labels)


def test_a_film_gives_each_frame_its_face_though_the_detector_blinks_and_trembles_less() -> None:
    film, placer = [astronaut() for _ in range(30)], Placer(SIZE, "faces", Finder())

    def label(squares: list[Square]) -> list[ParsedFace]:
        return [spoken(square, np.zeros((CLASSES, GRID, GRID))) for square in squares]

    def frames() -> Iterator[tuple[Pixels, float]]:
        return ((frame, number / 25) for number, frame in enumerate(film))

    found = list(parse_film(frames(), placer, label, 4, torch.device("cpu"), 1))  # type: ignore[arg-type]
    assert [frame is photo for (frame, _), photo in zip(found, film, strict=True)] == [True] * 30
    assert [len(faces) for _, faces in found] == [1] * 30
    finder = Finder()
    alone = [faces[0].landmarks for frame in film if (faces := finder.find_all(frame))]
    steady = [align_matrix(faces[0].landmarks, SIZE) for _, faces in found if faces[0].landmarks is not None]
    jitter = [
        np.std([matrix[:, 2] for matrix in each], axis=0).max()
        for each in (steady, [align_matrix(points, SIZE) for points in alone])
    ]
    assert jitter[0] < 0.7 * jitter[1]


class Numbered:
    """Trembles, and misses every seventh frame, as a frame's first pixel says: alike whoever looks, and whenever."""

    def find_all(self, image: Pixels) -> list[FoundFace]:
        number = int(image[0, 0, 0])
        found = Finder().find_all(image)[0] if number % 7 else None
        shaken = np.random.default_rng(number).normal(0, 2, (5, 2))
        return [] if found is None else [replace(found, landmarks=found.landmarks + shaken)]


@pytest.mark.parametrize("first", [1, 3, 11, 20])
def test_a_film_that_is_gone_on_with_is_the_same(first: int) -> None:
    film, placer = [astronaut() for _ in range(21)], Placer(SIZE, "faces", Numbered())  # type: ignore[arg-type]
    for number, frame in enumerate(film):
        frame[0, 0, 0] = number + 1
    rng = np.random.default_rng(0)
    said = rng.normal(size=(len(film), CLASSES, GRID, GRID))

    def label(squares: list[Square]) -> list[ParsedFace]:
        # The brightness of a square tells whose it is, so that the same frame is spoken of alike.
        return [spoken(square, said[int(square.pixels.sum()) % len(film)]) for square in squares]

    def parsed(start: int, memory: FilmMemory) -> list[list[ParsedFace]]:
        frames = ((film[number], number / 25) for number in range(start, len(film)))
        results = parse_film(frames, placer, label, 4, torch.device("cpu"), 2, memory)  # type: ignore[arg-type]
        return [faces for _, faces in (islice(results, first) if not start else results)]

    memory = FilmMemory()
    begun = parsed(0, memory)
    assert len(memory.found) == first
    rest = parsed(first, memory)
    frames = ((frame, number / 25) for number, frame in enumerate(film))
    whole = [faces for _, faces in parse_film(frames, placer, label, 4, torch.device("cpu"), 2)]  # type: ignore[arg-type]
    assert [len(faces) for faces in begun + rest] == [len(faces) for faces in whole]
    for faces, same in zip(begun + rest, whole, strict=True):
        for face, other in zip(faces, same, strict=True):
            np.testing.assert_array_equal(face.labels, other.labels)
            np.testing.assert_array_equal(face.matrix, other.matrix)
