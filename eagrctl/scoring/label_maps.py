"""Label maps that any tool predicted -> confusion, without a network."""

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from eagrctl.arrays import Pixels, shape_of
from eagrctl.data.labels import IGNORE
from eagrctl.errors import DataError, SourceError
from eagrctl.events import Listener, Progress, ignore
from eagrctl.readers.images import read_labels
from eagrctl.readers.schemes import Scheme
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.confusion import Confusion, Counts
from eagrctl.scoring.truths import Truths, label_maps
from eagrctl.workers import Workers


@dataclass(frozen=True)
class Compared:
    """What comparing predicted label maps with truths gave.

    Attributes:
        counts: the confusion matrix, (N, N) int64.
        boundary: boundary pixels; None where they were not asked for.
        images: how many were compared.
        resolutions: the distinct (height, width) they were compared at, sorted.
        missing: truths without a prediction.
        spare: predictions without a truth.
        ignored: labelled pixels that the predictions leave out, by an id that the scheme ignores.
    """

    counts: Counts
    boundary: Boundary | None
    images: int
    resolutions: tuple[tuple[int, int], ...]
    missing: int
    spare: int
    ignored: int


@dataclass(frozen=True)
class LabelMaps:
    """Predicted label maps beside their truths: PREDICTIONS/NAME.png for the truth of each name.

    Attributes:
        predictions: a folder of 8-bit PNGs, grey or palette, of one id a pixel; a palette's colours mean nothing.
        truths: what is right.
        scheme: what the predicted ids mean, for the truths' classes.
    """

    predictions: Path
    truths: Truths
    scheme: Scheme

    def read(self, place: int) -> tuple[Pixels, Pixels, int]:
        """The truth at a place and its prediction in the same ids, both (H, W) uint8.

        What the prediction leaves out is 255 in both, and the third number says how many labelled pixels that is.

        Raises:
            DataError: the truth cannot be read.
            SourceError: the prediction is missing, unreadable, no label map, of another size than its truth, or has an
                id that the scheme has not.
        """
        path, labels = self.predictions / f"{self.truths.names[place]}.png", self.truths.read(place)
        ids = read_labels(path, 256)
        if ids.shape != labels.shape:
            raise SourceError(
                f"{path} is {shape_of(ids)}, its truth {shape_of(labels)}: scores belong to the truth's own size, so "
                "map predictions back to it, without blending ids"
            )
        stranger = self.scheme.stranger(ids)
        if stranger is not None:
            raise SourceError(
                f"{path} holds id {stranger}, which scheme {self.scheme.name} has not: choose another with --scheme, "
                "or write one that lists it as a TOML file"
            )
        prediction = self.scheme.translate(ids)
        left_out = (prediction == IGNORE) & (labels != IGNORE)
        return np.where(left_out, np.uint8(IGNORE), labels), prediction, int(np.count_nonzero(left_out))

    def compare(
        self,
        boundaries: bool = False,
        keep_going: bool = False,
        workers: int = 1,
        listener: Listener = ignore,
        each: Callable[[int, Counts], None] | None = None,
    ) -> Compared:
        """Count pixels of all images, at each truth's own size.

        Args:
            boundaries: count boundary pixels, too.
            keep_going: leave out truths that have no prediction, instead of raising.
            workers: processes that read and count; the counts are the same for any number.
            listener: hears of progress.
            each: called with every truth's place and the confusion matrix of its image, in order.

        Raises:
            SourceError: as `read`; or nothing there is called like a truth.
            DataError: a truth cannot be read, or a worker process died.
        """
        present, names = set(label_maps(self.predictions)), self.truths.names
        places = [place for place, name in enumerate(names) if name in present]
        if len(places) < len(names):
            _check_missing(self.predictions, names, present, len(places), keep_going)
        classes = len(self.truths.labels)
        counts, boundary = Confusion(classes).counts, Boundary(classes) if boundaries else None
        resolutions: set[tuple[int, int]] = set()
        ignored, task = 0, "comparing label maps"
        listener(Progress(task, 0, len(places)))
        try:
            with Workers(workers, partial(_compare, self, boundaries)) as pool:
                for done, (place, one) in enumerate(pool.map(places), start=1):
                    counts += one.counts
                    ignored += one.ignored
                    resolutions.add(one.resolution)
                    if boundary is not None and one.boundary is not None:
                        boundary.join(one.boundary)
                    if each is not None:
                        each(place, one.counts)
                    listener(Progress(task, done, len(places)))
        except BrokenProcessPool:
            raise DataError("a worker process died, most likely out of memory: try fewer with --workers") from None
        return Compared(
            counts=counts,
            boundary=boundary,
            images=len(places),
            resolutions=tuple(sorted(resolutions)),
            missing=len(names) - len(places),
            spare=len(present) - len(places),
            ignored=ignored,
        )


@dataclass(frozen=True)
class _One:
    """What one image gives; fields as in `Compared`."""

    counts: Counts
    boundary: Boundary | None
    resolution: tuple[int, int]
    ignored: int


def _compare(maps: LabelMaps, boundaries: bool, place: int) -> _One:
    labels, prediction, ignored = maps.read(place)
    classes = len(maps.truths.labels)
    confusion, boundary = Confusion(classes), Boundary(classes) if boundaries else None
    confusion.add(labels, prediction)
    if boundary is not None:
        boundary.add(labels, prediction)
    return _One(confusion.counts, boundary, (labels.shape[0], labels.shape[1]), ignored)


def _check_missing(predictions: Path, names: Sequence[str], present: set[str], found: int, keep_going: bool) -> None:
    first = next(name for name in names if name not in present)
    if not found:
        raise SourceError(
            f"no file in {predictions} is called like a truth, of which the first is {first}.png, while "
            f"{min(present)}.png is there: name each prediction as its truth"
        )
    if not keep_going:
        missing = len(names) - found
        also = f", the first of {missing:,} of {len(names):,}" if missing > 1 else ""
        raise SourceError(
            f"{predictions / f'{first}.png'} is missing{also}: predict what is missing, or add --partial to score the "
            f"{found:,} that are there"
        )
