"""How fast photos are parsed: whole photos, and the networks themselves, a small and a large one."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from eagrctl.arrays import Pixels
from eagrctl.benchmark.harness import COPIES, Result, Table, astronauts, hardware
from eagrctl.benchmark.networks import NetworkSpeed, calibrate, measure_network
from eagrctl.benchmark.photos import PhotoSpeed, faces_of, measure_photos
from eagrctl.checkpoint import build_network, load_checkpoint, restore_network
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.events import Drawing, Listener, undrawn
from eagrctl.export.network import missing_for_onnx, onnx_bytes
from eagrctl.inference.predict import Segmenter
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.parsing.parser import FaceParser
from eagrctl.parsing.photos import find_photos
from eagrctl.recipe import InputRecipe, find_recipe, load_recipe

BATCHES = (1, 8)


@dataclass(frozen=True)
class Subject:
    """A network that is measured.

    Attributes:
        name: of its file or recipe.
        network: on the CPU.
        recipe: its input.
        path: its checkpoint; None where its weights are random, so that its norms have no statistics yet.
    """

    name: str
    network: EAGRNet
    recipe: InputRecipe
    path: Path | None = None

    @property
    def title(self) -> str:
        """Of its table."""
        return f"{self.name}{'' if self.path else ', random weights'}, {self.recipe.size} x {self.recipe.size}"

    @classmethod
    def stored(cls, name: str, path: Path) -> "Subject":
        """The network of a checkpoint."""
        checkpoint = load_checkpoint(path)
        return cls(name, restore_network(checkpoint), checkpoint.recipe.input, path)

    @classmethod
    def of_recipe(cls, name: str) -> "Subject":
        """The network of a recipe, with random weights."""
        torch.manual_seed(0)
        recipe = load_recipe(find_recipe(name))
        return cls(name, build_network(recipe, len(CELEBAMASK_HQ.names)), recipe.input)

    def measure(
        self, faces: Sequence[Pixels], device: torch.device, repeat: int, compiled: bool, listener: Listener
    ) -> list[NetworkSpeed]:
        """Measure it with one image at a time and with several; arguments as in `measure_network`."""
        if self.path is None:
            calibrate(self.network, faces, self.recipe)
        exported = device.type == "cpu" and not missing_for_onnx()
        onnx = onnx_bytes(self.network.cpu(), self.recipe) if exported else None
        found: list[NetworkSpeed] = []
        for batch in BATCHES:
            # A large network takes a minute for a batch on a slow CPU.
            rounds = repeat if self.path else max(1, repeat // batch)
            found += measure_network(self.network, self.recipe, faces, batch, rounds, device, compiled, listener, onnx)
        return found


def benchmark_parsing(
    small: Subject,
    large: Subject | None,
    photos: Path | None,
    device: torch.device,
    detector: str | None = None,
    predictor: Path | None = None,
    repeat: int = 5,
    compiled: bool = False,
    drawing: Drawing = undrawn,
) -> Result:
    """Measure whole photos with a network, then that network and a large one from pixels to logits.

    Args:
        small: that network, of a checkpoint.
        large: the other one, if there is one.
        photos: a folder; None takes a photo that scikit-image has, several times.
        device: where networks run.
        detector: what finds faces, as for `FaceParser`.
        predictor: likewise.
        repeat: timed rounds of each way.
        compiled: whether to measure torch.compile, too.
        drawing: draws progress.

    Raises:
        EagrctlError: a checkpoint or photo that cannot be read, or no face in the photos.
    """
    assert small.path is not None, "photos are parsed by a checkpoint"
    segmenter = Segmenter(small.network, small.recipe, device)
    parser = FaceParser(small.path, device=device, detector=detector, predictor=predictor, frame="face")
    found: dict[str, list[NetworkSpeed]] = {}
    with nullcontext(photos) if photos else astronauts() as folder, drawing() as listener:
        paths = [photo.path for photo in find_photos([str(folder)], listener=listener) if photo.kind == "photo"]
        whole = measure_photos(parser, segmenter, paths, listener)
        for subject in [small, large] if large else [small]:
            faces = faces_of(paths, subject.recipe.size, parser.finder)
            found[subject.title] = subject.measure(faces, device, repeat, compiled, listener)
    said = f"{len(paths)} photos of {photos}" if photos else f"scikit-image's astronaut, {COPIES} times"
    remarks = [f"{whole.faces_per_second:.1f} faces a second, detection included."]
    if missing_for_onnx():
        remarks.append("ONNX Runtime is not installed, and was not measured: pip install 'eagrctl[onnx]'.")
    return Result(
        hardware(device.type == "cuda"),
        [_photo_table(said, whole), *(_network_table(*each) for each in found.items())],
        remarks,
        {
            "networks": {title: [asdict(speed) for speed in speeds] for title, speeds in found.items()},
            "photos": asdict(whole) | {"faces_per_second": whole.faces_per_second},
        },
    )


def _photo_table(title: str, whole: PhotoSpeed) -> Table:
    parts = whole.seconds | {"together": sum(whole.seconds.values()), "side by side, as eagrctl parse": whole.together}
    rows = [
        (name, f"{1000 * seconds / whole.photos:.1f}", f"{1000 * seconds / max(whole.faces, 1):.1f}")
        for name, seconds in parts.items()
    ]
    return Table(f"{title}: {whole.faces} faces", ("", "ms per photo", "ms per face"), rows)


def _network_table(title: str, speeds: Sequence[NetworkSpeed]) -> Table:
    headings = ("", "batch", "ms per image", "images/s", "times plain", "largest error", "equal labels")
    rows = [
        (
            each.way,
            f"{each.batch}",
            f"{1000 * each.seconds:.1f}",
            f"{1 / each.seconds:.2f}",
            f"{each.times_plain:.2f}",
            f"{each.error:.1e}",
            f"{100 * each.equal:.3f} %",
        )
        for each in speeds
    ]
    return Table(title, headings, rows)
