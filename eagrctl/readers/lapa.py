"""LaPa, as downloaded: `{train,val,test}/images/*.jpg`, `labels/*.png` and `landmarks/*.txt`, the split in the folders.

Label maps are 8-bit grey in the ids of `labels.HELEN`. A landmark file has a line `106`, then 106 lines `x y`. Some of
the train landmarks are known to be wrong (issue 3 of the dataset's own repository): they are read as they stand.
"""

import functools
from pathlib import Path

import numpy as np

from eagrctl.arrays import Landmarks
from eagrctl.data.labels import HELEN
from eagrctl.data.source import SPLITS, Provenance, Sample
from eagrctl.errors import SourceError
from eagrctl.faces.photo import read_any_photo
from eagrctl.readers.images import FileSource, read_labels
from eagrctl.readers.splits import check_counts

OFFICIAL_COUNTS = {"train": 18_176, "val": 2_000, "test": 2_000}
POINTS = 106
FIVE = (104, 105, 54, 84, 90)  # eye centres, nose tip, mouth corners; the viewer's left first

WHERE = (
    "get the data from github.com/jd-opensource/lapa-dataset (non-commercial research only), and give the folder that "
    "holds train/, val/ and test/, each with images/, labels/ and landmarks/"
)


def open_lapa(root: Path, partial: bool = False) -> FileSource:
    """Recognise LaPa's layout and list its faces.

    Raises:
        SourceError: no such folder, another layout, no face, or, unless `partial`, a split without its official count.
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
    provenance = Provenance("lapa", "LaPa", "the dataset's own folders")
    return FileSource(splits, provenance, HELEN, functools.partial(_read, root))


def _read(root: Path, split: str, name: str) -> Sample:
    """A face whose landmark file is missing has no landmarks; a malformed one is an error."""
    image = read_any_photo(root / split / "images" / f"{name}.jpg")
    labels = read_labels(root / split / "labels" / f"{name}.png", len(HELEN))
    landmarks = root / split / "landmarks" / f"{name}.txt"
    return Sample(name, image, labels, _five_of_106(landmarks) if landmarks.is_file() else None)


def _five_of_106(path: Path) -> Landmarks:
    """The five landmarks out of the 106 points."""
    try:
        count, *lines = (line.split() for line in path.read_text(encoding="utf-8").split("\n") if line.strip())
        points = np.array(lines, np.float64)
        if [float(word) for word in count] == [POINTS] and points.shape == (POINTS, 2) and np.isfinite(points).all():
            return points[list(FIVE)]
    except (OSError, ValueError):  # a decoding error is a ValueError as well
        pass
    raise SourceError(f"{path} is not a landmark file: a line {POINTS}, then {POINTS} lines `x y`; fetch it again")
