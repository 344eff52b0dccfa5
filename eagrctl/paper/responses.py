"""Which pixels answer to which vertex, and where the network sees edges (paper, section 4.5 and Fig. 5)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from eagrctl.arrays import Pixels
from eagrctl.data.aligner import Aligner
from eagrctl.data.dataset import image_tensor, normalise
from eagrctl.data.source import Sample
from eagrctl.drawing.chart import Chart
from eagrctl.drawing.figures import VertexMaps, response_figure
from eagrctl.drawing.overlay import Box
from eagrctl.errors import CheckpointError, EagrctlError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.faces.photo import read_any_photo
from eagrctl.inference.predict import Segmenter
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.network.reasoning import EAGR

# What the modules of `Deployment` are called, in the order in which they are preferred.
MODULES = ("high", "low", "both")


@dataclass(frozen=True)
class Responses:
    """What one EAGR module projects, for several faces.

    Attributes:
        maps: P of Eq. 3, (B, V, h, w) float32 on the CPU, h x w being the module's feature map: which share of itself a
            pixel gives to a vertex. Over the vertices, shares sum to one.
        edges: (B, H, W) float32 on the CPU, the probability that a pixel is an edge pixel; None where the network has
            no edge module. Its corners, and those of `maps`, are aligned with the input's.
        pooling: the module's pooling size, border included.
        size: side of the network's input.
    """

    maps: torch.Tensor
    edges: torch.Tensor | None
    pooling: int
    size: int

    def draw(self, names: Sequence[str], photos: Sequence[Pixels], vertices: Sequence[int]) -> Chart:
        """Fig. 5 of the faces, by the photos' names, and of some vertices; EagrctlError where one is not there."""
        height, width = self.maps.shape[2:]
        cells = [anchor_cell(vertex, self.pooling, (height, width), self.size) for vertex in vertices]
        maps = [VertexMaps(each, self.maps[:, each].numpy(), cell) for each, cell in zip(vertices, cells, strict=True)]
        return response_figure(names, photos, None if self.edges is None else self.edges.numpy(), maps, self.size)


@torch.inference_mode()
def respond(
    predictor: Segmenter, images: Sequence[Pixels], module: str, batch: int = 8, listener: Listener = ignore
) -> Responses:
    """Let a network look at faces, and catch what one of its EAGR modules projects.

    The network is only watched: its results are what they are otherwise.

    Args:
        predictor: the network, its input and device; evaluation mode is set.
        images: (S, S, 3) uint8 each, at least one.
        module: one of `MODULES`.
        batch: faces looked at together.
        listener: hears of progress.

    Raises:
        CheckpointError: the network has no vertices.
        EagrctlError: it has no such module.
    """
    network, recipe = predictor.network.eval(), predictor.recipe
    project = find_module(network, module)[1].project
    maps: list[torch.Tensor] = []
    edges: list[torch.Tensor] = []

    def catch(_: object, inputs: tuple[torch.Tensor, ...], outputs: tuple[torch.Tensor, torch.Tensor]) -> None:
        maps.append(outputs[1].float().reshape(*outputs[1].shape[:2], *inputs[0].shape[2:]).cpu())

    hook = project.register_forward_hook(catch)
    try:
        for start in range(0, len(images), batch):
            faces = [image_tensor(image, recipe.size) for image in images[start : start + batch]]
            logits = network(normalise(torch.stack(faces).to(predictor.device), recipe.mean, recipe.std))
            if logits.edges is not None:
                edges.append(logits.edges.float().softmax(dim=1)[:, 1].cpu())
            listener(Progress("Faces", start + len(faces), len(images)))
    finally:
        hook.remove()
    return Responses(torch.cat(maps), torch.cat(edges) if edges else None, project.pooling, recipe.size)


def find_module(network: EAGRNet, name: str | None = None, origin: str = "the network") -> tuple[str, EAGR]:
    """An EAGR module of a network, and what it is called.

    Args:
        network: any.
        name: one of `MODULES`; None takes the first of them that there is.
        origin: what messages call the network.

    Raises:
        CheckpointError: the network has no vertices: it has no graph modules, or non-local blocks in their place.
        EagrctlError: it has graph modules, but not this one.
    """
    modules = {each: getattr(network.reason, each) for each in MODULES}
    modules = {each: module for each, module in modules.items() if module is not None}
    if not modules:
        raise CheckpointError(
            f"{origin} has no graph modules (graph = false or deployment = 0 in its recipe), so that no pixel answers "
            "to a vertex: name a checkpoint of a network that has some"
        )
    if not all(isinstance(module, EAGR) for module in modules.values()):
        raise CheckpointError(
            f"{origin} has non-local blocks (sampling = false in its recipe), which have no vertices: "
            "name a checkpoint of a network that samples"
        )
    name = name or next(iter(modules))
    if name not in modules:
        raise EagrctlError(f"{origin} has no module {name!r}, but {' and '.join(modules)}: choose with --module")
    return name, modules[name]


def read_face(path: Path, aligner: Aligner, listener: Listener = ignore) -> Pixels:
    """The face in a photo, (S, S, 3) uint8, aligned like a sample that has no labels.

    Args:
        path: of the photo.
        aligner: finds the face, and puts it into the square.
        listener: hears where none was found, and the middle is taken.

    Raises:
        SourceError: no photo, or none that can be read.
    """
    photo = read_any_photo(path)
    aligned = aligner.align(Sample(path.name, photo, np.zeros(photo.shape[:2], np.uint8)))
    if aligned.centred:
        listener(Notice(f"No face was found in {path}: the middle of it is shown", warning=True))
    return np.array(aligned.image)  # torch warns of arrays that are read-only, as Pillow's are


def choose_vertices(text: str | None, pooling: int) -> list[int]:
    """The vertices that a list such as "5,6,9,10" names, or "all"; those in the middle where there is none.

    Args:
        text: the list.
        pooling: the module's pooling size, border included.

    Raises:
        EagrctlError: it is no such list, or names a vertex that is not there.
    """
    if text is None:
        return central_vertices(pooling)
    if text == "all":
        return list(range((pooling - 2) ** 2))
    numbers = [number.strip() for number in text.split(",")]
    if not all(number.isdecimal() for number in numbers):
        raise EagrctlError(f"--vertices {text} is not a list of vertices: write numbers such as 5,6,9,10, or all")
    vertices = list(dict.fromkeys(int(number) for number in numbers))
    for vertex in vertices:
        _require(vertex, pooling)
    return vertices


def central_vertices(pooling: int) -> list[int]:
    """The vertices in the middle, where a face is: four, or where one is the very middle, that one and those around it.

    Args:
        pooling: the pooling size, border included; (pooling - 2)^2 vertices are numbered row by row.
    """
    rows, columns = abs(np.mgrid[: pooling - 2, : pooling - 2] - (pooling - 3) / 2)
    return np.flatnonzero(rows + columns <= 1).tolist()


def anchor_cell(vertex: int, pooling: int, features: tuple[int, int], size: int) -> Box:
    """The part of the input under the cell that a vertex's anchor is pooled from (Eq. 2).

    Adaptive pooling lets a cell begin at the floor and end at the ceiling of its fraction of the feature map, so that
    cells can overlap by a pixel of it. That pixel i lies under pixel i (S - 1) / (h - 1) of the input: corners are
    aligned.

    Args:
        vertex: numbered row by row, without the border ring.
        pooling: the pooling size, border included.
        features: height and width of the feature map, at least 2 each.
        size: S, side of the input.

    Returns:
        Left, top, right and bottom, in pixels of the input, whose centres lie on integers; edges lie between them.

    Raises:
        EagrctlError: there is no such vertex.
    """
    _require(vertex, pooling)
    row, column = divmod(vertex, pooling - 2)
    (top, bottom), (left, right) = (
        _span(place + 1, pooling, length, size) for place, length in zip((row, column), features, strict=True)
    )
    return left, top, right, bottom


def _require(vertex: int, pooling: int) -> None:
    last = (pooling - 2) ** 2 - 1
    if not 0 <= vertex <= last:
        raise EagrctlError(f"there is no vertex {vertex}: they are numbered 0 to {last}, row by row")


def _span(place: int, pooling: int, length: int, size: int) -> tuple[float, float]:
    begin, end = place * length // pooling, math.ceil((place + 1) * length / pooling)
    scale = (size - 1) / (length - 1)
    return max((begin - 0.5) * scale, -0.5), min((end - 0.5) * scale, size - 0.5)
