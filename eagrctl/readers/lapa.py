"""LaPa, as downloaded: `{train,val,test}/images/*.jpg`, `labels/*.png` and `landmarks/*.txt`, the split in the folders.

Label maps are 8-bit grey in the ids of `labels.HELEN`. A landmark file has a line `106`, then 106 lines `x y`. Some of
the train landmarks are known to be wrong (issue 3 of the dataset's own repository): they are read as they stand.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eagrctl.arrays import Landmarks
from eagrctl.data.labels import HELEN, LabelSet
from eagrctl.data.source import SPLITS, Provenance, Sample
from eagrctl.errors import SourceError
from eagrctl.readers.images import check_size, read_labels, read_photo
from eagrctl.readers.splits import check_counts

OFFICIAL_COUNTS = {"train": 18_176, "val": 2_000, "test": 2_000}
POINTS = 106
FIVE = (104, 105, 54, 84, 90)  # eye centres, nose tip, mouth corners; the viewer's left first

WHERE = (
    "get the data from github.com/jd-opensource/lapa-dataset (non-commercial research only), and give the folder that "
    "holds train/, val/ and test/, each with images/, labels/ and landmarks/"
)


@dataclass(frozen=True)
class LapaSource:
    """LaPa's own layout; a `Source`."""

    root: Path
    splits: Mapping[str, Sequence[str]]
    provenance: Provenance
    labels: LabelSet = HELEN

    def read(self, split: str, name: str) -> Sample:
        """See `Source.read`. A face whose landmark file is missing has no landmarks; a malformed one is an error."""
        folder = self.root / split
        image = read_photo(folder / "images" / f"{name}.jpg")
        labels = read_labels(folder / "labels" / f"{name}.png", len(self.labels))
        check_size(image, labels, name)
        landmarks = folder / "landmarks" / f"{name}.txt"
        return Sample(name, image, labels, _five_of_106(landmarks) if landmarks.is_file() else None)


def open_lapa(root: Path, partial: bool = False) -> LapaSource:
    """Recognise LaPa's layout and list its faces.

    Args:
        root: the folder as downloaded.
        partial: accept other counts than the dataset has.

    Raises:
        SourceError: no such folder, another layout, or a split without its official count.
    """
    if not root.is_dir():
        raise SourceError(f"no folder at {root}: {WHERE}")
    if not any((root / split / "images").is_dir() and (root / split / "labels").is_dir() for split in SPLITS):
        raise SourceError(f"{root} does not have the layout of LaPa: {WHERE}")
    splits = {split: sorted(path.stem for path in (root / split / "images").glob("*.jpg")) for split in SPLITS}
    if not any(splits.values()):
        raise SourceError(f"{root} holds no face: {WHERE}")
    if not partial:
        check_counts(root, splits, OFFICIAL_COUNTS, "LaPa")
    return LapaSource(root, splits, Provenance("lapa", "LaPa", "the dataset's own folders"))


def _five_of_106(path: Path) -> Landmarks:
    """The five landmarks out of the 106 points."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        (count,), *points = [[float(word) for word in line.split()] for line in lines if line.strip()]
        sound = count == len(points) == POINTS and all(
            len(point) == 2 and all(map(math.isfinite, point)) for point in points
        )
    except (OSError, ValueError):  # a decoding error is a ValueError as well
        sound, points = False, []
    if not sound:
        raise SourceError(f"{path} is not a landmark file: a line {POINTS}, then {POINTS} lines `x y`; fetch it again")
    return np.array([points[number] for number in FIVE])
