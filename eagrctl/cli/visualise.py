"""`eagrctl visualise`: photos -> edge maps and the response maps of Fig. 5."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Detector, Gpus, LandmarkPredictor, Quiet, argument, choose_device, flag, option
from eagrctl.files import CHARTS


def visualise(
    images: Annotated[list[Path], argument("IMAGE", "Photos, a face in each.")],
    checkpoint: Annotated[
        Path | None, option("--checkpoint", "RUN|CHECKPOINT", "Default: the best checkpoint of the newest run.")
    ] = None,
    output: Annotated[Path, option("--output -o", "FILE", "PNG, SVG or PDF to write.", CHARTS)] = Path("visualise.png"),
    vertices: Annotated[
        str | None,
        option("--vertices", "N,N,...|all", "Vertices, numbered from 0, row by row. Default: those in the middle."),
    ] = None,
    module: Annotated[
        Literal["high", "low", "both"] | None,
        flag("--module", "EAGR module to look into. Default: high, or both where it is the only one."),
    ] = None,
    align: Annotated[bool, flag("--align", "Find each face, and put it where prepare --align does.")] = False,
    detector: Detector = None,
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
    from eagrctl.data.aligner import Aligner, detected
    from eagrctl.drawing.chart import save_chart
    from eagrctl.drawing.figures import SIDE
    from eagrctl.faces.finders import open_finder
    from eagrctl.inference.predict import Segmenter
    from eagrctl.paper.responses import choose_vertices, find_module, read_face, respond
    from eagrctl.training.runs import find_checkpoint

    if (detector or predictor) and not align:
        raise typer.BadParameter("faces are found for alignment, which is off: add --align", param_hint="--detector")
    path = find_checkpoint(checkpoint, RUNS)
    loaded = load_checkpoint(path)
    network = Segmenter.of(loaded, choose_device(gpus))
    name, found = find_module(network.network, module, str(path))
    chosen = choose_vertices(vertices, found.project.pooling)
    # A network of small input sees a photo that is shrunk again: the figure need not be as coarse.
    side = max(loaded.recipe.input.size, SIDE)
    aligner = Aligner(side, detected(open_finder(detector, predictor)) if align else None)
    with console.progress(quiet) as progress:
        photos = [read_face(image, aligner, progress) for image in images]
        responses = respond(network, photos, name, listener=progress)
    save_chart(responses.draw([image.name for image in images], photos, chosen), output)
    console.written([output])
