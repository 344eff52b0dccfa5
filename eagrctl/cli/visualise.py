"""`eagrctl visualise`: photos -> edge maps and the response maps of Fig. 5."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Gpus, LandmarkPredictor, Quiet, choose_device
from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, Notice
from eagrctl.files import require_writable

if TYPE_CHECKING:
    from eagrctl.arrays import Pixels
    from eagrctl.data.aligner import Aligner


class Module(StrEnum):
    """The EAGR modules, by the features that they stand on."""

    HIGH = "high"
    LOW = "low"
    BOTH = "both"


def visualise(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos, a face in each.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="RUN|CHECKPOINT", help="Default: the best checkpoint of the newest run."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.png", help="Picture to write.", show_default=True)
    ] = Path("visualise.png"),
    vertices: Annotated[
        str | None,
        typer.Option(
            "--vertices",
            metavar="N,N,...|all",
            help="Vertices to show, numbered from 0, row by row. Default: those in the middle.",
        ),
    ] = None,
    module: Annotated[
        Module | None,
        typer.Option("--module", help="EAGR module to look into. Default: high, or both where it is the only one."),
    ] = None,
    align: Annotated[
        bool, typer.Option("--align", help="Find each face with dlib, and put it where prepare --align does.")
    ] = False,
    predictor: LandmarkPredictor = None,
    gpus: Gpus = None,
    quiet: Quiet = False,
) -> None:
    """Show where a network sees edges, and which pixels answer to which vertex, as in the paper's Figure 5.

    A column per photo: the photo, its edge map, and a map for each vertex, darker where pixels give more of themselves
    to it. The blue rectangle is where the vertex's anchor was pooled. Without --align, the whole photo is the face.

    ```text
    eagrctl visualise face.jpg
    eagrctl visualise one.jpg other.jpg --checkpoint runs/NAME --vertices 0,5,10 --module low --output figure.png
    ```
    """
    from eagrctl.checkpoint import load_checkpoint
    from eagrctl.drawing.pictures import save_picture
    from eagrctl.inference.predict import Segmenter
    from eagrctl.paper.response_figure import SIDE, response_figure
    from eagrctl.paper.responses import find_module, respond
    from eagrctl.training.runs import find_checkpoint

    require_writable(output, ".png")
    path = find_checkpoint(checkpoint, RUNS)
    loaded = load_checkpoint(path)
    network = Segmenter.of(loaded, choose_device(gpus))
    name, found = find_module(network.network, module and module.value, str(path))
    chosen = _vertices(vertices, found.project.pooling)
    # A network of small input sees a photo that is shrunk again: the figure need not be as coarse.
    aligner = _aligner(max(loaded.recipe.input.size, SIDE), align, predictor)
    with console.progress(quiet) as progress:
        photos = [_face(image, aligner, progress) for image in images]
        responses = respond(network, photos, name, listener=progress)
    save_picture(response_figure([image.name for image in images], photos, responses, chosen), output)
    console.written([output])


def _vertices(text: str | None, pooling: int) -> list[int]:
    from eagrctl.paper.responses import central_vertices, check_vertices

    if text is None:
        return central_vertices(pooling)
    if text == "all":
        return list(range((pooling - 2) ** 2))
    numbers = [number.strip() for number in text.split(",")]
    if not all(number.isdecimal() for number in numbers):
        raise EagrctlError(f"--vertices {text} is no list of vertices: write numbers such as 5,6,9,10, or all")
    vertices = list(dict.fromkeys(int(number) for number in numbers))
    check_vertices(vertices, pooling)
    return vertices


def _aligner(size: int, align: bool, predictor: Path | None) -> "Aligner":
    from eagrctl.data.aligner import Aligner, Detected
    from eagrctl.faces.landmarks import DlibLandmarks, find_predictor

    if not align and predictor:
        raise typer.BadParameter("landmarks are for alignment, which is off: add --align", param_hint="--predictor")
    return Aligner(size, Detected(DlibLandmarks(find_predictor(predictor))) if align else None)


def _face(path: Path, aligner: "Aligner", listener: Listener) -> "Pixels":
    """The face in a photo, (S, S, 3) uint8, aligned like a sample that has no labels."""
    import numpy as np

    from eagrctl.data.sample import Sample
    from eagrctl.faces.photo import read_any_photo

    photo = read_any_photo(path)
    aligned = aligner.align(Sample(path.name, photo, np.zeros(photo.shape[:2], np.uint8)))
    if aligned.centred:
        listener(Notice(f"No face was found in {path}: the middle of it is shown", warning=True))
    return np.array(aligned.image)  # torch warns of arrays that are read-only, as Pillow's are
