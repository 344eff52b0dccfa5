"""One at a time: a command that fills a folder over time keeps others from it meanwhile.

The lock is a file in the folder, held by the operating system for as long as its process lives, so that one that is
killed lets go of it. It says who holds it, and is gone when the folder is free.
"""

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, Notice, ignore
from eagrctl.files import printable, remove_stale

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

LOCK = ".eagrctl.lock"
PATIENCE = 1.0  # seconds; whoever only asks whether a folder is locked, or is being killed, lets go sooner
BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}

_held: set[int] = set()  # open lock files of this process


@contextmanager
def locked(folder: Path, error: type[EagrctlError] = EagrctlError, listener: Listener = ignore) -> Iterator[None]:
    """Keep other processes from filling a folder, which is there, while the block runs; clear up after killed ones.

    Where the file system has no locks (some of Lustre's and NFS's), the block runs unprotected after a warning.

    Raises:
        EagrctlError: of the kind `error`: another process is at it, or the folder cannot be written to.
    """
    try:
        file = _acquire(folder / LOCK)
    except BlockingIOError:
        raise error(
            f"{printable(folder)} is being filled by another eagrctl{_holder(folder / LOCK)}: wait for it, stop it, "
            "or name another folder"
        ) from None
    except OSError as failed:
        raise error(f"cannot write to {printable(folder)} ({failed.strerror}): name another folder") from None
    if file is None:
        listener(
            Notice(
                f"The file system of {printable(folder)} has no locks: make sure that nothing else writes there",
                warning=True,
            )
        )
    else:
        _held.add(file)
    try:
        remove_stale(folder)
        yield
    finally:
        if file is not None:
            _held.discard(file)
            (folder / LOCK).unlink(missing_ok=True)
            os.close(file)


def is_locked(folder: Path) -> bool:
    """Whether a process holds a folder's lock; False where nobody can know."""
    if fcntl is None:
        return False
    try:
        file = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # there is none, or it is somebody else's
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as failed:
        return failed.errno in BUSY
    finally:
        os.close(file)
    return False


def _acquire(path: Path) -> int | None:
    """The open file that holds the lock; None where there are no locks. BlockingIOError where somebody else has it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            if fcntl is None:
                raise OSError(errno.ENOSYS, "no locks")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have removed the file since it was opened here.
            with suppress(FileNotFoundError):
                if os.fstat(file).st_ino == path.stat(follow_symlinks=False).st_ino:
                    with suppress(OSError):  # on a full disk nobody learns who it is
                        os.truncate(file, 0)
                        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
                    return file
            os.close(file)
        except OSError as failed:
            os.close(file)
            if failed.errno not in BUSY:
                path.unlink(missing_ok=True)
                return None
            if time.monotonic() > deadline:
                raise BlockingIOError(*failed.args) from None
            time.sleep(0.02)


def _holder(path: Path) -> str:
    """Who holds a lock, in brackets, for a message; nothing where that cannot be read."""
    with suppress(OSError, UnicodeDecodeError):
        with path.open(encoding="utf-8") as file:
            text = file.read(200)
        return f" ({printable(text)})" if text else ""
    return ""


def _let_go() -> None:
    """A forked child does not keep the lock of its parent."""
    for file in _held:
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
