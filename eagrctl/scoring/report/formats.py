"""The formats of a report: the ending of its name decides."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from eagrctl.arrays import Pixels
from eagrctl.data.index import ShardIndex
from eagrctl.data.shards import Stored
from eagrctl.errors import EagrctlError
from eagrctl.files import require_writable
from eagrctl.inference.predict import Segmenter
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.examples import Example, Ranking, examples_of
from eagrctl.scoring.report.as_json import json_text
from eagrctl.scoring.report.contents import Report
from eagrctl.scoring.report.html.page import html_text
from eagrctl.scoring.report.tables import csv_text, latex, markdown, write_report

WRITERS: Mapping[str, Callable[[Report], str]] = {
    ".md": lambda report: markdown(report.table),
    ".csv": lambda report: csv_text(report.table),
    ".json": json_text,
    ".tex": lambda report: latex(report.table),
    ".html": html_text,
}
WITH_BOUNDARIES = {".json", ".html"}
WITH_EXAMPLES = {".html"}


class Watch:
    """Looks at faces while a split is evaluated, for what the reports that are wanted show beside the scores.

    What none of them shows is not computed.

    Args:
        classes: N.
        paths: the reports.

    Attributes:
        boundary: boundary pixels counted so far; None where no report shows them.
    """

    def __init__(self, classes: int, paths: Iterable[Path]) -> None:
        endings = {path.suffix for path in paths}
        self.boundary = Boundary(classes) if endings & WITH_BOUNDARIES else None
        self._ranking = Ranking() if endings & WITH_EXAMPLES else None

    @property
    def idle(self) -> bool:
        """Whether it has no need to see any face."""
        return self.boundary is None and self._ranking is None

    def look(self, face: Stored, prediction: Pixels) -> None:
        """The next face of the split, with its prediction in the source frame."""
        if self.boundary is not None:
            self.boundary.add(face.source_labels, prediction)
        if self._ranking is not None:
            self._ranking.look(face, prediction)

    def examples(self, predictor: Segmenter, index: ShardIndex, split: str, batch: int = 8) -> tuple[Example, ...]:
        """The faces worth showing, predicted once more; none where no report shows them."""
        return examples_of(predictor, index, split, self.picked(), batch)

    def picked(self) -> dict[int, str]:
        """Their places in the split -> kind; none where no report shows them."""
        return self._ranking.pick() if self._ranking else {}


def require_formats(paths: Iterable[Path]) -> None:
    """Refuse, before any work is done, reports that could not be written at its end.

    Raises:
        EagrctlError: an ending that no format has, or a place where nothing can be written.
    """
    for path in paths:
        if path.suffix not in WRITERS:
            *others, last = WRITERS
            raise EagrctlError(f"cannot write {path}: give a name that ends in {', '.join(others)} or {last}")
        require_writable(path, path.suffix)


def write_reports(report: Report, paths: Iterable[Path]) -> None:
    """Write a report in the format of each path's ending; EagrctlError where one cannot be written."""
    for path in paths:
        write_report(WRITERS[path.suffix](report), path)
