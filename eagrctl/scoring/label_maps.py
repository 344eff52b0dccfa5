"""Label maps that any tool predicted -> the report that a network's evaluation has, as far as they alone can tell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eagrctl.arrays import Pixels, shape_of
from eagrctl.data.labels import IGNORE, LabelSet, in_words
from eagrctl.errors import SourceError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.readers.images import read_labels
from eagrctl.readers.schemes import COUNTERPARTS, OFFICIAL, SCHEMES, Scheme, find_scheme
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.confusion import Confusion, Counts
from eagrctl.scoring.examples import Example, mean_f1_of, ranked
from eagrctl.scoring.origin import Origin
from eagrctl.scoring.report.contents import Report
from eagrctl.scoring.scores import score
from eagrctl.scoring.truths import Truths, label_maps
from eagrctl.workers import Workers

FAR_BETTER = 20  # points of mean F1


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

        See `read_ids` for errors, and `_translated` for what the third number is.
        """
        labels, ids = self.read_ids(place)
        return _translated(labels, ids, self.scheme)

    def read_ids(self, place: int) -> tuple[Pixels, Pixels]:
        """The truth at a place and its prediction in its own ids, both (H, W) uint8.

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
        return labels, ids

    def report(
        self,
        method: str = "label maps",
        boundaries: bool = True,
        examples: bool = True,
        keep_going: bool = False,
        workers: int = 1,
        listener: Listener = ignore,
    ) -> Report:
        """Score all images, each at its truth's own size.

        Args:
            method: the name of our row.
            boundaries: count boundary pixels, too.
            examples: keep the best, median and worst faces, where the truths come with photos.
            keep_going: leave out truths that have no prediction, instead of raising.
            workers: processes that read and count; the counts are the same for any number.
            listener: hears of progress, and of whatever is left out.

        Raises:
            SourceError: as `read`; or nothing there is called like a truth.
            DataError: a truth cannot be read.
            EagrctlError: a worker process died.
        """
        present, names = set(label_maps(self.predictions)), self.truths.names
        places = [place for place, name in enumerate(names) if name in present]
        if len(places) < len(names):
            _check_missing(self.predictions, names, present, len(places), keep_going)
        classes = len(self.truths.labels)
        counts, boundary = Confusion(classes).counts, Boundary(classes)
        means: list[float] = []  # mean F1 of each face
        resolutions: set[tuple[int, int]] = set()
        ids = np.zeros((classes, 256), np.int64)  # predicted ids of each class's pixels
        ignored, task = 0, "comparing label maps"
        listener(Progress(task, 0, len(places)))
        with Workers(workers, partial(_compare, self, boundaries)) as pool:
            for done, (_, one) in enumerate(pool.map(places), start=1):
                counts += one.counts
                ids += one.ids
                ignored += one.ignored
                resolutions.add(one.resolution)
                boundary.join(one.boundary)
                means.append(mean_f1_of(one.counts))
                listener(Progress(task, done, len(places)))
        left_out = _left_out(len(names) - len(places), len(names), ignored, int(counts.sum()))
        lacking = lacking_in_words(self.scheme)
        for text in (
            left_out and f"left out {left_out}",
            lacking and f"scheme {self.scheme.name} {lacking}",
            self._better(ids, counts),
        ):
            if text:
                listener(Notice(text, warning=True))
        if len(present) > len(places):
            spare = len(present) - len(places)
            listener(Notice(f"{spare:,} files in {self.predictions} have no truth of their name: not scored"))
        shown = self._examples(places, means) if examples and self.truths.index is not None else ()
        return Report(
            method=method,
            counts=counts,
            labels=self.truths.labels,
            origin=self._origin(len(places), tuple(sorted(resolutions)), left_out, lacking),
            boundary=boundary if boundaries else None,
            examples=shown,
        )

    def _better(self, ids: Counts, counts: Counts) -> str:
        """Which other scheme would give far better scores, in words; empty where none does, or none is known."""
        ours, labels = _mean_f1(counts, self.truths.labels), self.truths.labels
        others = {}
        for name in (OFFICIAL, *SCHEMES):
            if name == OFFICIAL or labels.names in COUNTERPARTS:
                scheme = find_scheme(name, labels)
                table = np.zeros((len(labels), 256), np.int64)
                for number, target in enumerate(scheme.lookup):
                    table[:, target] += ids[:, number]
                others[name] = _mean_f1(table[:, : len(labels)], labels)
        best = max(others, key=lambda name: others[name])
        if others[best] <= ours + FAR_BETTER:
            return ""
        return (
            f"by scheme {best}, mean F1 would be {others[best]:.1f} instead of {ours:.1f}: if that tool made "
            f"{self.predictions.resolve().name}, add --scheme {best}"
        )

    def _origin(self, images: int, resolutions: tuple[tuple[int, int], ...], left_out: str, lacking: str) -> Origin:
        truths, folder, scheme = self.truths, self.truths.root.resolve().name, Path(self.scheme.name).name
        source = truths.index.provenance if truths.index is not None else None
        settings = {
            **(source.settings if source else {}),
            "predictions": self.predictions.resolve().name,
            "scheme": f"{scheme} ({lacking})" if lacking else scheme,
            "truth": folder,
            "left out": left_out,
        }
        return Origin(
            dataset=truths.dataset,
            variant=source.variant if source else "label maps",
            split=truths.split or folder,
            split_rule=source.split_rule if source else "the files in that folder",
            images=images,
            skipped=len(truths.index.split(truths.split).skipped) if truths.index is not None else 0,
            centred=0,
            resolutions=resolutions,
            alignment="",
            settings={name: fact for name, fact in settings.items() if fact},
        )

    def _examples(self, places: Sequence[int], means: Sequence[float]) -> tuple[Example, ...]:
        """Faces to show, of truths that come with photos."""
        assert self.truths.index is not None
        examples = []
        for number, kind in ranked(means).items():
            labels, prediction, _ = self.read(places[number])
            face = replace(self.truths.index.read(self.truths.split, places[number]), source_labels=labels)
            examples.append(Example.of(kind, face, prediction, len(self.truths.labels)))
        return tuple(examples)


class _One(NamedTuple):
    """What one image gives."""

    counts: Counts
    boundary: Boundary
    resolution: tuple[int, int]
    ignored: int
    ids: Counts


def _translated(labels: Pixels, ids: Pixels, scheme: Scheme) -> tuple[Pixels, Pixels, int]:
    """A truth and its prediction in the same ids, both (H, W) uint8.

    What the prediction leaves out is 255 in both, and the third number says how many labelled pixels that is.
    """
    prediction = scheme.translate(ids)
    left_out = (prediction == IGNORE) & (labels != IGNORE)
    return np.where(left_out, np.uint8(IGNORE), labels), prediction, int(np.count_nonzero(left_out))


def _mean_f1(counts: Counts, labels: LabelSet) -> float:
    return float(100 * score(counts, labels).mean_f1)


def _compare(maps: LabelMaps, boundaries: bool, place: int) -> _One:
    classes = len(maps.truths.labels)
    truth, ids = maps.read_ids(place)
    pairs = np.bincount(truth[truth < classes] * np.int64(256) + ids[truth < classes], minlength=256 * classes)
    labels, prediction, ignored = _translated(truth, ids, maps.scheme)
    boundary = Boundary(classes)
    if boundaries:
        boundary.add(labels, prediction)
    counts = Confusion(classes).add(labels, prediction)
    return _One(counts, boundary, (labels.shape[0], labels.shape[1]), ignored, pairs.reshape(classes, 256))


def lacking_in_words(scheme: Scheme) -> str:
    """What has no counterpart between a scheme and the dataset; empty where everything has one."""
    unmatched, missing = (", ".join(map(in_words, names)) for names in (scheme.unmatched, scheme.missing))
    parts = [f"has classes without counterpart, which count as background: {unmatched}"] if unmatched else []
    parts += [f"has no id for {missing}, which no pixel is predicted as"] if missing else []
    return "; ".join(parts)


def _left_out(missing: int, truths: int, ignored: int, counted: int) -> str:
    """What was not scored, in words; empty where everything was."""
    parts = [f"{missing:,} of {truths:,} truths, which have no prediction"] if missing else []
    if ignored:
        share = 100 * ignored / (ignored + counted)
        parts.append(f"{ignored:,} labelled pixels ({share:.2g} %), which are predicted as an ignored id")
    return " and ".join(parts)


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
