"""Writing files whole or not at all, and telling them apart."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eagrctl.errors import EagrctlError

CHARTS = (".png", ".svg", ".pdf")  # endings that charts may have


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there when the block ends well.

    A reader sees the old file or the new one, never half of either; when the block fails, nothing is left of the new.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
