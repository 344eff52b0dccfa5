"""A face parsing dataset and a folder of real photos -> the material that a detector is trained on."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from eagrctl.arrays import Pixels
from eagrctl.data.source import Source
from eagrctl.errors import ShardError, SourceError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.faces.photo import read_any_photo
from eagrctl.files import printable, writing
from eagrctl.locks import locked
from eagrctl.readers.images import read_labels
from eagrctl.readers.real_photos import PARTS, SPLIT_RULE, AnnotatedPhoto, BackgroundPhoto, HeadPhoto, RealPhotos
from eagrctl.training.detector.cutouts import SIDE, cut_out_face, cut_out_parts
from eagrctl.training.detector.materials import (
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

Task = tuple[Kind, str, Callable[[], Material | None]]  # a kind, a split, and how its material is made


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
    tasks = list(_tasks(faces, photos, side))
    _check_free(output, force)
    with writing(output, ShardError):
        output.mkdir(parents=True, exist_ok=True)
    with locked(output, ShardError, listener), Workers(workers, _made) as pool:
        _check_free(output, force)
        (output / INDEX).unlink(missing_ok=True)
        for path in filter(_is_ours, list(output.iterdir())):
            path.unlink()
        shards: list[MaterialShard] = []
        done = without = 0
        groups: dict[tuple[Kind, str], list[Task]] = {}
        for task in tasks:
            groups.setdefault(task[:2], []).append(task)
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


def _tasks(faces: Source, photos: RealPhotos, side: int) -> Iterator[Task]:
    classes = faces.labels.names
    for split, names in faces.splits.items():
        for name in names:
            yield "heads", split, partial(_face, faces, split, name, classes, side)
    for head in photos.heads:
        yield "heads", head.split, partial(_parts, photos.root, head, side)
    for photo in photos.faces:
        yield "photos", photo.split, partial(_photo, photos.root, photo)
    for background in photos.backgrounds:
        yield "backgrounds", background.split, partial(_background, photos.root, background)


def _made(task: Task) -> Material | None:
    return task[2]()


def _face(faces: Source, split: str, name: str, classes: Sequence[str], side: int) -> Material | None:
    return cut_out_face(faces.read(split, name), classes, side)


def _parts(root: Path, head: HeadPhoto, side: int) -> Material | None:
    image = read_any_photo(root / head.file)
    labels = read_labels(root / head.labels, len(PARTS))
    if labels.shape != image.shape[:2]:
        raise SourceError(f"{printable(root / head.labels)} is not as large as its photo: fetch both again")
    return cut_out_parts(head.file, image, labels, side)


def _photo(root: Path, photo: AnnotatedPhoto) -> Material:
    image = read_any_photo(root / photo.file)
    shrunk, factor = _shrunk(image)

    def moved(numbers: Sequence[float]) -> tuple[float, ...]:
        return tuple(round((number + 0.5) * factor - 0.5, 2) for number in numbers)

    points = photo.points or [None] * len(photo.boxes)
    about = PhotoAbout(
        boxes=tuple(moved(box) for box in photo.boxes),  # type: ignore[misc]
        points=tuple(face and tuple(moved(point) for point in face) for face in points),  # type: ignore[misc]
        ignored=tuple(moved(box) for box in photo.ignore),  # type: ignore[misc]
    )
    return Material.of(photo.file, shrunk, about)


def _background(root: Path, background: BackgroundPhoto) -> Material:
    shrunk, _ = _shrunk(read_any_photo(root / background.file))
    return Material.of(background.file, shrunk, BackgroundAbout(background.hard))


def _shrunk(image: Pixels) -> tuple[Pixels, float]:
    longest = max(image.shape[:2])
    if longest <= LONGEST:
        return image, 1.0
    factor = LONGEST / longest
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size)), factor
