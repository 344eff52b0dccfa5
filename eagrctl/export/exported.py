"""Exported networks, run by ONNX Runtime, which is an extra, or by torch; and compared with what they were made from.

They are asked on random pixels, which excite all of a network, and on real faces, of which labels mean something; one
at a time and in a batch. The network is the plain one, and its labels come from the code that `evaluate` uses.
"""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.data import astronaut

from eagrctl.arrays import Pixels
from eagrctl.data.align import align_matrix, resize_matrix
from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, ignore, tracked
from eagrctl.faces.photo import read_any_photo
from eagrctl.geometry import warp_image
from eagrctl.inference.predict import Segmenter

# (B, S, S, 3) uint8 RGB -> labels, (B, S, S) uint8, and logits, (B, N, h, w) float32.
Exported = Callable[[Pixels], tuple[Pixels, NDArray[np.float32]]]

# More would be another computation, not another order of the same; the share leaves room for pixels on the border
# between two classes, which the last bit decides.
LARGEST_ERROR = 1e-4
LEAST_EQUAL = 0.999

RANDOM = 2  # images

# Eye centres in scikit-image's photo of Eileen Collins, read off it.
_EYES = np.array([[203.5, 102], [246, 104.5], [np.nan] * 2, [np.nan] * 2, [np.nan] * 2])


class OnnxNetwork:
    """A session of ONNX Runtime on the CPU, for a file or its contents, in as many threads as torch uses by default.

    Attributes:
        about: the file's metadata.
        size: S, the side of its input; None where it takes any.
    """

    def __init__(self, model: Path | bytes, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
        self._needed = onnxruntime.RunOptions()
        self._needed.only_execute_path_to_fetches = True
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        side = self._session.get_inputs()[0].shape[1]
        self.size: int | None = side if isinstance(side, int) else None

    def __call__(self, images: Pixels) -> tuple[Pixels, NDArray[np.float32]]:
        """See `Exported`."""
        labels, logits = self._session.run(["labels", "logits"], {"image": images})
        return labels, logits

    def logits(self, images: Pixels) -> NDArray[np.float32]:
        """The logits alone, without the time that labels take."""
        logits: NDArray[np.float32] = self._session.run(["logits"], {"image": images}, self._needed)[0]
        return logits


class TorchNetwork:
    """A program of torch's own on the CPU, from a file or its contents."""

    def __init__(self, program: Path | bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations
            loaded = torch.export.load(io.BytesIO(program) if isinstance(program, bytes) else program)
        self._module = loaded.module()

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> tuple[Pixels, NDArray[np.float32]]:
        """See `Exported`."""
        labels, logits = self._module(torch.from_numpy(images))
        return labels.numpy(), logits.numpy()


@dataclass(frozen=True)
class Difference:
    """How an exported network differs from the network on one batch."""

    images: str  # what it was asked on
    batch: int  # how many at once
    error: float  # largest difference of a logit, relative to the largest logit
    equal: float  # share of pixels with equal labels, 0..1

    @property
    def small(self) -> bool:
        """Whether it is one that rounding makes; no number is not."""
        return self.error <= LARGEST_ERROR and self.equal >= LEAST_EQUAL


def real_faces(photos: Sequence[Path], size: int) -> list[Pixels]:
    """Faces to compare on, (size, size, 3) uint8 each: whole photos, stretched; without any, a face that is at hand."""
    if not photos:
        # In the public domain, and in the package of scikit-image itself.
        return [warp_image(astronaut(), align_matrix(_EYES, size), size)]
    read = (read_any_photo(path) for path in photos)
    return [warp_image(photo, resize_matrix(photo.shape[:2], size), size) for photo in read]


def compare(
    exported: Exported,
    segmenter: Segmenter,
    faces: Sequence[Pixels],
    listener: Listener = ignore,
    table: Pixels | None = None,
) -> list[Difference]:
    """Compare an exported network with the network, `segmenter`, on random pixels and on faces, (S, S, 3) uint8 each.

    Of each kind, one image makes a batch, and several do; a face that is alone goes with its mirror image. The labels
    of the exported network are those that the network's have in `table`, if one is given.
    """
    size = segmenter.recipe.size
    noise = np.random.default_rng(0).integers(0, 256, (RANDOM, size, size, 3), np.uint8)
    several = faces if len(faces) > 1 else [faces[0], faces[0][:, ::-1]]
    kinds = {"random pixels": noise, "real faces": np.stack(several)}
    batches = [(kind, images[:count]) for kind, images in kinds.items() for count in (1, len(images))]
    return [_difference(exported, segmenter, table, *batch) for batch in tracked(batches, "comparing", listener)]


def require_equal(differences: Sequence[Difference]) -> None:
    """Refuse what differs by more than rounding, with an EagrctlError that names the worst batch."""
    wrong = [difference for difference in differences if not difference.small]
    if wrong:
        # No number at all is worse than any number.
        worst = max(wrong, key=lambda difference: np.nan_to_num(difference.error, nan=np.inf))
        raise EagrctlError(
            f"the exported network is not the network: on {worst.images}, {worst.batch} at once, logits differ by "
            f"{worst.error:.1e} (at most {LARGEST_ERROR:.0e}) and {worst.equal:.2%} of labels are equal (at least "
            f"{LEAST_EQUAL:.1%}); nothing was written: try the other --format, or another version of torch"
        )


def _difference(
    exported: Exported, segmenter: Segmenter, table: Pixels | None, kind: str, images: Pixels
) -> Difference:
    labels, logits = exported(images)
    count, size = len(images), segmenter.recipe.size
    scores = segmenter.logits(list(images))
    expected = scores.numpy()
    wanted = np.stack(segmenter.to_source(scores, list(images), [np.eye(2, 3)] * count, [(size, size)] * count))
    wanted = wanted if table is None else table[wanted]
    if labels.shape != (count, size, size) or logits.shape != expected.shape:
        raise EagrctlError(
            f"the exported network gives labels {labels.shape} and logits {logits.shape} for {count} at once; "
            "nothing was written: try the other --format, or another version of torch"
        )
    error = float(np.abs(logits - expected).max() / np.abs(expected).max())
    return Difference(kind, count, error, float((labels == wanted).mean()))
