"""`eagrctl parse`: photos and videos -> label maps, overlays, and what was found, one by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import RUNS, Gpus, LandmarkPredictor, Quiet, choose_device
from eagrctl.cli.parse_summary import show
from eagrctl.errors import EagrctlError

if TYPE_CHECKING:
    from eagrctl.parsing.files import ResultFolder, Wanted
    from eagrctl.parsing.parser import FaceParser
    from eagrctl.parsing.placing import Finding


def parse(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Photos, folders, patterns such as 'a/*.jpg', videos.")
    ] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", metavar="FILE", help="File of more paths, one a line; - is standard input.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", show_default=True)
    ] = Path("parsed"),
    no_detect: Annotated[
        bool, typer.Option("--no-detect", help="Each photo is one cropped face, as in CelebAMask-HQ: look for none.")
    ] = False,
    whole_image: Annotated[
        bool, typer.Option("--whole-image", help="Parse a photo in which no face is found as a whole.")
    ] = False,
    per_face: Annotated[
        bool, typer.Option("--per-face", help="Also write a label map of each face: NAME.face-1.png and so on.")
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probabilities of all classes: NAME.npz.")
    ] = False,
    no_overlay: Annotated[bool, typer.Option("--no-overlay", help="Write no NAME.overlay.jpg.")] = False,
    every: Annotated[
        int, typer.Option("--every", metavar="N", min=1, help="Of a video, parse every N-th frame.", show_default=True)
    ] = 1,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="RUN|CHECKPOINT", help="Network. Default: the one that comes with eagrctl."),
    ] = None,
    predictor: LandmarkPredictor = None,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=1, help="Faces parsed together.", show_default=True)
    ] = 8,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Threads that read and find faces. Default: all cores."),
    ] = None,
    gpus: Gpus = None,
    force: Annotated[
        bool, typer.Option("--force", help="Parse again what is done, and replace results of other photos.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Parse the faces in photos: which pixel is skin, hair, nose, an eye, a lip?

    Of photo NAME, writes NAME.png (class ids, with a palette), NAME.overlay.jpg (to look at) and NAME.json (faces, and
    shares of classes). The same command again continues where it was stopped, and skips what is done.

    ```text
    eagrctl parse photo.jpg
    eagrctl parse holiday/ 'more/*.jpg' --output labels --per-face
    eagrctl parse clip.mp4 --every 2
    ```
    """
    from eagrctl.parsing.batch import parse_files
    from eagrctl.parsing.files import Wanted
    from eagrctl.parsing.photos import find_photos

    if no_detect and whole_image:
        raise typer.BadParameter(
            "no face is looked for with --no-detect: drop one of the two", param_hint="--whole-image"
        )
    _keep_apart(paths or [], output)
    with console.progress(quiet) as progress:
        found = find_photos(paths or [], listed, without=[output], listener=progress)
    wanted = Wanted(not no_overlay, per_face, probabilities)
    finding: Finding = "crop" if no_detect else "whole" if whole_image else "faces"
    parser, folder = _ready(weights, predictor, finding, wanted, batch, gpus, output)
    try:
        with console.progress(quiet) as progress:
            tallies = parse_files(parser, found, folder, every=every, force=force, workers=workers, listener=progress)
    except KeyboardInterrupt:
        console.message(f"What is in {output} is whole: the same command goes on from there")
        raise
    show(tallies, folder, [photo for photo in found if photo.kind == "photo"])
    if any(tally.failed for tally in tallies.values()):
        raise typer.Exit(1)


def _keep_apart(paths: Sequence[str], output: Path) -> None:
    """Refuse to write among photos that are found by looking into their folder: next time, results would be, too."""
    if output.resolve() in [Path(path).resolve() for path in paths if Path(path).is_dir()]:
        raise EagrctlError(f"--output {output} is the folder of the photos: name another for the results")


def _ready(
    weights: Path | None,
    predictor: Path | None,
    finding: "Finding",
    wanted: "Wanted",
    batch: int,
    gpus: int | None,
    output: Path,
) -> "tuple[FaceParser, ResultFolder]":
    """The parser, and the folder that knows what its results depend on."""
    from eagrctl.data.labels import label_set_of
    from eagrctl.faces.landmarks import find_predictor
    from eagrctl.parsing.files import ResultFolder
    from eagrctl.parsing.parser import FaceParser
    from eagrctl.parsing.record import Settings
    from eagrctl.training.runs import find_checkpoint
    from eagrctl.weights import shipped

    path = find_checkpoint(weights or Path(shipped.NAME), RUNS)
    predictor = None if finding == "crop" else find_predictor(predictor, shipped_first=True)
    parser = FaceParser(
        path,
        device=choose_device(gpus),
        predictor=predictor,
        finding=finding,
        probabilities=wanted.probabilities,
        batch=batch,
    )
    labels = label_set_of(parser.dataset, parser.classes)
    return parser, ResultFolder(output, labels, Settings.of(path, predictor, finding), parser.size, wanted)
