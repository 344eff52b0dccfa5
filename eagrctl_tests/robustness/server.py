"""A process that has imported everything and run nothing, and that forks one child for each command.

A child costs a fortieth of a second instead of the three seconds that the imports take. The process that forks must
never have run anything in torch: its threads do not survive a fork, and a child would wait for them for ever.

`Server` is the side of the tests; `python -m eagrctl_tests.robustness.server` is the other. They talk in lines of JSON.
"""

import importlib
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eagrctl.faces.detection.yunet import TRIAL

MEMORY = 2.5e9  # bytes that a command may take beyond what the imports take
SECONDS = 60.0

# What Python tells an audit hook of what changes the disk (and which of the arguments are paths) or leaves the process.
_CHANGES = {
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.link": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.utime": (0,),
}
_PROGRAMS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.startfile", "pty.spawn")
_NETWORK = ("socket.connect", "socket.getaddrinfo", "urllib.Request")


@dataclass(frozen=True)
class Ran:
    """What became of a command.

    Attributes:
        code: exit status; negative is the signal that ended it.
        stdout, stderr: what it printed.
        seconds, peak: time, and the most memory it held, in bytes.
        acts: what it changed and started, as (event, what): ("open", path), ("os.remove", path), ...
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    peak: int
    acts: tuple[tuple[str, str], ...]


class Server:
    """The process that forks, as a context manager."""

    def __enter__(self) -> Self:
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | quiet
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def start(self, command: Sequence[str], folder: Path, plant: str = "") -> None:
        """Begin a command in `folder`, whose results `finish` gives; a child may be given a fault to plant in it."""
        assert self._process.stdin is not None
        order = {"command": list(command), "folder": str(folder), "plant": plant}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def finish(self) -> Ran:
        """What became of the command that was started first."""
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        told["acts"] = tuple((event, what) for event, what in told["acts"])
        return Ran(**told)

    def run(self, command: Sequence[str], folder: Path, plant: str = "") -> Ran:
        """Run a command in `folder`."""
        self.start(command, folder, plant)
        return self.finish()


def _serve() -> None:
    import eagrctl

    for module in pkgutil.walk_packages(eagrctl.__path__, "eagrctl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("av", "dlib", "h5py", "matplotlib.pyplot", "pandas", "PIL.ImageOps", "skimage.data", "torch"):
        importlib.import_module(name)
    from PIL import Image

    Image.init()
    answers = os.fdopen(os.dup(1), "wb")
    while line := sys.stdin.buffer.readline():
        answers.write(json.dumps(_run(json.loads(line))).encode() + b"\n")
        answers.flush()


def _run(order: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as told:
        files = [Path(told) / name for name in ("stdout", "stderr", "acts")]
        began = time.monotonic()
        child = os.fork()
        if not child:
            _be_the_command(order, [str(path) for path in files])
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        _, status, usage = os.wait4(child, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.monotonic() - began
        stdout, stderr, acts = (path.read_text(errors="backslashreplace") if path.exists() else "" for path in files)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "stdout": stdout,
        "stderr": stderr,
        "seconds": seconds,
        "peak": usage.ru_maxrss * 1024,
        "acts": [json.loads(line) for line in acts.splitlines()],
    }


def _be_the_command(order: dict[str, Any], files: list[str]) -> None:
    """Run a command in this process, which ends with it."""
    code = 1
    try:
        place = order["folder"]
        os.setsid()
        for target, path in ((1, files[0]), (2, files[1])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), target)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        acts = os.open(files[2], os.O_WRONLY | os.O_CREAT)
        os.chdir(place)
        homes = ("HOME", "XDG_CACHE_HOME", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR")
        os.environ |= dict.fromkeys(homes, f"{place}/../home") | {"TMPDIR": f"{place}/../tmp", "COLUMNS": "200"}
        tempfile.tempdir = None
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + int(MEMORY), held + int(MEMORY)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        import torch

        torch.set_num_threads(1)
        from eagrctl.cli import app, console

        # Consoles made at import hold on to the width of that time.
        console.stdout, console.stderr = console.Console(highlight=False), console.Console(stderr=True, highlight=False)
        sys.addaudithook(lambda event, arguments: _tell(acts, event, arguments))
        if order["plant"]:
            exec(order["plant"], {})
        sys.argv = ["eagrctl", *order["command"]]
        try:
            app.main()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode(errors="backslashreplace"))
    finally:
        os._exit(code)


def _tell(acts: int, event: str, arguments: tuple[Any, ...]) -> None:
    """Write down what a command does, at once: it may crash next."""
    told: list[str] = []
    if event == "open":
        path, mode, flags = arguments
        changes = (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        told = [_absolute(path)] if not isinstance(path, int) and (changes or set(mode or "") & set("wax+")) else []
    elif event in _CHANGES:
        # The last argument of these is the open folder that a path is relative to, if it is 0 or more.
        folder = (
            arguments[-1] if isinstance(arguments[-1], int) and event in ("os.remove", "os.rmdir", "os.mkdir") else -1
        )
        told = [_absolute(arguments[place], folder) for place in _CHANGES[event]]
    elif event in _PROGRAMS or event in _NETWORK:
        if event == "subprocess.Popen" and list(arguments[1]) == [sys.executable, "-P", "-c", TRIAL]:
            return  # Python, on text of our own, to see whether OpenCV survives a network.
        told = [repr(arguments)[:200]]
    for what in told:
        os.write(acts, json.dumps([event, what]).encode() + b"\n")


def _absolute(path: Any, folder: int = -1) -> str:
    if isinstance(path, int):
        return str(Path(f"/proc/self/fd/{path}").readlink())
    whole = (Path(f"/proc/self/fd/{folder}").readlink() if folder >= 0 else Path.cwd()) / os.fsdecode(path)
    return str(Path(os.path.realpath(whole.parent)) / whole.name).encode(errors="backslashreplace").decode()


if __name__ == "__main__":
    _serve()
