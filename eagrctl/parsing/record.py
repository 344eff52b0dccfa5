"""The JSON that says what was found in a photo or a video, and how.

Keys of a photo's: `format` and `version`; `photo` (absolute `path`, links followed; `bytes`; `modified` in nanoseconds;
`width` and `height` upright); `classes` by id; `settings`, which decide the result; `input`, the side of the network's
input; `files`, names relative to the folder of the results; `scheme`, whose `ids` label maps have if they are not the
network's own; `masks`, what the files of masks show, by name; `shares` of the photo's pixels by class, 0..1; and
`faces`, largest first, each with what `eagrctl.parsing.parsed.ParsedFace` has (`box`, `confidence`, `landmarks`,
`roll`, `yaw`, `look`, `matrix`, `matrices`, `placed`, `window`), and its own `shares` of the photo.

A video's has `video` for `photo`, with `rate` in frames a second; `every`; `steady`; and at the end `frames`, each with
its number, `seconds`, `labels`, `shares` and `faces`; and `found`: how many frames were parsed, and how many faces.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AliasChoices, Field, InstanceOf

from eagrctl.documents import Count, FileName, Flag, Number, Versioned, Whole, read_json_or_none
from eagrctl.faces.found import FaceFinder
from eagrctl.files import sha256_of
from eagrctl.parsing.parsed import ParsedFace, ParsedPhoto
from eagrctl.parsing.photos import Photo

FORMATS, VERSION = {"photo": "eagrctl parsed photo", "video": "eagrctl parsed video"}, 1

Record = dict[str, Any]


@dataclass(frozen=True)
class ParserSettings(Versioned):
    """What decides a result: the files of the network and of the detector, and what faces are looked for."""

    weights: str
    weights_sha256: str
    finding: str  # as for `FaceParser`
    detector: str | None = None  # in words; None where no face is looked for
    # SHA-256 of its file. Version 0.1.0 had dlib's detector, and named its landmark predictor's.
    detector_sha256: Annotated[
        str | None, Field(validation_alias=AliasChoices("detector_sha256", "predictor_sha256"))
    ] = None
    tta: str = ""  # test-time augmentation, in words
    frame: str = "face"  # as for `FaceParser`; older versions had no other

    @classmethod
    def of(
        cls, weights: Path, finder: FaceFinder | None, finding: str, tta: str = "", frame: str = "face"
    ) -> "ParserSettings":
        """The settings of a parser that is made of these."""
        named, digest = (None, None) if finder is None else (finder.description, finder.identity)
        return cls(str(weights), sha256_of(weights), finding, named, digest, tta, frame)

    def hold_for(self, result: "Recorded") -> bool:
        """Whether a result's photo would be parsed alike.

        Names of files do not matter; nor does it, where a face was found, whether photos without one are parsed whole.
        """
        other = result.settings
        same = ("weights_sha256", "detector_sha256", "tta", "frame")
        if any(getattr(other, name) != getattr(self, name) for name in same):
            return False
        found = any(face.box for face in result.faces)
        return other.finding == self.finding or (found and "crop" not in (other.finding, self.finding))


@dataclass(frozen=True)
class Stamp:
    """What tells a file from what it was before: its size, and when it was modified, in nanoseconds."""

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

    def is_of(self, result: "Recorded") -> bool:
        """Whether a result is of the same file."""
        return (result.file.bytes, result.file.modified) == (self.bytes, self.modified)


@dataclass(frozen=True)
class RecordedFile(Versioned):
    """What is read of a photo's or a video's file."""

    path: InstanceOf[str]  # which may hold bytes of no encoding
    bytes: Count
    modified: Whole
    width: Count
    height: Count


@dataclass(frozen=True)
class RecordedFace(Versioned):
    """What is read of a face."""

    placed: str
    box: tuple[Number, Number, Number, Number] | None = None
    confidence: Number | None = None


@dataclass(frozen=True)
class Recorded(Versioned):
    """What is read of a record; the module's docstring says what each key is."""

    marks: ClassVar[Mapping[str, str | int]] = {"version": VERSION}

    format: str
    file: Annotated[RecordedFile, Field(validation_alias=AliasChoices(*FORMATS))]
    classes: tuple[str, ...]
    settings: ParserSettings
    files: dict[str, FileName | tuple[FileName, ...]]
    scheme: dict[str, Any] | None = None
    masks: dict[str, dict[str, Any]] = field(default_factory=dict)
    shares: dict[str, Number] = field(default_factory=dict)
    faces: tuple[RecordedFace, ...] = ()
    every: Count | None = None
    steady: Flag = False  # older versions knew of no other

    @property
    def names(self) -> list[str]:
        """The names of all files of the result."""
        return [name for value in self.files.values() for name in ([value] if isinstance(value, str) else value)]


def head_of(
    photo: Photo,
    stamp: Stamp,
    shape: tuple[int, ...],
    classes: Sequence[str],
    settings: ParserSettings,
    size: int,
    files: Mapping[str, Any],
) -> Record:
    """What the JSON of a photo or of a video, of (height, width), says first; `size` is `input`."""
    height, width = shape
    return {
        "format": FORMATS[photo.kind],
        "version": VERSION,
        photo.kind: {"path": path_of(photo), **asdict(stamp), "width": width, "height": height},
        "classes": list(classes),
        "settings": asdict(settings),
        "input": size,
        "files": dict(files),
    }


def found_in(parsed: ParsedPhoto) -> Record:
    """What was found in a photo or a frame."""
    return {
        "shares": rounded(parsed.shares),
        "faces": [face_record(face, parsed.classes, parsed.labels.size) for face in parsed.faces],
    }


def face_record(face: ParsedFace, classes: tuple[str, ...], pixels: int) -> Record:
    """What a JSON says of one face of a photo of so many pixels; what is unknown is null."""
    counts = np.bincount(face.labels.ravel(), minlength=len(classes))
    counts[0] += pixels - face.labels.size
    points = None if face.landmarks is None else face.landmarks.tolist()
    return {
        "box": face.box and [round(float(edge), 2) for edge in face.box],
        "confidence": None if face.confidence is None else round(face.confidence, 4),
        "landmarks": points and [[round(x, 2), round(y, 2)] if math.isfinite(x + y) else None for x, y in points],
        "roll": None if face.roll is None else round(face.roll, 1),
        "yaw": None if face.yaw is None else round(face.yaw, 1),
        "look": face.look,
        "placed": face.placed,
        "matrix": face.matrix.tolist(),
        "matrices": [matrix.tolist() for matrix in face.matrices],
        "window": [int(edge) for edge in face.window],
        "shares": rounded({name: count / pixels for name, count in zip(classes, counts.tolist(), strict=True)}),
    }


def write_record(
    path: Path, head: Mapping[str, Any], key: str, items: Iterable[Record], tail: Mapping[str, Any] | None = None
) -> None:
    """Write a record line by line; OSError where it cannot be written.

    A line for each item of its list reads better than one for each number.

    `tail`, what stands behind the list, is looked at when the list has ended.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write("{\n" + "".join(f"  {json.dumps(each)}: {compact(value)},\n" for each, value in head.items()))
        file.write(f"  {json.dumps(key)}: [\n")
        for number, item in enumerate(items):
            file.write(f"{',' if number else ' '}   {compact(item)}\n")
        lines = "".join(f",\n  {json.dumps(each)}: {compact(value)}" for each, value in (tail or {}).items())
        file.write(f"  ]{lines}\n}}\n")


def read_record(path: Path, kind: str = "photo") -> Recorded | None:
    """What a record says; None where there is none of that kind, "photo" or "video", and version.

    A video's `frames`, which may be long, and the keys behind them are left out.
    """
    result = read_json_or_none(path, Recorded, until="frames" if kind == "video" else None)
    return result if result and result.format == FORMATS[kind] else None


def path_of(photo: Photo) -> str:
    """A photo's place as its record has it."""
    return os.path.realpath(photo.path)


def compact(value: object) -> str:
    """JSON on one line, in letters as they are unless a name of no encoding forbids it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    whole = text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass")
    return text if whole else json.dumps(value, allow_nan=False)


def rounded(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares of classes, to a millionth."""
    return {name: round(share, 6) for name, share in shares.items()}
