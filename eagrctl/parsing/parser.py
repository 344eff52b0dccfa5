"""Photo -> faces -> squares -> logits -> labels in the photo: what `eagrctl parse` does, for Python."""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path

import torch

from eagrctl.arrays import Pixels
from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.labels import label_set_of
from eagrctl.errors import CheckpointError, EagrctlError, SourceError
from eagrctl.faces.finders import open_finder
from eagrctl.faces.photo import AnyImage, as_photo
from eagrctl.inference.predict import Segmenter
from eagrctl.inference.tta import TestTimeAugmentation
from eagrctl.parsing.frames import OUTER, Frame
from eagrctl.parsing.labelling import label_faces
from eagrctl.parsing.merging import merge_faces
from eagrctl.parsing.parsed import Failed, ParsedFace, ParsedPhoto
from eagrctl.parsing.pipeline import Pipeline, PlacedPhoto, workers_of
from eagrctl.parsing.placing import Finding, Placer, Square
from eagrctl.parsing.video.steady import FilmMemory, parse_film
from eagrctl.weights import meant


class FaceParser:
    """Parses the faces of photos.

    ::

        from eagrctl import FaceParser

        parser = FaceParser()
        parsed = parser.parse("photo.jpg")
        parsed.labels                         # (H, W) uint8, a class for each pixel of the photo
        parsed.classes[parsed.labels[0, 0]]   # "background"
        for face in parsed.faces:
            print(face.box, face.landmarks)

    Threads may share a parser.

    Args:
        weights: a checkpoint; None, or "shipped" where no file has that name, is the network that eagrctl ships.
        device: where the network runs; None is a GPU where there is one.
        detector: what finds faces, as for `eagrctl.faces.finders.open_finder`: "own", "dlib" or a file.
        predictor: dlib's landmark predictor; only for "dlib".
        finding: "faces" finds all faces of a photo; "whole" also parses a photo without any as a whole; "crop" treats
            each photo as one face, cropped like those of the training data.
        frame: "head" looks again, wider, where hair, hat, neck or clothes reach out of a face's square; "face" is that
            square alone, in which the network was trained and evaluated.
        tta: test-time augmentation: "mirror", "scales" or "mirror,scales" average views of each face.
        probabilities: whether faces carry the probabilities of all classes.
        batch: the most faces that go through the network together.

    Attributes:
        dataset: whose classes are parsed.
        classes: their names, by id; the background is 0.
        size: side of the network's square input, in pixels.
        finder: finds the faces; None where none is looked for.
        frame: as given.
        tta: in words; empty where no views are averaged.

    Raises:
        CheckpointError: the weights are missing, damaged, or something else.
        AlignmentError: the detector or the predictor is missing, or something else.
        EagrctlError: there is no such device or augmentation.
        ValueError: `batch` is below 1, or `finding` or `frame` something else.
    """

    def __init__(
        self,
        weights: Path | str | None = None,
        *,
        device: str | torch.device | None = None,
        detector: Path | str | None = None,
        predictor: Path | str | None = None,
        finding: Finding = "faces",
        frame: Frame = "head",
        tta: str | None = None,
        probabilities: bool = False,
        batch: int = 8,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}: at least one face goes through the network")
        if finding not in ("faces", "crop", "whole"):
            raise ValueError(f'finding is {finding!r}: choose "faces", "crop" or "whole"')
        if frame not in ("head", "face"):
            raise ValueError(f'frame is {frame!r}: choose "head" or "face"')
        _survive_forks()
        checkpoint = load_checkpoint(_weights(weights))
        self.dataset, self.classes, self.size = checkpoint.dataset, checkpoint.classes, checkpoint.recipe.input.size
        views = TestTimeAugmentation.named(tta, label_set_of(self.dataset, self.classes).mirrored)
        self.tta, self._segmenter = str(views), Segmenter.of(checkpoint, _device(device), views)
        chosen = None if predictor is None else Path(predictor)
        self.finder = None if finding == "crop" else open_finder(detector, chosen)
        self.frame = frame
        outer = OUTER if frame == "head" else ()
        self._outer = [label for label, name in enumerate(self.classes) if name in outer]
        self._placer = Placer(self.size, finding, self.finder)
        self._probabilities, self._batch = probabilities, batch

    def parse(self, image: AnyImage, *, order: str = "rgb") -> ParsedPhoto:
        """Find the faces of one photo and parse them.

        Args:
            image: a path; the bytes of a file, or an open one; a picture of Pillow's; an array, (H, W, 3) RGB or (H, W)
                grey; or a tensor. `eagrctl.faces.photo.as_photo` says which numbers these may hold.
            order: "bgr" for arrays and tensors whose colours come so, as OpenCV's do.

        Raises:
            SourceError: a photo that cannot be read.
            ValueError: an array of another shape or type.
            TypeError: no image at all.
        """
        photo = as_photo(image, order)
        squares = self._placer.place(photo)
        batches = (squares[start : start + self._batch] for start in range(0, len(squares), self._batch))
        return self._merge(photo, [face for batch in batches for face in self._label(batch)])

    def parse_many(
        self, images: Iterable[AnyImage], *, order: str = "rgb", workers: int | None = None
    ) -> Generator[ParsedPhoto | Failed, None, None]:
        """Parse photos one after the other, several times as fast as one by one.

        Faces of several photos go through the network together, while the next photos are read and searched for faces.
        `images` is read ahead by some photos only, so it may be endless. Ending the iteration early ends the work.

        Args:
            images: as for `parse`; files in a generator, for one.
            order: as for `parse`.
            workers: threads; None is one for each core that torch may use.

        Yields:
            For each image in turn, what `parse` returns, or why it could not be parsed.

        Raises:
            ValueError: an array of another shape or type; `workers` is below 1.
        """
        workers_of(workers, self._segmenter.device)
        if order not in ("rgb", "bgr"):
            raise ValueError(f'order is {order!r}: choose "rgb" or "bgr"')
        return self._parse_many(iter(images), order, workers)

    def parse_film(
        self,
        frames: Iterable[tuple[Pixels, float]],
        *,
        workers: int | None = None,
        memory: FilmMemory | None = None,
    ) -> Generator[ParsedPhoto, None, None]:
        """Parse the frames of a film, steadily: faces are followed, and what the network says averaged along time.

        Args:
            frames: (H, W, 3) uint8 RGB, each with its time in seconds, which grows.
            workers: as for `parse_many`.
            memory: of the frames before these, as `eagrctl.parsing.video.steady` says.

        Yields:
            What was found in each frame, in order, some frames later. Without a detector, or where photos without a
            face are parsed whole, it is what `parse_many` gives.

        Raises:
            ValueError: `workers` is below 1.
        """
        if self.finder is None or self._placer.finding != "faces":
            for parsed in self.parse_many((frame for frame, _ in frames), workers=workers):
                if isinstance(parsed, Failed):
                    raise parsed.error
                yield parsed
            return
        threads = workers_of(workers, self._segmenter.device)
        found = parse_film(frames, self._placer, self._label, self._batch, self._segmenter.device, threads, memory)
        with closing(found) as results:
            for photo, faces in results:
                yield self._merge(photo, faces)

    def _parse_many(
        self, images: Iterator[AnyImage], order: str, workers: int | None
    ) -> Generator[ParsedPhoto | Failed, None, None]:
        first = list(islice(images, 2))
        # More threads gain nothing for a single photo, and one alone has all cores.
        workers = 1 if len(first) < 2 else workers
        pipeline = Pipeline(
            partial(self._place_or_tell, order), self._label, self._batch, self._segmenter.device, workers
        )
        for placed, faces in pipeline.run(chain(first, images)):
            yield placed if isinstance(placed, Failed) else self._merge(placed.photo, faces)

    def _place_or_tell(self, order: str, image: AnyImage) -> PlacedPhoto | Failed:
        try:
            photo = as_photo(image, order)
            return PlacedPhoto(photo, self._placer.place(photo))
        except EagrctlError as error:
            return Failed(error)
        except MemoryError:
            return Failed(SourceError("a photo is too large for this memory: scale it down, or take fewer workers"))

    def _label(self, squares: Sequence[Square]) -> list[ParsedFace]:
        return label_faces(self._segmenter, squares, self._probabilities, self._outer)

    def _merge(self, photo: Pixels, faces: Sequence[ParsedFace]) -> ParsedPhoto:
        labels = merge_faces(faces, photo.shape[:2])
        return ParsedPhoto(photo, labels, self.classes, tuple(faces))


def _weights(given: Path | str | None) -> Path:
    path = meant(None if given is None else Path(given))
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: name a checkpoint in it, such as {path / 'best.pt'}")
    return path


def _device(given: str | torch.device | None) -> torch.device:
    if given is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(given)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EagrctlError(f"no device called {given} can be used ({reason}): leave it out, or name cpu") from None
    return device


@cache
def _survive_forks() -> None:
    """Let processes that are forked from this one use torch in one thread.

    Its other threads do not come along, and OpenMP would wait for them for ever.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
