"""How long an evaluation takes, part by part, beside the plain way of doing the same."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from eagrctl.arrays import Pixels
from eagrctl.benchmark.harness import Result, Table, hardware
from eagrctl.data.index import ShardIndex
from eagrctl.data.source import AlignedSample
from eagrctl.events import Listener, Progress, ignore
from eagrctl.inference.clock import Clock
from eagrctl.inference.predict import Segmenter
from eagrctl.scoring.confusion import Confusion, Counts
from eagrctl.scoring.scores import score

READ, NETWORK, MAP, COUNT, SCORE = "read samples", "network", "map back", "confusion", "scores"
PARTS = (READ, NETWORK, MAP, COUNT, SCORE)
OUTSIDE = (MAP, COUNT, SCORE)  # what the network's time is compared with


def benchmark_evaluation(
    predictor: Segmenter, index: ShardIndex, split: str, images: int, batch: int = 8, listener: Listener = ignore
) -> Result:
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
    figures = figures_of(total, ours.seconds, plain.seconds) | {"differing": differing / max(pixels, 1)}
    return Result(
        hardware(predictor.device.type == "cuda"),
        [_table(f"{total} images of {index.root}", total, ours.seconds, plain.seconds)],
        [
            f"Outside the network (mapping back, confusion, scores): {100 * figures['outside']:.1f} % of the time. "
            f"{figures['times_plain']:.1f} times the images a second of the plain way; "
            f"{100 * figures['differing']:.2f} % of the pixels differ, because that resizes twice."
        ],
        figures,
    )


def figures_of(images: int, ours: dict[str, float], plain: dict[str, float]) -> dict[str, Any]:
    """Where the time goes.

    Args:
        images: how many were evaluated.
        ours: seconds by part.
        plain: the same of the plain way.

    Returns:
        These; `outside`, the share of our time spent outside the network, reading left out; and `times_plain`, our
        images a second over those of the plain way.
    """
    together = sum(ours.values())
    outside, times = sum(ours[part] for part in OUTSIDE) / together, sum(plain.values()) / together
    return {"images": images, "ours": ours, "plain": plain, "outside": outside, "times_plain": times}


def _table(title: str, images: int, *ways: dict[str, float]) -> Table:
    totals = [way | {"together": sum(way.values())} for way in ways]
    rows = [(part, *(f"{1000 * way[part] / images:.2f}" for way in totals)) for part in totals[0]]
    rows.append(("images a second", *(f"{images / way['together']:.1f}" for way in totals)))
    return Table(title, ("ms per image", "eagrctl", "the plain way"), rows)


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
