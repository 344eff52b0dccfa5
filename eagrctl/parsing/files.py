"""The files that a parsed photo or video leaves, and whether they are there already.

For a photo that is called NAME, in the folder of the results:

* `NAME.png`: its labels at its own size, one class id a pixel; the palette has the classes' colours.
* `NAME.overlay.jpg`: the photo under these colours, over a legend.
* `NAME.face-1.png` and so on, with `per_face`: the labels of one face, as `NAME.png`.
* `NAME.hair.png`, with the mask hair, and `NAME.hair.cutout.png`: see `eagrctl.parsing.masks`; `per_face`, also
  `NAME.face-1.hair.png` and so on.
* `NAME.npz`, with `probabilities`: see `write_probabilities`.
* `NAME.json`: what was found, and how (see `eagrctl.parsing.record`). Written last: the others are whole where
  it is there.

For a video, see `eagrctl.parsing.video.parse`. Files that something else has written are never replaced.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import filterfalse
from pathlib import Path
from typing import Any

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.data.labels import LabelSet
from eagrctl.drawing.formats import is_ours, save_jpeg, save_labels, save_mask
from eagrctl.drawing.overlay import overlay
from eagrctl.errors import EagrctlError, SourceError
from eagrctl.files import printable, replacing
from eagrctl.parsing.masks import NAME, NO_MASKS, MaskSettings, masks_of
from eagrctl.parsing.parsed import ParsedFace, ParsedPhoto
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.record import (
    ParserSettings,
    Recorded,
    Stamp,
    found_in,
    head_of,
    path_of,
    read_record,
    write_record,
)
from eagrctl.readers.schemes import WrittenIds

# Threads that draw and write. Each holds a photo, and another one waits for each.
WRITERS = 2

FRAME = re.compile(r"[0-9]{6,}\.png")
_OF_A_PHOTO = re.compile(  # beside .json
    rf"\.overlay\.jpg|\.npz|(\.face-[1-9][0-9]*)?(\.(?P<mask>{NAME})(\.cutout)?)?\.png"
)
_OF_A_VIDEO = re.compile(r"\.frames|\.overlay\.mp4|\.legend\.png")


@dataclass(frozen=True)
class Wanted:
    """Which files are written, apart from labels and JSON."""

    overlay: bool = True
    per_face: bool = False
    probabilities: bool = False
    masks: MaskSettings = NO_MASKS
    ids: WrittenIds | None = None  # label maps are written in those of another tool


class ResultFolder:
    """Where results go.

    Args:
        path: is made if it is not there.
        labels: the network's classes.
        settings: how photos are parsed.
        size: side of the network's input.
        wanted: which files are written.

    Raises:
        EagrctlError: the path is a file, or cannot be written to.
    """

    def __init__(self, path: Path, labels: LabelSet, settings: ParserSettings, size: int, wanted: Wanted) -> None:
        self.path, self.labels, self.settings, self.size, self.wanted = path, labels, settings, size, wanted
        self._inside: dict[Path, bool] = {}
        make_folder(path)

    def save(self, labels: Pixels, path: Path) -> None:
        """Write labels, (H, W) uint8, in the ids that are wanted; OSError."""
        ids = self.wanted.ids
        if ids is None:
            save_labels(labels, self.labels, path)
        else:
            save_labels(ids.table[labels], ids.label_set(self.labels), path)

    @property
    def scheme(self) -> dict[str, Any] | None:
        """What a JSON says of the ids in label maps; None where they are the network's own."""
        ids = self.wanted.ids
        return None if ids is None else {"name": ids.scheme, "ids": dict(ids.ids), "without": list(ids.without)}

    def place(self, photo: Photo, ending: str) -> Path:
        """Where a file of a photo's or a video's results stands, by its ending."""
        return self.path / f"{photo.name}{ending}"

    def read(self, photo: Photo) -> Recorded | None:
        """What an earlier run found in a photo or a video; None where there is nothing."""
        return read_record(self.place(photo, ".json"), photo.kind)

    def is_done(self, photo: Photo, every: int = 1, steady: bool = True) -> bool:
        """Whether all that is wanted of this very photo or video is there, made with the same settings.

        A file is the same if its size in bytes and its time of modification are. `every` and `steady` are
        a video's.
        """
        record, stamp = self.read(photo), Stamp.of(photo.path)
        if record is None or stamp is None or not stamp.is_of(record) or not self.settings.hold_for(record):
            return False
        files, faces = record.files, len(record.faces)
        return (
            record.every in (None, every)
            and (photo.kind == "photo" or record.steady == steady)
            and record.scheme == self.scheme
            and ("frames" if photo.kind == "video" else "labels") in files
            and (not self.wanted.overlay or "overlay" in files)
            and (not self.wanted.per_face or len(files.get("faces", ())) == faces)
            and (not self.wanted.probabilities or not faces or "probabilities" in files)
            and (photo.kind == "video" or self.wanted.masks.are_in(record.masks, record.classes, self.wanted.per_face))
            and (own := self.own(photo, record)) is not None
            and all(map(os.path.lexists, own))
        )

    def own(self, photo: Photo, record: Recorded) -> list[Path] | None:
        """The files that a record lists; None where it lists others than such a result has.

        A record may come from anywhere, and what it lists is removed.
        """
        endings = _OF_A_PHOTO if photo.kind == "photo" else _OF_A_VIDEO
        for name in record.names:
            found = endings.fullmatch(name[len(photo.name) :]) if name.startswith(photo.name) else None
            mask = found and found.groupdict().get("mask")
            if found is None or (mask is not None and mask not in record.masks):
                return None
        return [self.path / name for name in record.names]

    def is_inside(self, photo: Photo) -> bool:
        """Whether a result stands in this folder, and in none that a link leads to."""
        where = self.place(photo, "").parent
        if where not in self._inside:
            self._inside[where] = Path(os.path.realpath(where)).is_relative_to(os.path.realpath(self.path))
        return self._inside[where]

    def claim(self, photo: Photo, force: bool = False) -> None:
        """Make sure that the results of a photo or a video replace nothing but its own, or by `force` another's.

        Raises:
            SourceError: a file in its place was written by something else, or for another photo; or a link leads out of
                the folder.
        """
        remedy = "name another folder with --output"
        if not self.is_inside(photo):
            where = printable(self.place(photo, "").parent)
            raise SourceError(f"{where} leads out of {printable(self.path)}: take that link away, or {remedy}")
        record, path = self.read(photo), self.place(photo, ".json")
        masks = [self.place(photo, ending) for ending in self.wanted.masks.endings()]
        for foreign in (*(self._foreign(photo) if record is None else ()), *filterfalse(is_ours, masks)):
            if os.path.lexists(foreign):
                raise SourceError(f"{printable(foreign)} is in the way, which eagrctl parse did not write: {remedy}")
        if record is None:
            return
        if self.own(photo, record) is None or (photo.kind == "video" and not self._are_frames(photo)):
            raise SourceError(f"{printable(path)} lists files that are not of such a result: {remedy}")
        if not force:
            other, stamp = record.file.path, Stamp.of(photo.path)
            if other != path_of(photo) and not (stamp and stamp.is_of(record)):
                raise SourceError(
                    f"{printable(path)} is the result of {printable(other)}: {remedy}, or replace it with --force"
                )

    def _foreign(self, photo: Photo) -> list[Path]:
        """Files that something else wrote if they are there; what an interrupted run leaves is not among them."""
        record, labels, frames = (self.place(photo, ending) for ending in (".json", ".png", ".frames"))
        if photo.kind == "photo":
            # Labels are written first: without them, nothing else is ours.
            more = (".overlay.jpg", ".npz", ".face-1.png")
            return [record] if is_ours(labels) else [record, labels, *(self.place(photo, ending) for ending in more)]
        # Frames are moved into place first, and taken away last: without them, nothing else is ours.
        if os.path.lexists(frames) and self._are_frames(photo):
            return [record]
        return [record, frames, *(self.place(photo, ending) for ending in (".overlay.mp4", ".legend.png"))]

    def _are_frames(self, video: Photo) -> bool:
        """Whether a video's folder of frames is not there, or holds frames alone."""
        frames = self.place(video, ".frames")
        if not os.path.lexists(frames):
            return True
        return (
            not frames.is_symlink() and frames.is_dir() and all(FRAME.fullmatch(each.name) for each in frames.iterdir())
        )

    def _stale(self, photo: Photo) -> list[Path]:
        """What an earlier run left of a photo's results, apart from the JSON."""
        record, labels = self.read(photo), self.place(photo, ".png")
        if record is not None:
            # A mask has a name of somebody's choice: a picture of that name may be another one by now.
            return [path for path in self.own(photo, record) or [] if path.suffix != ".png" or is_ours(path)]
        if not is_ours(labels):
            return []
        # A run was killed before it could list them.
        start = labels.name.removesuffix(".png")
        beside = [path for path in labels.parent.iterdir() if path.name.startswith(start)]
        named = [path for path in beside if _OF_A_PHOTO.fullmatch(path.name[len(start) :])]
        return [path for path in named if path.suffix != ".png" or is_ours(path)]

    def write(self, photo: Photo, parsed: ParsedPhoto, stamp: Stamp) -> None:
        """Write all files of a photo, whose stamp is from before it was read.

        Raises:
            EagrctlError: a file cannot be written; the others are taken away again.
        """
        path = self.place(photo, ".json")
        files: dict[str, str | list[str]] = {}
        made: list[Path] = []

        def make(ending: str, write: Callable[[Path], None]) -> str:
            file = self.place(photo, ending)
            with writing(file), replacing(file) as temporary:
                write(temporary)
            made.append(file)
            return f"{photo.name}{ending}"

        try:
            make_folder(path.parent)
            with writing(path):
                # The JSON after the others, which it lists: a run that is killed here does not lose sight of them.
                for stale in (*self._stale(photo), path):
                    stale.unlink(missing_ok=True)
            files["labels"] = make(".png", partial(self.save, parsed.labels))
            if self.wanted.overlay:
                picture = overlay(parsed.image, parsed.labels, self.labels, [face.box for face in parsed.faces])
                files["overlay"] = make(".overlay.jpg", partial(save_jpeg, picture))
            if self.wanted.per_face:
                files["faces"] = [
                    make(f".face-{number}.png", partial(self.save, face.in_photo(parsed.labels.shape)))
                    for number, face in enumerate(parsed.faces, 1)
                ]
            wanted = self.wanted.masks
            if wanted.requests:
                files["masks"] = [
                    make(ending, partial(save_mask, pixels))
                    for ending, pixels in masks_of(parsed, wanted, self.wanted.per_face)
                ]
            if self.wanted.probabilities and parsed.faces:
                save = partial(write_probabilities, parsed.faces, parsed.classes, self.size)
                files["probabilities"] = make(".npz", save)
            found = found_in(parsed)
            shape, classes = parsed.labels.shape, parsed.classes
            head = head_of(photo, stamp, shape, classes, self.settings, self.size, files) | {"shares": found["shares"]}
            if self.scheme:
                head["scheme"] = self.scheme
            if wanted.requests:
                head["masks"] = wanted.record(parsed.classes, self.wanted.per_face)
            make(".json", lambda part: write_record(part, head, "faces", found["faces"]))
        except BaseException:
            for each in made:
                each.unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line why a file cannot be written, with an EagrctlError.

    It is a SourceError where the name is too long for the disk, which concerns this photo alone.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise SourceError(f"cannot write {printable(path)}: its name is too long; shorten the photo's") from None
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = ": make room, then the same command goes on" if full else ""
        raise EagrctlError(f"cannot write {printable(path)} ({error.strerror or error}){remedy}") from error


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, if it is not there; EagrctlError where that cannot be, or it is read-only."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise EagrctlError(
            f"cannot write to {printable(path)}: there is a file of that name; name another --output"
        ) from None
    except OSError as error:
        raise EagrctlError(
            f"cannot make {printable(path)} ({error.strerror or error}): name another --output"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise EagrctlError(f"cannot write to {printable(path)}: you may not write there; name another --output")


def write_probabilities(faces: Sequence[ParsedFace], classes: Sequence[str], size: int, path: Path) -> None:
    """Write an .npz of what the network says of each face.

    * `probabilities`: (F, N, h, w) float16, 0..1, of each of N classes at h x w points, whose outermost lie on the
      centres of the outermost pixels of the network's input.
    * `matrices`: (F, 2, 3) float64, take a point (x, y, 1) of the photo to the network's input.
    * `classes`: (N,) their names, by id.
    * `size`: side of the network's input, S.

    A pixel (x, y) of the photo falls on u, v = matrices[f] @ (x, y, 1) in the network's input, which is between the
    points at row v (h - 1) / (S - 1) and column u (w - 1) / (S - 1).

    OSError where it cannot be written, ValueError where the photo was parsed without probabilities.
    """
    found = [np.asarray(face.probabilities, np.float16) for face in faces if face.probabilities is not None]
    if len(found) < len(faces):
        raise ValueError("the photo was parsed without probabilities")
    matrices = np.stack([face.matrix for face in faces])
    with path.open("wb") as file:
        np.savez_compressed(
            file, probabilities=np.stack(found), matrices=matrices, classes=np.array(classes), size=np.array(size)
        )
