"""How good detectors are, beside one another on the same photos: real ones, composites, and ones without a face.

A face is found where a box shares `FOUND` of what both cover with its own; each box finds one face at most. What is
annotated by hand, and what is painted, differ in where a face ends, so that more would count habits, not misses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from eagrctl.events import Listener, ignore, tracked
from eagrctl.faces.found import FaceFinder, roll_of
from eagrctl.training.detector.measure import FALSE, HIT, Matches, match, pooled
from eagrctl.training.scenes.composites import Scene, SceneRecipe, scene
from eagrctl.training.scenes.materials import Material, MaterialIndex, PhotoAbout
from eagrctl.training.scenes.pasting import Stock

FOUND = 0.4  # intersection over union
PRECISE = 0.5  # the same for average precision, as WIDER FACE has it
SIDE = 640  # pixels of a composite
CLEAR = 8.0  # pixels between the eyes, from which on turns and covers are counted
HEIGHTS = (0, 16, 32, 64, 10_000)  # pixels of faces in real photos
EYES = (4, 5, 8, 16, 48, 10_000)  # pixels between the eyes in composites
TURNS = (0, 30, 60, 120, 181)  # degrees, either way

Cells = dict[str, tuple[int, int]]  # by group: how many were found, of how many


@dataclass(frozen=True)
class DetectorScore:
    """One detector's figures.

    Attributes:
        name: in words.
        groups: by what kind of face, how many were found, of how many.
        false_boxes: in the real photos.
        photos: how many those are.
        average_precision: on real photos, at an IoU of `PRECISE`; 0..1.
        alarms: how many photos without a face got a box.
        faceless: how many those are.
        points: (N,) float64, errors of the points of faces found in composites, as a share of the eyes' distance.
        tilts: (M,) float64, errors of the line through the eyes there, in degrees.
        seconds: for a real photo, on average.
    """

    name: str
    groups: Cells
    false_boxes: int
    photos: int
    average_precision: float
    alarms: int
    faceless: int
    points: NDArray[np.float64]
    tilts: NDArray[np.float64]
    seconds: float


def evaluate_detectors(
    index: MaterialIndex,
    split: str,
    finders: Mapping[str, FaceFinder],
    composites: int = 300,
    seed: int = 0,
    listener: Listener = ignore,
) -> list[DetectorScore]:
    """Measure detectors on the photos, composites and backgrounds of a split.

    Args:
        index: prepared material; heads of faces are those of its split val, if the one asked for has few.
        split: "val" or "test".
        finders: by name.
        composites: how many are made.
        seed: of the composites.
        listener: hears of progress.

    Raises:
        ShardError: a shard cannot be read.
    """
    stock = Stock.of(index, split)
    heads = (*stock.heads, *(index.read("heads", "val") if split == "test" else ()))
    only = SceneRecipe(SIDE, photos=0.0, backgrounds=0.0, covered=0.3, turned=0.4, squeezed=0.25, nearest=4.0)
    made = Stock(heads, (), stock.backgrounds)
    tallies = {name: _Tally(finder) for name, finder in finders.items()}
    for material in tracked(stock.photos, "real photos", listener):
        for tally in tallies.values():
            tally.on_photo(material)
    for number in tracked(range(composites), "composites", listener):
        shown = scene(made, only, seed, 0, number)
        for tally in tallies.values():
            tally.on_composite(shown)
    for material in tracked(stock.backgrounds, "photos without a face", listener):
        pixels = np.asarray(material.picture())
        for tally in tallies.values():
            tally.alarms += bool(tally.finder.find_all(pixels))
    return [
        DetectorScore(
            name=name,
            groups=tally.groups,
            false_boxes=tally.false_boxes,
            photos=len(stock.photos),
            average_precision=pooled(tally.matches, tally.faces),
            alarms=tally.alarms,
            faceless=len(stock.backgrounds),
            points=np.array(tally.points),
            tilts=np.array(tally.tilts),
            seconds=tally.seconds / max(1, len(stock.photos)),
        )
        for name, tally in tallies.items()
    ]


class _Tally:
    """What is counted of one detector."""

    def __init__(self, finder: FaceFinder) -> None:
        self.finder = finder
        self.groups: Cells = {}
        self.matches: list[tuple[NDArray[np.float64], Matches]] = []
        self.faces = self.false_boxes = self.alarms = 0
        self.seconds = 0.0
        self.points: list[float] = []
        self.tilts: list[float] = []

    def on_photo(self, material: Material) -> None:
        about = material.about
        assert isinstance(about, PhotoAbout)
        boxes, ignored = (np.array(each, np.float64).reshape(-1, 4) for each in (about.boxes, about.ignored))
        pixels = np.asarray(material.picture())
        start = perf_counter()
        found = self.finder.find_all(pixels)
        self.seconds += perf_counter() - start
        given, scores = np.array([face.box for face in found]).reshape(-1, 4), np.array([f.confidence for f in found])
        self.matches.append((scores, match(given, scores, boxes, ignored, PRECISE)))
        self.faces += len(boxes)
        matches = match(given, scores, boxes, ignored, FOUND)
        self.false_boxes += int((matches.kinds == FALSE).sum())
        hit = np.isin(np.arange(len(boxes)), matches.faces)
        for box, seen in zip(boxes, hit, strict=True):
            height = box[3] - box[1]
            self._count(_between("real, {} to {} pixels high", "real, {} pixels high and more", height, HEIGHTS), seen)
        pointed = any(points is not None for points in about.points)
        self._count(f"real, photos with {'five points' if pointed else 'boxes alone'}", *hit)

    def on_composite(self, shown: Scene) -> None:
        found = self.finder.find_all(shown.image)
        given, scores = np.array([face.box for face in found]).reshape(-1, 4), np.array([f.confidence for f in found])
        matches = match(given, scores, shown.boxes, shown.ignored, FOUND)
        for number, (eyes, covered, turn) in enumerate(zip(shown.eyes, shown.covered, shown.turns, strict=True)):
            rows = np.flatnonzero((matches.kinds == HIT) & (matches.faces == number))
            seen = len(rows) > 0
            self._count(_between("eyes {} to {} pixels apart", "eyes {} pixels apart and more", eyes, EYES), seen)
            if eyes < CLEAR:
                continue
            self._count("covered" if covered else "not covered", seen)
            self._count(_between("turned by {} to {} degrees", "turned by {} degrees and more", abs(turn), TURNS), seen)
            self._count(f"eyes {CLEAR:g} pixels apart and more, all", seen)
            if seen:
                self._compare(found[rows[0]].landmarks, shown.points[number].astype(np.float64))

    def _compare(self, found: NDArray[np.float64], true: NDArray[np.float64]) -> None:
        both = np.isfinite(true[:, 0] + found[:, 0])
        if not both[:2].all():
            return
        apart = float(np.hypot(*(true[1] - true[0])))
        self.points.extend((np.hypot(*(found[both] - true[both]).T) / apart).tolist())
        turned = (roll_of(found) or 0.0) - (roll_of(true) or 0.0)
        self.tilts.append(abs((turned + 180) % 360 - 180))

    def _count(self, group: str, *seen: bool) -> None:
        found, total = self.groups.get(group, (0, 0))
        self.groups[group] = found + sum(map(int, seen)), total + len(seen)


def _between(text: str, last: str, value: float, edges: Sequence[int]) -> str:
    place = int(np.clip(np.searchsorted(edges, value, side="right") - 1, 0, len(edges) - 2))
    return last.format(edges[place]) if place == len(edges) - 2 else text.format(edges[place], edges[place + 1])
