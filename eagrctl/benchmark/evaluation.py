"""How long an evaluation takes, part by part, beside the plain way of doing the same."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F

from eagrctl.arrays import Pixels
from eagrctl.benchmark.harness import Result, Table, hardware
from eagrctl.data.index import ShardIndex
from eagrctl.data.sample import AlignedSample
from eagrctl.events import Listener, Progress, ignore
from eagrctl.inference.clock import Clock
from eagrctl.inference.predict import Segmenter
from eagrctl.scoring.confusion import Confusion, Counts
from eagrctl.scoring.scores import score

READ, NETWORK, MAP, COUNT, SCORE = "read samples", "network", "map back", "confusion", "scores"
PARTS = (READ, NETWORK, MAP, COUNT, SCORE)
OUTSIDE = (MAP, COUNT, SCORE)  # what the network's time is compared with


@dataclass(frozen=True)
class EvaluationSpeed:
    """Where the time of an evaluation goes.

    Attributes:
        images: how many were evaluated.
        ours: seconds by part.
        plain: seconds by part, the plain way.
        differing: share of the pixels that the two ways label differently.
    """

    images: int
    ours: dict[str, float]
    plain: dict[str, float]
    differing: float

    @property
    def outside(self) -> float:
        """Share of our time spent outside the network, reading left out."""
        return sum(self.ours[part] for part in OUTSIDE) / sum(self.ours.values())

    @property
    def times_plain(self) -> float:
        """Our images a second, over those of the plain way."""
        return sum(self.plain.values()) / sum(self.ours.values())


def benchmark_evaluation(
    predictor: Segmenter, index: ShardIndex, split: str, images: int, batch: int, listener: Listener = ignore
) -> Result:
    """The figures of `measure_evaluation`, whose arguments these are, in tables and words."""
    speed = measure_evaluation(predictor, index, split, images, batch, listener)
    ours, plain = sum(speed.ours.values()), sum(speed.plain.values())
    parts = {part: (speed.ours[part], speed.plain[part]) for part in PARTS} | {"together": (ours, plain)}
    rows = [(name, *(f"{1000 * each / speed.images:.2f}" for each in pair)) for name, pair in parts.items()]
    rows.append(("images a second", f"{speed.images / ours:.1f}", f"{speed.images / plain:.1f}"))
    return Result(
        hardware(predictor.device.type == "cuda"),
        [Table(f"{speed.images} images of {index.root}", ("ms per image", "eagrctl", "the plain way"), rows)],
        [
            f"Outside the network (mapping back, confusion, scores): {100 * speed.outside:.1f} % of the time. "
            f"{speed.times_plain:.1f} times the images a second of the plain way; "
            f"{100 * speed.differing:.2f} % of the pixels differ, because that resizes twice."
        ],
        asdict(speed) | {"outside": speed.outside, "times_plain": speed.times_plain},
    )


def measure_evaluation(
    predictor: Segmenter, index: ShardIndex, split: str, images: int, batch: int = 8, listener: Listener = ignore
) -> EvaluationSpeed:
    """Evaluate the same faces our way and the plain way, in turns, and take the time.

    The plain way resizes all logits to the full input and on to the photo's frame, takes the best class with NumPy, and
    counts each pair of classes in a loop over both. It is for faces that were not turned, and knows no frame beyond the
    crop, as much such code does.

    Args:
        predictor: the network.
        index: the prepared dataset.
        split: which of its splits.
        images: at most so many faces of it.
        batch: faces predicted together.
        listener: hears of progress.

    Raises:
        ShardError: no such split, or a shard that cannot be read.
    """
    total = min(images, index.split(split).count)
    ours, plain = Clock(PARTS, predictor.device), Clock(PARTS, predictor.device)
    own, other = Confusion(len(index.classes)), np.zeros((len(index.classes),) * 2, np.int64)
    differing = pixels = 0
    # Warm up: the first pass chooses kernels and fills caches.
    predictor.logits([index.read(split, 0).image] * min(batch, total))
    for start in range(0, total, batch):
        places = range(start, min(start + batch, total))
        with ours.part(READ), plain.part(READ):
            faces = [index.read(split, place) for place in places]
        photos, matrices = [face.image for face in faces], [face.matrix for face in faces]
        sizes = [(face.source_labels.shape[0], face.source_labels.shape[1]) for face in faces]
        with ours.part(NETWORK), plain.part(NETWORK):
            logits = predictor.logits(photos)
        with ours.part(MAP):
            found = predictor.to_source(logits, photos, matrices, sizes)
        with ours.part(COUNT):
            for face, labels in zip(faces, found, strict=True):
                own.add(face.source_labels, labels)
        with plain.part(MAP):
            slow = _plain_labels(logits, photos, sizes)
        with plain.part(COUNT):
            _plain_count(other, faces, slow)
        differing += sum(int((one != two).sum()) for one, two in zip(found, slow, strict=True))
        pixels += sum(each.size for each in found)
        listener(Progress("evaluating both ways", places[-1] + 1, total))
    with ours.part(SCORE):
        score(own.counts, index.labels)
    with plain.part(SCORE):
        score(other, index.labels)
    return EvaluationSpeed(total, ours.seconds, plain.seconds, differing / max(pixels, 1))


def _plain_labels(logits: torch.Tensor, photos: list[Pixels], sizes: list[tuple[int, int]]) -> list[Pixels]:
    labels = []
    for scores, photo, size in zip(logits, photos, sizes, strict=True):
        whole = F.interpolate(scores[None].float(), size=photo.shape[:2], mode="bilinear", align_corners=True)
        there = F.interpolate(whole, size=size, mode="bilinear", align_corners=False)
        labels.append(there[0].cpu().numpy().argmax(axis=0).astype(np.uint8))
    return labels


def _plain_count(counts: Counts, faces: list[AlignedSample], predictions: list[Pixels]) -> None:
    for face, prediction in zip(faces, predictions, strict=True):
        for labelled in range(len(counts)):
            for predicted in range(len(counts)):
                both = (face.source_labels == labelled) & (prediction == predicted)
                counts[labelled, predicted] += int(both.sum())
