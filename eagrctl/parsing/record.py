"""The JSON that says what was found in a photo, and how.

Its keys: `format` and `version`; `photo` (absolute `path`, links followed; `bytes`; `modified` in nanoseconds; `width`
and `height` upright); `classes` by id; `shares` of the photo's pixels by class, 0..1; `faces`, largest first, each with
what `eagrctl.parsing.parsed.ParsedFace` has (`box`, `confidence`, `landmarks`, `matrix`, `placed`, `window`), and its
own `shares` of the photo; `settings`, which decide the result; `input`, the side of the network's input; and `files`,
names relative to the folder of the results.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from eagrctl.files import sha256_of
from eagrctl.parsing.parsed import ParsedFace, ParsedPhoto
from eagrctl.parsing.photos import Photo

FORMAT, VERSION = "eagrctl parsed photo", 1

Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What decides a result.

    Attributes:
        weights, weights_sha256: the network's file.
        predictor, predictor_sha256: the landmark predictor's; None where no face is looked for.
        finding: as for `eagrctl.parsing.parser.FaceParser`.
    """

    weights: str
    weights_sha256: str
    predictor: str | None
    predictor_sha256: str | None
    finding: str

    @classmethod
    def of(cls, weights: Path, predictor: Path | None, finding: str) -> "Settings":
        """The settings of a parser that is made of these files."""
        return cls(
            str(weights),
            sha256_of(weights),
            None if predictor is None else str(predictor),
            None if predictor is None else sha256_of(predictor),
            finding,
        )

    def alike(self, record: Mapping[str, Any]) -> bool:
        """Whether a record was made with these; names of files are no matter."""
        other = record.get("settings", {})
        return all(other.get(key) == getattr(self, key) for key in ("weights_sha256", "predictor_sha256", "finding"))

    def hold_for(self, record: Mapping[str, Any]) -> bool:
        """Whether a record's photo would be parsed alike.

        Whether photos without a face are parsed whole is no matter where one was found.
        """
        found = any(face.get("box") for face in record.get("faces", ()))
        return any(replace(self, finding=finding).alike(record) for finding in self._findings(found))

    def _findings(self, found: bool) -> set[str]:
        both = {"faces", "whole"}
        return both if found and self.finding in both else {self.finding}


@dataclass(frozen=True)
class Stamp:
    """What tells a file from what it was before.

    Attributes:
        bytes: its size.
        modified: when, in nanoseconds.
    """

    bytes: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "Stamp | None":
        """The stamp of a file; None where there is none."""
        try:
            status = path.stat()
        except OSError:
            return None
        return cls(status.st_size, status.st_mtime_ns)

    def is_of(self, record: Mapping[str, Any], key: str = "photo") -> bool:
        """Whether a record is of the same file, which it has under `key`."""
        file = record.get(key, {})
        return (file.get("bytes"), file.get("modified")) == (self.bytes, self.modified)


def record_of(
    photo: Photo, stamp: Stamp, parsed: ParsedPhoto, settings: Settings, size: int, files: Mapping[str, Any]
) -> Record:
    """What a photo's JSON says; arguments as for `eagrctl.parsing.files.ResultFolder`."""
    height, width = parsed.labels.shape
    return {
        "format": FORMAT,
        "version": VERSION,
        "photo": {"path": path_of(photo), **asdict(stamp), "width": width, "height": height},
        "classes": list(parsed.classes),
        "shares": rounded(parsed.shares),
        "faces": [face_record(face, parsed.classes, parsed.labels.size) for face in parsed.faces],
        "settings": asdict(settings),
        "input": size,
        "files": dict(files),
    }


def face_record(face: ParsedFace, classes: tuple[str, ...], pixels: int) -> Record:
    """What a JSON says of one face of a photo of so many pixels; what is unknown is null."""
    counts = np.bincount(face.labels.ravel(), minlength=len(classes))
    counts[0] += pixels - face.labels.size
    landmarks = None
    if face.landmarks is not None:
        landmarks = [[round(x, 2), round(y, 2)] if math.isfinite(x + y) else None for x, y in face.landmarks.tolist()]
    return {
        "box": None if face.box is None else [round(float(edge), 2) for edge in face.box],
        "confidence": None if face.confidence is None else round(face.confidence, 4),
        "landmarks": landmarks,
        "placed": face.placed,
        "matrix": face.matrix.tolist(),
        "window": [int(edge) for edge in face.window],
        "shares": rounded({name: count / pixels for name, count in zip(classes, counts.tolist(), strict=True)}),
    }


def write_record(record: Record, path: Path) -> None:
    """Write a record: a line for each key and for each face, which reads better than one for each number; OSError."""
    lines = []
    for key, value in record.items():
        if key == "faces" and value:
            text = "[\n    " + ",\n    ".join(compact(face) for face in value) + "\n  ]"
        else:
            text = compact(value)
        lines.append(f"  {json.dumps(key)}: {text}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_record(path: Path, kind: str = FORMAT, until: str | None = None) -> Record | None:
    """A record as it was written; None where there is none of that kind and version.

    Args:
        path: of the JSON.
        kind: its `format`.
        until: a key that may be too long to be read: it and those behind it are left out.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if until is None:
                record = json.load(file)
            else:
                mark = f"  {json.dumps(until)}:"
                head = "".join(takewhile(lambda line: not line.startswith(mark), file))
                record = json.loads(head.rstrip().rstrip(",") + "}")
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("format") != kind or record.get("version") != VERSION:
        return None
    return record


def path_of(photo: Photo) -> str:
    """A photo's place as its record has it: absolute, links followed."""
    return str(photo.path.resolve())


def compact(value: object) -> str:
    """JSON on one line, in letters as they are unless a name of no encoding forbids it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    whole = text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass")
    return text if whole else json.dumps(value, allow_nan=False)


def rounded(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares of classes, to a millionth."""
    return {name: round(share, 6) for name, share in shares.items()}
