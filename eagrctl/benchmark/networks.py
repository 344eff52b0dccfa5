"""How fast a network runs in several ways, in turns: plainly, as eagrctl runs it, by ONNX Runtime, compiled."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.swa_utils import update_bn

from eagrctl.arrays import Pixels
from eagrctl.data.dataset import image_tensor, normalise
from eagrctl.events import Listener, Progress, ignore
from eagrctl.export.exported import OnnxNetwork
from eagrctl.inference.clock import wait_for
from eagrctl.inference.predict import Segmenter
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.recipe import InputRecipe

PLAIN, OURS, ONNX, COMPILED = "plain float32", "eagrctl", "ONNX Runtime", "torch.compile"

CALIBRATED, NOISE = 8, 8  # faces that statistics are taken of, and what is added to their pixels, at most

# Photos -> logits, (B, N, h, w).
Way = Callable[[list[Pixels]], torch.Tensor]


@dataclass(frozen=True)
class NetworkSpeed:
    """One way of running a network, from pixels to logits.

    Attributes:
        way: its name.
        batch: images at once.
        seconds: of one image, the median over rounds.
        times_plain: how many times the images per second of the plain way, by medians.
        error: the largest difference of a logit from the plain way's, over its largest logit.
        equal: share of the pixels that get the label of the plain way, at the input's size.
    """

    way: str
    batch: int
    seconds: float
    times_plain: float
    error: float
    equal: float


def measure_network(
    network: EAGRNet,
    recipe: InputRecipe,
    faces: Sequence[Pixels],
    batch: int,
    rounds: int,
    device: torch.device,
    compiled: bool = False,
    listener: Listener = ignore,
    onnx: bytes | None = None,
) -> list[NetworkSpeed]:
    """Run a network in several ways, in turns, so that whatever else the machine does troubles all alike.

    Args:
        network: runs plainly and rewritten; on GPUs in half precision, too.
        recipe: its input.
        faces: (S, S, 3) uint8 each, S the recipe's, at least one; taken in turns to fill a batch.
        batch: images at once.
        rounds: timed ones, after one that is not.
        device: where.
        compiled: whether `torch.compile` runs the network, too; it takes a minute to begin with.
        listener: hears of progress.
        onnx: the network as `eagrctl.export.network.onnx_bytes` writes it, to be run by ONNX Runtime on the CPU.
    """
    images = [faces[number % len(faces)] for number in range(batch)]
    ways = _ways(network, recipe, device, compiled)
    if onnx is not None and device.type == "cpu":
        session = OnnxNetwork(onnx)
        ways[ONNX] = lambda images: torch.from_numpy(session.logits(np.stack(images)))
    predictor = Segmenter(network, recipe, device, rewrite=False)
    with torch.inference_mode():
        expected = ways[PLAIN](images)
        labels = _labels(predictor, expected, images)
        found = {}
        for name, run in ways.items():
            logits = run(images)
            error = float((logits - expected).abs().max() / expected.abs().max())
            same = np.mean(
                [one == other for one, other in zip(labels, _labels(predictor, logits, images), strict=True)]
            )
            found[name] = error, float(same)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name, run in ways.items():
                started = time.perf_counter()
                run(images)
                wait_for(device)
                seconds[name].append((time.perf_counter() - started) / batch)
            listener(Progress(f"network, batch of {batch}", number + 1, rounds))
    medians = {name: median(each) for name, each in seconds.items()}
    return [NetworkSpeed(name, batch, medians[name], medians[PLAIN] / medians[name], *found[name]) for name in ways]


def _ways(network: EAGRNet, recipe: InputRecipe, device: torch.device, compiled: bool) -> dict[str, Way]:
    ways: dict[str, Way] = {
        PLAIN: Segmenter(network, recipe, device, rewrite=False).logits,
        OURS: Segmenter(network, recipe, device).logits,
    }
    if device.type == "cuda":
        for precision in (torch.float16, torch.bfloat16):
            name = f"{OURS}, {str(precision).removeprefix('torch.')}"
            ways[name] = Segmenter(network, recipe, device, precision=precision).logits
    if compiled:
        plain = Segmenter(network, recipe, device, rewrite=False)
        plain.network = torch.compile(network)  # type: ignore[assignment]  # called as the network is
        ways[COMPILED] = plain.logits
    return ways


def _labels(predictor: Segmenter, logits: torch.Tensor, images: list[Pixels]) -> NDArray[np.uint8]:
    size = predictor.recipe.size
    whole = np.eye(2, 3)
    return np.stack(predictor.to_source(logits, images, [whole] * len(images), [(size, size)] * len(images)))


def calibrate(network: EAGRNet, faces: Sequence[Pixels], recipe: InputRecipe) -> None:
    """Give a fresh network's norms the statistics of faces, as training would: signals then neither fade nor grow.

    Args:
        network: on the CPU; set to evaluation mode in the end.
        faces: (S, S, 3) uint8 each, at least one. They are seen at half their size, which is enough for statistics.
        recipe: the network's input.
    """
    size = (recipe.size - 1) // 2 + 1
    images = torch.stack([image_tensor(faces[number % len(faces)], size) for number in range(CALIBRATED)])
    # Copies of one face would leave the norms of the pyramid's single cell without any variance.
    images = images + torch.randint(-NOISE, NOISE + 1, images.shape)
    images = images * torch.linspace(0.5, 1, CALIBRATED).view(-1, 1, 1, 1)
    update_bn([normalise(images, recipe.mean, recipe.std)], network.eval())
