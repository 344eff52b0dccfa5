"""LaPa, as downloaded: `{train,val,test}/images/*.jpg`, `labels/*.png` and `landmarks/*.txt`, the split in the folders.

The other layouts of `readers/layouts.py` are read as well, with `landmarks` where their `images` are.

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
from eagrctl.readers.layouts import SPELT, find_folders, settle
from eagrctl.readers.pairs import BY_FOLDERS, Paired, pair_up
from eagrctl.readers.schemes import Remapping, Scheme
from eagrctl.readers.splits import check_counts

OFFICIAL_COUNTS = {"train": 18_176, "val": 2_000, "test": 2_000}
POINTS = 106
FIVE = (104, 105, 54, 84, 90)  # eye centres, nose tip, mouth corners; the viewer's left first

WHERE = (
    "get the data from github.com/jd-opensource/lapa-dataset (non-commercial research only), and give the folder that "
    "holds train/, val/ and test/, each with images/, labels/ and landmarks/"
)


def open_lapa(root: Path, partial: bool = False, scheme: str | None = None) -> FileSource:
    """Recognise LaPa's layout and list its faces; label maps may have the ids of another `scheme`.

    Raises:
        SourceError: no such folder, another layout, no face, or, unless `partial`, a split without its official count
            or a face that is not whole.
    """
    root, moved = settle(root, lambda folder: bool(find_folders(folder)), "lapa", WHERE)
    found = pair_up(root, find_folders(root), partial)
    splits = {split: sorted(found.splits[split]) for split in SPLITS if split in found.splits}
    if not any(splits.values()):
        raise SourceError(f"{root} holds no face: {WHERE}")
    if not partial:
        check_counts(root, splits, OFFICIAL_COUNTS, "LaPa")
    rule = "the dataset's own folders" if found.rule == BY_FOLDERS else found.rule
    ids = Remapping.by(scheme, HELEN)
    provenance, remarks = Provenance("lapa", "LaPa", rule, ids.settings), (*moved, *found.remarks, *ids.remarks)
    return FileSource(splits, provenance, HELEN, functools.partial(_read, found, ids.scheme), remarks=remarks)


def _read(found: Paired, scheme: Scheme | None, split: str, name: str) -> Sample:
    """A face whose landmark file is missing has no landmarks; a malformed one is an error."""
    pairs = found.of(split)
    image, labels = read_any_photo(pairs.photo(name)), read_labels(pairs.map(name), len(HELEN), scheme=scheme)
    photos = pairs.folders[0]
    inner = photos.name.casefold() in SPELT.get(split, ())  # images/train, not train/images
    folder = photos.parent.with_name("landmarks") / photos.name if inner else photos.with_name("landmarks")
    landmarks = folder / f"{name}.txt"
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
