"""The `eagrctl` command: its commands, and the one place where errors become a line and an exit code.

Exit codes: 0 done, 1 an error the user can mend, 2 wrong usage, 130 interrupted, 141 nobody reads the output any more,
143 terminated. Bugs keep their traceback.
Heavy imports stay inside the commands, so that `--help` answers at once.
"""

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from eagrctl import __version__
from eagrctl.cli import (
    ablate,
    benchmark,
    complexity,
    console,
    dataset,
    demo,
    detector,
    doctor,
    evaluate,
    export,
    landmarks,
    parse,
    prepare,
    runs,
    score,
    train,
    visualise,
    weights,
)
from eagrctl.errors import EagrctlError, FollowedError
from eagrctl.files import printable

# By help panel, in the order of their use. A module is called as its command or group of commands.
PANELS = {
    "Data": (prepare, dataset),
    "Training": (train, runs, ablate),
    "Evaluation": (evaluate, score, complexity, visualise),
    "Photos": (parse, export),
    "Faces": (detector, landmarks),
    "More": (weights, benchmark, doctor, demo),
}
NAMES = {module: module.__name__.rpartition(".")[2] for modules in PANELS.values() for module in modules}
ORDER = list(NAMES.values())


# What torch, the loader of libraries and Python say where there is no memory, or no thread or process to be had.
_NO_MEMORY = ("can't allocate memory", "out of memory", "Cannot allocate memory", "failed to map segment", "new thread")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the errors that users can mend into one line on stderr."""
    console.quiet = False
    try:
        yield
    except TyperException as error:  # wrong usage, which Typer tells, with arguments as they were given
        error.message = printable(error.message)
        raise
    except FollowedError:
        raise typer.Exit(1) from None
    except EagrctlError as error:
        console.error(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.error("interrupted")
        raise typer.Exit(130) from None
    except (MemoryError, OSError, RuntimeError, ImportError) as error:
        if not _lacks_memory(error):
            raise
        said = str(error).strip() or type(error).__name__
        console.error(
            f"too little memory ({said.splitlines()[0]}): close other programs, take fewer at once (--batch, --workers "
            "where the command has them), or a machine with more"
        )
        raise typer.Exit(1) from None


def _lacks_memory(error: BaseException) -> bool:
    said = str(error)
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or any(sign in said for sign in _NO_MEMORY)
    )


class _Group(TyperGroup):
    """All commands, listed in the order of their use."""

    def list_commands(self, ctx: Any) -> list[str]:
        # Typer puts commands before groups of commands, which would move `prepare` to the end.
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _translated():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _translated():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Group,
    name="eagrctl",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Face parsing with EAGRNet: from a photo to its masks, from a folder of labelled faces to the paper's table.

**Masks of any photo**, by the network that comes with eagrctl

```text
eagrctl parse photo.jpg                   # writes parsed/photo.png and more
```

**The way from a download to a table**

```text
eagrctl prepare celebamask-hq DOWNLOAD    # writes data/celebamask-hq
eagrctl train --gpus 1                    # writes runs/celebamask-hq-...
eagrctl evaluate --report table.md        # scores the newest run
```

Nothing at hand? `eagrctl demo` paints faces, trains on them and prints a table in a few minutes.""",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.result(f"eagrctl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of `eagrctl` itself; its help text is the app's."""


for _panel, _modules in PANELS.items():
    for _module in _modules:
        if hasattr(_module, "app"):
            app.add_typer(_module.app, name=NAMES[_module], rich_help_panel=_panel)
        else:
            app.command(NAMES[_module], rich_help_panel=_panel)(getattr(_module, NAMES[_module]))


def _terminate(number: int, frame: FrameType | None) -> None:
    # As an exception, so that whatever is half-written is taken away on the way out; a second one ends that, too.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(128 + number)


def _spin_briefly() -> None:
    """Have threads that wait for one another let go of their core soon, here and in processes that are started here.

    torch's threads (GNU OpenMP's) else spin for a time slice, which another process may need: beside one busy process a
    network then takes three times as long, beside three more than ten times. With 1,000 rounds it takes twice and four
    times as long, with 10,000 a third more than that, and all are as fast on a quiet machine. It is read once, when
    torch is imported.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = "1000"


def main() -> None:
    """Run the command line."""
    _spin_briefly()
    signal.signal(signal.SIGTERM, _terminate)
    console.open_streams()
    app(prog_name="eagrctl")
