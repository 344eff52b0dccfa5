"""Photos as a parser gives them, made by hand, and a parser that gives them."""

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.errors import SourceError
from eagrctl.parsing.files import ResultFolder, Wanted
from eagrctl.parsing.parsed import Failed, ParsedFace, ParsedPhoto
from eagrctl.parsing.record import ParserSettings
from eagrctl_tests.conftest import face

SETTINGS = ParserSettings("net.pt", "ab", "faces", "a detector", "cd")
SIZE = 49


def parsed_photo(number: int = 1, faces: int = 1, probabilities: bool = False) -> ParsedPhoto:
    """Faces of 64 x 64 side by side in a photo of 70 x 70 * `faces`, which begins with 6 columns of nothing."""
    image = np.full((70, max(70, 70 * faces), 3), 90, np.uint8)
    labels = np.zeros(image.shape[:2], np.uint8)
    found = []
    for place in range(faces):
        pixels, here = face(number + place)
        left = 6 + 70 * place
        image[2:66, left : left + 64], labels[2:66, left : left + 64] = pixels, here
        random = np.random.default_rng(place)
        found.append(
            ParsedFace(
                np.array([[0.5, 0.25, float(place)], [-0.25, 0.5, 3.0]]),
                (2, left, 66, left + 64),
                here,
                box=(left + 10.0, 20.0, left + 50.0, 60.0),
                confidence=1.5 - place / 4,
                landmarks=np.array([[left + 20.0, 30.0], [left + 40.0, 30.5], *[[np.nan] * 2] * 3]),
                look=640,
                probabilities=random.dirichlet(np.ones(19), (7, 7)).transpose(2, 0, 1).astype(np.float32)
                if probabilities
                else None,
            )
        )
    return ParsedPhoto(image, labels, CELEBAMASK_HQ.names, tuple(found))


def results_in(path: Path, settings: ParserSettings = SETTINGS, **wanted: bool) -> ResultFolder:
    return ResultFolder(path, CELEBAMASK_HQ, settings, SIZE, Wanted(**wanted))


class PaintedParser:
    """In the place of a FaceParser: the faces in a photo are as many as its name's last letter says.

    Attributes:
        seen: names of the files that were parsed, or shapes of arrays.
    """

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def parse_film(
        self, frames: Iterable[tuple[Any, float]], *, workers: int | None = None, memory: Any = None
    ) -> Generator[ParsedPhoto | Failed, None, None]:
        return self.parse_many((frame for frame, _ in frames), workers=workers)

    def parse_many(
        self, images: Iterable[Any], *, workers: int | None = None
    ) -> Generator[ParsedPhoto | Failed, None, None]:
        for image in images:
            if isinstance(image, np.ndarray):
                self.seen.append(image.shape)
                parsed = parsed_photo(1)
                labels = np.zeros(image.shape[:2], np.uint8)
                labels[:64, :64] = parsed.faces[0].labels[: image.shape[0], : image.shape[1]]
                yield ParsedPhoto(image, labels, parsed.classes, parsed.faces)
                continue
            self.seen.append(image.name)
            try:
                with Image.open(image) as picture:
                    picture.load()
            except OSError:
                yield Failed(SourceError(f"{image} is damaged: fetch it again"))
            else:
                yield parsed_photo(1, int(image.stem[-1]))
