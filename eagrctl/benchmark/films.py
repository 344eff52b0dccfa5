"""How much the labels of a film flicker, beside each frame parsed for itself, on films whose truth is known.

A film is a labelled face that does not change: it stands still under noise, or it moves smoothly, or both. Whatever
changes its label from one frame to the next, at the same point of the face, is flicker. A pixel's step to the border of
the next class is not counted: where a face moves, the truth itself, sampled at pixels, steps so.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eagrctl.arrays import Matrix, Pixels
from eagrctl.benchmark.harness import Result, Table, hardware
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import IGNORE
from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, ignore, tracked
from eagrctl.geometry import compose, invert, sample
from eagrctl.parsing.parsed import Failed
from eagrctl.parsing.parser import FaceParser
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.evaluate import check_classes
from eagrctl.scoring.scores import score

NOISE = 6.0  # deviation, of 255
TURN, SHIFT, GROWTH = 6.0, 0.05, 0.05  # degrees, and shares of the side, at most
PERIOD = 24  # frames to and fro
RATE = 25  # frames a second

# By name: how far it moves, and its noise.
FILMS = {"still, noise": (0.0, NOISE), "moving": (1.0, 0.0), "moving, noise": (1.0, NOISE)}


@dataclass(frozen=True, eq=False)
class Film:
    """Frames of one face.

    Attributes:
        frames: (S, S, 3) uint8 each.
        truths: (S, S) uint8 each; 255 where the photo has ended.
        matrices: take the photo's pixels to each frame's.
    """

    frames: list[Pixels]
    truths: list[Pixels]
    matrices: list[Matrix]

    @classmethod
    def of(cls, photo: Pixels, labels: Pixels, frames: int, motion: float, noise: float, seed: int) -> "Film":
        """A film of a photo, (S, S, 3) uint8, and its labels, (S, S) uint8."""
        rng, size = np.random.default_rng(seed), len(photo)
        film = cls([], [], [])
        whole = Image.fromarray(np.full((size, size), 255, np.uint8))
        for time in range(frames):
            matrix = _moved(time, size, motion)
            frame = sample(Image.fromarray(photo), matrix, size, Image.Resampling.BICUBIC)
            shaken = np.clip(frame + rng.normal(0, noise, frame.shape), 0, 255).round().astype(np.uint8)
            truth = sample(Image.fromarray(labels), matrix, size, Image.Resampling.NEAREST)
            shown = sample(whole, matrix, size, Image.Resampling.NEAREST)
            film.frames.append(shaken)
            film.truths.append(np.where(shown > 0, truth, IGNORE).astype(np.uint8))
            film.matrices.append(matrix)
        return film


def benchmark_films(
    parser: FaceParser,
    index: ShardIndex,
    split: str,
    faces: int = 5,
    frames: int = 12,
    on_gpu: bool = False,
    listener: Listener = ignore,
) -> Result:
    """Parse the same films steadily and frame by frame, and compare flicker and F1.

    Args:
        parser: with a detector.
        index: prepared faces, each of which makes a film at the size at which it is stored.
        split: which of its splits.
        faces: so many of it, evenly spread.
        frames: of each film.
        on_gpu: whether the parser runs on one.
        listener: hears of progress.

    Raises:
        CheckpointError: the network has other classes than the dataset.
        ShardError: no such split, or a shard that cannot be read.
        EagrctlError: a frame cannot be parsed.
    """
    check_classes(parser.classes, index, "the network")
    ways: dict[str, Callable[[Film], Iterator[Pixels]]] = {
        "frame by frame": lambda film: _alone(parser, film),
        "steady": lambda film: _steadily(parser, film),
    }
    flips = {(name, way): [0, 0] for name in FILMS for way in ways}
    counted = {(name, way): Confusion(len(index.classes)) for name in FILMS for way in ways}
    places = np.linspace(0, index.split(split).count - 1, faces).round().astype(int).tolist()
    work = [(place, name) for place in places for name in FILMS]
    for place, name in tracked(work, "parsing films", listener):
        face = index.read(split, place)
        film = Film.of(face.image, face.labels, frames, *FILMS[name], seed=place)
        for way, parse in ways.items():
            labels = list(parse(film))
            for truth, found in zip(film.truths, labels, strict=True):
                counted[name, way].add(truth, found)
            changed, compared = flicker(labels, film)
            flips[name, way][0] += changed
            flips[name, way][1] += compared
    shares = {each: changed / max(1, compared) for each, (changed, compared) in flips.items()}
    f1 = {each: score(confusion.counts, index.labels).mean_f1 for each, confusion in counted.items()}
    rows = [
        (name, *(f"{100 * shares[name, way]:.2f}" for way in ways), *(f"{100 * f1[name, way]:.1f}" for way in ways))
        for name in FILMS
    ]
    headings = ("film", *(f"flips, {way}" for way in ways), *(f"F1, {way}" for way in ways))
    return Result(
        hardware(on_gpu),
        [Table(f"{faces} faces of {index.root}, {frames} frames each", headings, rows)],
        [
            "Flips: percent of the pixels of a face's photo whose label changes from a frame to the next, by more than "
            "a pixel's step. Both ways parse the same frames."
        ],
        {name: {way: {"flips": shares[name, way], "f1": f1[name, way]} for way in ways} for name in FILMS},
    )


def flicker(labels: list[Pixels], film: Film) -> tuple[int, int]:
    """How many pixels of the photo change their label from a frame to the next, and how many are compared.

    A label that lies within a pixel in the other frame, both ways, is none that changed.
    """
    size = len(film.frames[0])
    in_photo = [_seen(found, matrix, size) for found, matrix in zip(labels, film.matrices, strict=True)]
    changed = compared = 0
    for (before, there), (after, too) in pairwise(in_photo):
        both = there & too
        changed += int((both & ~_near(before, after) & ~_near(after, before)).sum())
        compared += int(both.sum())
    return changed, compared


def _seen(labels: Pixels, matrix: Matrix, size: int) -> tuple[Pixels, NDArray[np.bool_]]:
    """A frame's labels at the photo's pixels, and where the frame shows these."""
    back = invert(matrix)
    whole = Image.fromarray(np.full((size, size), 255, np.uint8))
    shown = sample(whole, back, size, Image.Resampling.NEAREST) > 0
    return sample(Image.fromarray(labels), back, size, Image.Resampling.NEAREST), shown


def _near(labels: Pixels, other: Pixels) -> NDArray[np.bool_]:
    """Where a label is that of a pixel beside in the other map, or of the same one."""
    height, width = labels.shape
    padded = np.pad(other, 1, mode="edge")
    around = [padded[down : down + height, right : right + width] for down in range(3) for right in range(3)]
    found: NDArray[np.bool_] = np.any([each == labels for each in around], axis=0)
    return found


def _moved(time: int, size: int, motion: float) -> Matrix:
    """Where the photo is at a time: turned, shifted and scaled about its middle, to and fro."""
    phase = 2 * math.pi * time / PERIOD
    angle = math.radians(motion * TURN * math.sin(phase))
    factor = 1 + motion * GROWTH * math.sin(2 * phase)
    across, down = motion * SHIFT * size * math.sin(phase), motion * SHIFT * size * (1 - math.cos(phase)) / 2
    middle = 0.5 * (size - 1)
    about = np.array([[1.0, 0.0, -middle], [0.0, 1.0, -middle]])
    turned = factor * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return compose(np.column_stack([turned, [middle + across, middle + down]]), about)


def _alone(parser: FaceParser, film: Film) -> Iterator[Pixels]:
    for parsed in parser.parse_many(film.frames):
        if isinstance(parsed, Failed):
            raise EagrctlError(str(parsed.error))
        yield parsed.labels


def _steadily(parser: FaceParser, film: Film) -> Iterator[Pixels]:
    timed = ((frame, number / RATE) for number, frame in enumerate(film.frames))
    for parsed in parser.parse_film(timed):
        yield parsed.labels
