"""`eagrctl benchmark parse`: networks beside their plain selves and ONNX Runtime, and whole photos."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Gpus, LandmarkPredictor, Quiet, choose_device
from eagrctl.files import require_writable

if TYPE_CHECKING:
    import torch

    from eagrctl.arrays import Pixels
    from eagrctl.benchmark.networks import NetworkSpeed
    from eagrctl.benchmark.photos import PhotoSpeed
    from eagrctl.events import Listener
    from eagrctl.network.eagrnet import EAGRNet
    from eagrctl.recipe import InputRecipe

# What is asked of parsing on a CPU: of the full network, and of the one that comes with eagrctl, on two slow cores.
TIMES_PLAIN, LARGEST_ERROR, FACES_PER_SECOND, LEAST_EQUAL = 1.5, 1e-3, 8.0, 0.998
BATCHES = (1, 8)
COPIES = 8  # of the one photo that there is where none is named


def parse(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN|CHECKPOINT", help="Network to parse with. Default: the one that comes with eagrctl."
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos", metavar="DIR", help="Photos to parse. Default: scikit-image's astronaut, eight times."
        ),
    ] = None,
    full: Annotated[
        str,
        typer.Option(
            "--full",
            metavar="RECIPE|CHECKPOINT|none",
            help="The large network to measure as well: of a recipe, with random weights, or of a file.",
        ),
    ] = "celebamask-hq",
    predictor: LandmarkPredictor = None,
    repeat: Annotated[
        int, typer.Option("--repeat", metavar="N", min=1, help="Rounds of each way; the median counts.")
    ] = 5,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Measure torch.compile, too, which takes minutes to begin with.")
    ] = False,
    gpus: Gpus = None,
    figures: Annotated[
        Path | None, typer.Option("--json", metavar="FILE.json", help="Write all figures, unrounded.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure how fast photos are parsed.

    First whole photos, detection and JPEG included, part by part one after the other, and all in all as `eagrctl parse`
    does it. Then the networks, from pixels to logits, one image at a time and eight: plainly in float32, as eagrctl
    runs them, and by ONNX Runtime where it is installed, in turns. Of a large network with random weights, norms have
    the statistics of the faces it is measured on; it takes minutes, and `--full none` leaves it out.

    ```text
    eagrctl benchmark parse
    eagrctl benchmark parse --photos holidays --json speed.json
    eagrctl benchmark parse runs/NAME --full none --repeat 20
    ```
    """
    if figures is not None:
        require_writable(figures, ".json")
    from eagrctl.benchmark.photos import faces_of, measure_photos
    from eagrctl.benchmark.training import hardware
    from eagrctl.checkpoint import load_checkpoint
    from eagrctl.inference.predict import Segmenter as Network
    from eagrctl.parsing.parser import FaceParser
    from eagrctl.parsing.photos import find_photos
    from eagrctl.training.runs import find_checkpoint
    from eagrctl.weights import shipped

    device = choose_device(gpus)
    path = find_checkpoint(checkpoint or Path(shipped.NAME), RUNS)
    loaded = load_checkpoint(path)
    small = Network.of(loaded, device)
    networks = [Measured(str(checkpoint or shipped.NAME), small.network, loaded.recipe.input)]
    networks += [] if full == "none" else [_full(full)]
    parser = FaceParser(path, device=device, predictor=predictor)
    speeds: dict[str, list[NetworkSpeed]] = {}
    with _photos(photos) as folder:
        with console.progress(quiet) as listener:
            paths = [photo.path for photo in find_photos([str(folder)], listener=listener) if photo.kind == "photo"]
            whole = measure_photos(parser, small, paths, predictor, listener)
        said = f"{len(paths)} photos of {photos}" if photos else f"scikit-image's astronaut, {COPIES} times"
        _show_photos(whole, said)
        for each in networks:
            with console.progress(quiet) as listener:
                faces = faces_of(paths, each.recipe.size, predictor)
                speeds[each.title] = _measure(each, faces, device, repeat, compiled, listener)
            _show(each.title, speeds[each.title])
    where = ", ".join([hardware(device.type == "cuda"), *_versions()])
    console.result(f"Measured on {where}.")
    _show_goals([speeds[each.title] for each in networks], whole)
    if figures is not None:
        from eagrctl.scoring.report.tables import write_report

        contents = {
            "hardware": where,
            "networks": {title: [asdict(each) for each in found] for title, found in speeds.items()},
            "photos": asdict(whole) | {"faces_per_second": whole.faces_per_second},
        }
        write_report(json.dumps(contents, indent=2) + "\n", figures)
        console.written([figures])


class Measured(NamedTuple):
    """A network, its input, and whether its weights are random, so that its norms have no statistics yet."""

    name: str
    network: "EAGRNet"
    recipe: "InputRecipe"
    fresh: bool = False

    @property
    def title(self) -> str:
        """Of its table."""
        return f"{self.name}{', random weights' if self.fresh else ''}, {self.recipe.size} x {self.recipe.size}"


def _full(named: str) -> Measured:
    import torch

    from eagrctl.checkpoint import build_network, load_checkpoint, restore_network
    from eagrctl.data.labels import CELEBAMASK_HQ
    from eagrctl.recipe import find_recipe, load_recipe
    from eagrctl.training.runs import find_checkpoint

    path = Path(named)
    if path.suffix in (".pt", ".safetensors") or (path / "best.pt").is_file():
        checkpoint = load_checkpoint(find_checkpoint(path, RUNS))
        return Measured(named, restore_network(checkpoint), checkpoint.recipe.input)
    torch.manual_seed(0)
    recipe = load_recipe(find_recipe(named), [])
    return Measured(named, build_network(recipe, len(CELEBAMASK_HQ.names)), recipe.input, fresh=True)


def _measure(
    measured: Measured, faces: "list[Pixels]", device: "torch.device", repeat: int, compiled: bool, listener: "Listener"
) -> "list[NetworkSpeed]":
    from eagrctl.benchmark.networks import calibrate, measure_network, onnx_available
    from eagrctl.export.network import onnx_bytes

    network, recipe = measured.network, measured.recipe
    if measured.fresh:
        calibrate(network, faces, recipe)
    onnx = onnx_bytes(network.cpu(), recipe) if device.type == "cpu" and onnx_available() else None
    found: list[NetworkSpeed] = []
    for batch in BATCHES:
        # A large network takes a minute for a batch on a slow CPU.
        rounds = max(1, repeat // batch) if measured.fresh else repeat
        found += measure_network(network, recipe, faces, batch, rounds, device, compiled, listener, onnx)
    return found


@contextmanager
def _photos(given: Path | None) -> Iterator[Path]:
    """The folder to parse, or one with copies of a photo in the public domain, gone when the block ends."""
    if given is not None:
        yield given
        return
    from PIL import Image
    from skimage.data import astronaut

    with tempfile.TemporaryDirectory(prefix="eagrctl-") as folder:
        for number in range(COPIES):
            Image.fromarray(astronaut()).save(Path(folder) / f"astronaut-{number}.jpg", quality=95)
        yield Path(folder)


def _versions() -> list[str]:
    import torch

    from eagrctl.benchmark.networks import onnx_available

    threads = torch.get_num_threads()
    said = [f"{threads} thread{'s' if threads > 1 else ''}"]
    if not onnx_available():
        return [*said, "ONNX Runtime not measured (pip install 'eagrctl[onnx]')"]
    import onnxruntime

    return [*said, f"ONNX Runtime {onnxruntime.__version__}"]


def _show(title: str, found: "Sequence[NetworkSpeed]") -> None:
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
        for each in found
    ]
    console.table(
        ("", "batch", "ms per image", "images/s", "times plain", "largest error", "equal labels"), rows, title
    )


def _show_photos(whole: "PhotoSpeed", title: str) -> None:
    from eagrctl.benchmark.photos import PARTS

    def row(name: str, seconds: float) -> tuple[str, str, str]:
        return name, f"{1000 * seconds / whole.photos:.1f}", f"{1000 * seconds / max(whole.faces, 1):.1f}"

    rows = [row(part, whole.seconds[part]) for part in PARTS]
    rows += [row("together", sum(whole.seconds.values())), row("side by side, as eagrctl parse", whole.together)]
    console.table(("", "ms per photo", "ms per face"), rows, f"{title}: {whole.faces} faces")
    console.result(f"{whole.faces_per_second:.1f} faces a second, detection included.")


def _show_goals(networks: "list[list[NetworkSpeed]]", whole: "PhotoSpeed") -> None:
    from eagrctl.benchmark.networks import OURS

    ours = [[each for each in found if each.way == OURS] for found in networks]
    equal = min(each.equal for each in ours[0])
    rate = whole.faces_per_second
    console.marked(
        rate >= FACES_PER_SECOND, f"faces a second: {rate:.1f} (asked for on two slow cores: {FACES_PER_SECOND:g})"
    )
    console.marked(equal >= LEAST_EQUAL, f"equal labels: {100 * equal:.3f} % (asked for: {100 * LEAST_EQUAL:g} %)")
    for found in ours[1:]:
        times, error = min(each.times_plain for each in found), max(each.error for each in found)
        console.marked(times >= TIMES_PLAIN, f"full network, times plain: {times:.2f} (asked for: {TIMES_PLAIN:g})")
        console.marked(
            error <= LARGEST_ERROR, f"full network, largest error: {error:.1e} (asked for: {LARGEST_ERROR:.0e})"
        )
