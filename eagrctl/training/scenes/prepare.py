"""A face parsing dataset and a folder of real photos -> the material that a detector is trained on."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eagrctl.data.source import Source
from eagrctl.errors import ShardError, SourceError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.faces.detection.look import resized
from eagrctl.faces.photo import read_any_photo
from eagrctl.files import printable, writing
from eagrctl.locks import locked
from eagrctl.readers.images import read_labels
from eagrctl.readers.real_photos import PARTS, SPLIT_RULE, AnnotatedPhoto, BackgroundPhoto, HeadPhoto, RealPhotos
from eagrctl.training.scenes.cutouts import SIDE, cut_out_face, cut_out_parts
from eagrctl.training.scenes.materials import (
    INDEX,
    KINDS,
    BackgroundAbout,
    Kind,
    Material,
    MaterialIndex,
    MaterialShard,
    PhotoAbout,
    write_shard,
)
from eagrctl.workers import Workers

PER_SHARD = 512
LONGEST = 1024  # pixels of a photo or background; larger ones are shrunk
SPLITS = ("train", "val", "test")


class Task(NamedTuple):
    """What material is made of: the name of a face, or a photo that is listed."""

    kind: Kind
    split: str
    item: str | HeadPhoto | AnnotatedPhoto | BackgroundPhoto


def prepare_materials(
    faces: Source,
    photos: RealPhotos,
    output: Path,
    side: int = SIDE,
    workers: int = 1,
    force: bool = False,
    listener: Listener = ignore,
) -> MaterialIndex:
    """Cut out heads, and store them with photos and backgrounds.

    Args:
        faces: a dataset with the classes of CelebAMask-HQ; faces of its split test are taken where it has one.
        photos: real photos.
        output: the folder to make.
        side: of a head, at most, in pixels.
        workers: processes that read.
        force: replace what was prepared there.
        listener: hears of progress.

    Raises:
        SourceError: a file that cannot be read.
        ShardError: something else stands at `output`, or it is prepared already.
        EagrctlError: it cannot be written.
    """
    tasks = list(_tasks(faces, photos))
    _check_free(output, force)
    with writing(output, ShardError):
        output.mkdir(parents=True, exist_ok=True)
    with locked(output, ShardError, listener), Workers(workers, _Maker(faces, photos.root, side)) as pool:
        _check_free(output, force)
        (output / INDEX).unlink(missing_ok=True)
        for path in filter(_is_ours, list(output.iterdir())):
            path.unlink()
        shards: list[MaterialShard] = []
        done = without = 0
        groups: dict[tuple[Kind, str], list[Task]] = {}
        for task in tasks:
            groups.setdefault((task.kind, task.split), []).append(task)
        for (kind, split), group in groups.items():
            for number, start in enumerate(range(0, len(group), PER_SHARD)):
                made = []
                for _, material in pool.map(group[start : start + PER_SHARD]):
                    done += 1
                    listener(Progress("preparing", done, len(tasks)))
                    if material is None:
                        without += 1
                    else:
                        made.append(material)
                if made:
                    shards.append(write_shard(output / f"{split}-{kind}-{number:05d}.h5", kind, split, made))
        if without:
            listener(Notice(f"{without:,} of {len(tasks):,} left out: heads of which the face is not to be told"))
        origin = faces.provenance
        sources = {
            "heads": f"{origin.dataset} ({origin.variant}; {origin.split_rule}) and heads of real photos",
            "photos": "real photos",
            "backgrounds": "real photos",
            "side of a head": str(side),
        }
        index = MaterialIndex(output, sources, f"faces: {origin.split_rule}; all others: {SPLIT_RULE}", tuple(shards))
        index.save()
    return index


def _check_free(output: Path, force: bool) -> None:
    """Refuse, with ShardError, a folder that holds something else than material, or, unless `force`, a whole set."""
    name = printable(output)
    if not output.exists():
        return
    if not output.is_dir():
        raise ShardError(f"{name} is a file: name another folder with --output")
    others = [path.name for path in output.iterdir() if not (_is_ours(path) or path.name.startswith("."))]
    indexed = (output / INDEX).exists()
    if others != [INDEX] * indexed or (indexed and not _is_material(output)):
        raise ShardError(f"{name} holds something else than a detector's material: name another folder with --output")
    if indexed and not force:
        raise ShardError(f"{name} is prepared already: --force prepares it again")


def _is_ours(path: Path) -> bool:
    return bool(re.fullmatch(rf"(?:{'|'.join(SPLITS)})-(?:{'|'.join(KINDS)})-[0-9]{{5}}\.h5", path.name))


def _is_material(folder: Path) -> bool:
    try:
        MaterialIndex.load(folder)
    except ShardError:
        return False
    return True


@dataclass(frozen=True)
class _Maker:
    """Makes material of what is listed; goes to each process once, with the list of all faces."""

    faces: Source
    root: Path
    side: int

    def __call__(self, task: Task) -> Material | None:
        item = task.item
        if isinstance(item, str):
            return cut_out_face(self.faces.read(task.split, item), self.faces.labels.names, self.side)
        image = read_any_photo(self.root / item.file)
        if isinstance(item, HeadPhoto):
            labels = read_labels(self.root / item.labels, len(PARTS))
            if labels.shape != image.shape[:2]:
                raise SourceError(
                    f"{printable(self.root / item.labels)} is not as large as its photo: fetch both again"
                )
            return cut_out_parts(item.file, image, labels, self.side)
        shrunk, stretch = resized(image, min(LONGEST, max(image.shape[:2])))
        if isinstance(item, BackgroundPhoto):
            return Material.of(item.file, shrunk, BackgroundAbout(item.hard))
        return Material.of(item.file, shrunk, _about(item, stretch))


def _tasks(faces: Source, photos: RealPhotos) -> Iterator[Task]:
    for split, names in faces.splits.items():
        yield from (Task("heads", split, name) for name in names)
    listed: tuple[tuple[Kind, Sequence[HeadPhoto | AnnotatedPhoto | BackgroundPhoto]], ...] = (
        ("heads", photos.heads),
        ("photos", photos.faces),
        ("backgrounds", photos.backgrounds),
    )
    for kind, items in listed:
        yield from (Task(kind, item.split, item) for item in items)


def _about(photo: AnnotatedPhoto, stretch: NDArray[np.float64]) -> PhotoAbout:
    """What is known of a photo that was divided by `stretch`."""

    def moved(points: object) -> Any:
        flat = np.asarray(points, np.float64)
        pairs = (flat.reshape(-1, 2) + 0.5) / stretch - 0.5
        return pairs.reshape(flat.shape).round(2).tolist()

    return PhotoAbout(
        boxes=tuple(tuple(moved(box)) for box in photo.boxes),
        points=tuple(face and tuple(map(tuple, moved(face))) for face in photo.points or [None] * len(photo.boxes)),
        ignored=tuple(tuple(moved(box)) for box in photo.ignore),
    )
