"""The two networks of a detector as the loop trains them: what they learn from, what that costs, how good they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from eagrctl.errors import TrainingError
from eagrctl.faces.detection.file import Detector, DetectorAbout
from eagrctl.faces.detection.look import NetworkLooker, look
from eagrctl.faces.detection.network import STRIDES, DetectorNetwork, decoded
from eagrctl.faces.detection.points import CROP, STRIDE, PointsNetwork, refine_points
from eagrctl.files import printable
from eagrctl.training.detector.calibration import calibrate
from eagrctl.training.detector.losses import DetectorLosses, Faces, detector_losses
from eagrctl.training.detector.measure import Matches, match, pooled
from eagrctl.training.detector.recipe import DetectorRecipe
from eagrctl.training.detector.views import FAR_VIEW, NEAR_VIEW, drawn_view
from eagrctl.training.scenes.composites import Scene, SceneRecipe, scene
from eagrctl.training.scenes.crops import Crop, crop, pointed
from eagrctl.training.scenes.materials import Material, MaterialIndex, PhotoAbout
from eagrctl.training.scenes.pasting import Stock

LEAST = 0.05  # score of a box that counts in average precision
LOOK = 640  # pixels of a validation photo's longer side
COMPOSITES, CROPS = 200, 400  # of the split val that are validated
NEAR = 0.053  # of the eyes' distance: 6 of 473 pixels of an aligned face
SPREAD = 1.0  # cells; the deviation of the map that a point is to have
MAP_WEIGHT = 0.05  # of its cross-entropy beside the distance of the point


class Part(Protocol):
    """One of a detector's networks, to be trained."""

    terms: tuple[str, ...]  # names of what a step costs; the first is their sum
    network: nn.Module
    samples: Dataset[Any]  # by number, epoch after epoch
    gathered: Callable[[Sequence[Any]], Any]  # samples -> a batch

    def cost(
        self, network: nn.Module, batch: Any, device: torch.device, random: torch.Generator | None
    ) -> torch.Tensor:
        """The terms of a batch, on the device; of another view of it where `random` is there to draw one."""

    def scores(self, network: nn.Module) -> dict[str, float]:
        """How good the network is on the split val, by name; the first decides which is the best."""

    def kept(self, network: nn.Module, scores: Mapping[str, float]) -> Detector:
        """The network as a detector, together with the part that was not trained."""


def open_part(recipe: DetectorRecipe, root: Path, start: Detector | None) -> Part:
    """The part that a recipe trains.

    Args:
        recipe: says which.
        root: prepared material.
        start: what the part starts from, and where the other one comes from; None is random weights.

    Raises:
        TrainingError: there is nothing to learn from; or the other part is missing.
        ShardError: the material is missing or damaged.
    """
    index = MaterialIndex.load(root)
    for kind, split in (("heads", "train"), ("photos", "train"), ("backgrounds", "train"), ("photos", "val")):
        if not index.count(kind, split):  # type: ignore[arg-type]
            raise TrainingError(f"{printable(root)} has no {kind} of the split {split}: prepare it again")
    if recipe.train.part == "faces":
        return _FacesPart(recipe, index, start)
    if start is None:
        raise TrainingError("points are refined in the faces of a detector: name one with --set train.start='\"FILE\"'")
    return _PointsPart(recipe, index, start)


class _Samples(Dataset[Any]):
    """Scenes or crops by number; each process reads the material itself, once."""

    def __init__(self, root: Path, make: Callable[[Stock], Callable[[int, int], Any]], per_epoch: int) -> None:
        self.root, self.make, self.per_epoch = root, make, per_epoch
        self._made: Callable[[int, int], Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made": None}

    def __getitem__(self, number: int) -> Any:
        if self._made is None:
            self._made = self.make(Stock.of(MaterialIndex.load(self.root), "train"))
        return self._made(*divmod(number, self.per_epoch))


def _make_scenes(recipe: DetectorRecipe, stock: Stock) -> Callable[[int, int], Scene]:
    return partial(scene, stock, recipe.scenes, recipe.train.seed)


def _make_crops(recipe: DetectorRecipe, stock: Stock) -> Callable[[int, int], Crop]:
    return partial(crop, stock, *pointed(stock), recipe.train.seed)


class FacesBatch(NamedTuple):
    """Scenes of a step."""

    images: torch.Tensor  # (B, S, S, 3) uint8
    faces: Faces


class _FacesPart:
    """The network that finds faces."""

    terms: tuple[str, ...] = DetectorLosses._fields
    network: nn.Module
    samples: Dataset[Any]
    gathered: Callable[[Sequence[Any]], Any]

    def __init__(self, recipe: DetectorRecipe, index: MaterialIndex, start: Detector | None) -> None:
        shape, settings = recipe.network, recipe.train
        network = DetectorNetwork(shape.widths, shape.depths, shape.neck)
        if start is not None:
            try:
                network.load_state_dict(start.faces.state_dict())
            except RuntimeError:
                was = start.about
                raise TrainingError(
                    f"the detector to start from has widths {was.widths}, depths {was.depths} and neck {was.neck}: "
                    "give the recipe's [network] the same"
                ) from None
            network.calibration.copy_(torch.tensor([[1.0, 0.0]] * len(STRIDES)))
        self.network, self.recipe, self.start = network, recipe, start
        self.samples = _Samples(index.root, partial(_make_scenes, recipe), settings.batches * settings.batch)
        self.gathered = gathered_scenes
        stock = Stock.of(index, "val")
        only = SceneRecipe(**{**vars(recipe.scenes), "photos": 0.0})
        self.photos = [_known(photo) for photo in stock.photos]
        self.composites = [scene(stock, only, settings.seed, 0, number) for number in range(COMPOSITES)]

    def cost(
        self, network: nn.Module, batch: Any, device: torch.device, random: torch.Generator | None
    ) -> torch.Tensor:
        images, faces = batch
        pixels = images.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        known = Faces(*(each.to(device, non_blocking=True) for each in faces))
        if random is not None:
            view = drawn_view(len(pixels), self.recipe.scenes.size, FAR_VIEW, random, device)
            pixels, known = view.images(pixels), view.faces(known)
        answers = decoded(network(pixels.contiguous(memory_format=torch.channels_last)))
        size = self.recipe.scenes.size
        return torch.stack(detector_losses(answers, known, (size, size), self.recipe.loss))

    def scores(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, DetectorNetwork)
        looker = NetworkLooker(network)
        real, made = _pooled(self._on_photos(looker)), _pooled(self._on_composites(looker))
        return {"ap": 0.5 * (real + made), "ap_photos": real, "ap_composites": made}

    def kept(self, network: nn.Module, scores: Mapping[str, float]) -> Detector:
        assert isinstance(network, DetectorNetwork)
        shape = self.recipe.network
        known = [(each.image, each.boxes, each.ignored) for each in self.composites]
        calibrated = calibrate(network, [*known, *self.photos])
        about = DetectorAbout(shape.widths, shape.depths, shape.neck, scores)
        return Detector(calibrated, None if self.start is None else self.start.points, about)

    def _on_photos(self, looker: NetworkLooker) -> Iterator[tuple[NDArray[np.float64], Matches, int]]:
        for pixels, boxes, ignored in self.photos:
            found = look(looker, pixels, LOOK, LEAST)
            yield found.scores, match(found.boxes, found.scores, boxes, ignored), len(boxes)

    def _on_composites(self, looker: NetworkLooker) -> Iterator[tuple[NDArray[np.float64], Matches, int]]:
        for each in self.composites:
            found = looker.see(each.image[None], LEAST)[0]
            yield found.scores, match(found.boxes, found.scores, each.boxes, each.ignored), len(each.boxes)


def gathered_scenes(scenes: Sequence[Scene]) -> FacesBatch:
    """Scenes as a batch, their faces padded with NaN."""
    padded = (_padded([getattr(each, name) for each in scenes]) for name in ("boxes", "points", "ignored"))
    return FacesBatch(torch.from_numpy(np.stack([each.image for each in scenes])), Faces(*padded))


def _padded(rows: Sequence[NDArray[np.float32]]) -> torch.Tensor:
    padded = np.full((len(rows), max(map(len, rows)), *rows[0].shape[1:]), np.nan, np.float32)
    for place, each in enumerate(rows):
        padded[place, : len(each)] = each
    return torch.from_numpy(padded)


def _known(material: Material) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    about = material.about
    assert isinstance(about, PhotoAbout)
    boxes, ignored = (np.array(each, np.float64).reshape(-1, 4) for each in (about.boxes, about.ignored))
    return np.asarray(material.picture()), boxes, ignored


def _pooled(photos: Iterator[tuple[NDArray[np.float64], Matches, int]]) -> float:
    rows = list(photos)
    return pooled([(scores, matches) for scores, matches, _ in rows], sum(faces for *_, faces in rows))


class CropsBatch(NamedTuple):
    """Crops of a step."""

    images: torch.Tensor  # (B, CROP, CROP, 3) uint8
    points: torch.Tensor  # (B, 5, 2) float32, NaN where unknown


class _PointsPart:
    """The network that refines points."""

    terms: tuple[str, ...] = ("total", "distance", "map")
    network: nn.Module
    samples: Dataset[Any]
    gathered: Callable[[Sequence[Any]], Any]

    def __init__(self, recipe: DetectorRecipe, index: MaterialIndex, start: Detector) -> None:
        settings = recipe.train
        self.network, self.start = PointsNetwork(), start
        if start.points is not None:
            self.network.load_state_dict(start.points.state_dict())
        self.samples = _Samples(index.root, partial(_make_crops, recipe), settings.batches * settings.batch)
        self.gathered = gathered_crops
        stock = Stock.of(index, "val")
        self.crops = [crop(stock, *pointed(stock), settings.seed, 0, number) for number in range(CROPS)]

    def cost(
        self, network: nn.Module, batch: Any, device: torch.device, random: torch.Generator | None
    ) -> torch.Tensor:
        assert isinstance(network, PointsNetwork)
        images, points = (each.to(device, non_blocking=True) for each in batch)
        pixels = images.permute(0, 3, 1, 2).float()
        if random is not None:
            view = drawn_view(len(pixels), CROP, NEAR_VIEW, random, device)
            pixels, points = view.images(pixels), view.points(points)
        logits = network(pixels.contiguous(memory_format=torch.channels_last))
        return torch.stack(points_losses(logits, network.points(logits), points))

    def scores(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, PointsNetwork)
        found = refine_points(network.folded(), np.stack([each.image for each in self.crops]))
        true = np.stack([each.points for each in self.crops])
        apart = np.hypot(*(true[:, 1] - true[:, 0]).T)[:, None]
        errors = np.hypot(*np.moveaxis(found - true, 2, 0)) / apart
        eyes, every = errors[:, :2], errors[np.isfinite(errors)]
        return {
            "good": 1 - float(every.mean()),
            "eyes_near": float((eyes[np.isfinite(eyes)] <= NEAR).mean()),
            "median_error": float(np.median(every)),
        }

    def kept(self, network: nn.Module, scores: Mapping[str, float]) -> Detector:
        assert isinstance(network, PointsNetwork)
        was = self.start.about
        about = DetectorAbout(was.widths, was.depths, was.neck, {**was.scores, **scores}, was.card)
        return Detector(self.start.faces, network, about)


def gathered_crops(crops: Sequence[Crop]) -> CropsBatch:
    """Crops as a batch."""
    images, points = (torch.from_numpy(np.stack([each[place] for each in crops])) for place in range(2))
    return CropsBatch(images, points)


def points_losses(
    logits: torch.Tensor, found: torch.Tensor, true: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a batch of points costs: the sum of both terms, the distance, and the map.

    The distance is that of known points in shares of a cell, on average, by L1; the map's cross-entropy is with a
    normal distribution of `SPREAD` cells around the point, and keeps the map to one place.

    Args:
        logits: (B, 5, G, G).
        found: (B, 5, 2), in pixels of the crop.
        true: (B, 5, 2), NaN where unknown.
    """
    known = torch.isfinite(true).all(dim=2)
    count = known.sum().clamp(min=1)
    goal = true.nan_to_num()
    distance = ((found - goal).abs().sum(dim=2) * known).sum() / count / STRIDE
    cells = (torch.arange(CROP // STRIDE, device=true.device) + 0.5) - 0.5 + 0.5 / STRIDE
    across, down = (
        (-0.5 * ((cells - goal[..., axis, None] / STRIDE) / SPREAD).square()).softmax(dim=2) for axis in range(2)
    )
    wanted = down[..., :, None] * across[..., None, :]
    entropy = -(wanted.flatten(2) * F.log_softmax(logits.flatten(2), dim=2)).sum(dim=2)
    map_ = (entropy * known).sum() / count
    return distance + MAP_WEIGHT * map_, distance, map_
