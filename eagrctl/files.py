"""Writing files whole or not at all, and telling them apart."""

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eagrctl.errors import EagrctlError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

TEMPORARY = ".eagrctl-*.part"  # what a file is called while it is written
CHARTS = (".png", ".svg", ".pdf")  # endings that charts may have


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside `path`, and move it there when the block ends well.

    A reader sees the old file or the new one, never half of either; when the block fails, nothing is left of the new.
    The temporary file is new, whatever lies there, and has a name of its own, so that two writers of one file both
    succeed, and the last wins. A process that is killed leaves it; `remove_stale` takes it away.
    """
    temporary = path.with_name(TEMPORARY.replace("*", secrets.token_hex(8)))
    held = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        _hold(held)
        yield temporary
        temporary.replace(path)
    finally:
        os.close(held)
        temporary.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove the temporary files in a folder whose writers are gone; one that is being written stays."""
    for path in folder.glob(TEMPORARY):
        with suppress(OSError):
            if path.is_symlink() or not path.is_file():
                continue
            file = os.open(path, os.O_RDONLY)
            try:
                if _hold(file):
                    path.unlink()
            finally:
                os.close(file)


def _hold(file: int) -> bool:
    """Mark an open file as in use until it is closed, and say whether nobody else uses it.

    Where the file system has no such marks, nobody does as far as one can know: who asks holds the folder's lock.
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def writing(path: Path, error: type[EagrctlError] = EagrctlError) -> Iterator[None]:
    """Turn the OSError of a block that writes a file or folder into one line."""
    try:
        yield
    except OSError as failed:
        raise error(f"cannot write {path}: {failed.strerror or failed}") from failed


def write_whole(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all; EagrctlError where it cannot be written."""
    with writing(path), replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(text: str, path: Path) -> None:
    """Write a text, whole or not at all; EagrctlError where it cannot be written."""
    write_whole(text.encode(), path)


def require_writable(path: Path, *suffixes: str) -> None:
    """Refuse, before any work is done, a file that could not be written at its end.

    Raises:
        EagrctlError: an ending that is none of `suffixes`, a folder of that name, or no folder to put it in.
    """
    if path.suffix not in suffixes:
        *others, last = suffixes
        endings = f"{', '.join(others)} or {last}" if others else last
        raise EagrctlError(f"cannot write {path}: give a name that ends in {endings}")
    if path.is_dir() or not path.parent.is_dir():
        raise EagrctlError(f"cannot write {path}: {'it is a folder' if path.is_dir() else 'its folder does not exist'}")


def require_regular(path: Path, error: type[Exception] = EagrctlError) -> None:
    """Refuse, before it is opened, a pipe or a device, which may never end; OSError where there is nothing."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise error(f"{printable(path)} is a pipe, a socket or a device: give a regular file")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(text: Path | str) -> str:
    """A path, or any text from a file, for messages: one line without control characters, whatever bytes it has."""
    text = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
