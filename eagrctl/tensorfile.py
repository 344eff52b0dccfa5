"""Files of tensors from anybody, read without running anything in them.

Three kinds are understood: safetensors; what `torch.save` writes today (a zip archive); and what it wrote before 2020,
which is how many published weights still come. The last two hold a pickle, of which torch's own `weights_only` reader
takes tensors and plain types, and nothing else.
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from eagrctl.errors import CheckpointError
from eagrctl.files import printable

HEADER = 8  # bytes that say how long the header of a safetensors file is


@dataclass(frozen=True)
class TensorFile:
    """What a file holds.

    Attributes:
        contents: a dictionary of tensors, or whatever plain thing was saved.
        metadata: of a safetensors file; empty for other kinds.
    """

    contents: Any
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_tensors(path: Path, old_pickles: bool = False, mapped: bool = False) -> TensorFile:
    """Read a file of tensors onto the CPU.

    Args:
        path: the file.
        old_pickles: take what `torch.save` wrote before 2020, too; nothing in it is run either.
        mapped: leave the tensors of a .pt on disk until somebody looks at them.

    Raises:
        CheckpointError: missing, damaged, or something else than tensors and plain types.
    """
    if not path.is_file():
        raise CheckpointError(
            f"no checkpoint at {printable(path)}"
            if not path.exists()
            else f"{printable(path)} is not a file of weights"
        )
    try:
        if _is_safetensors(path):
            with safe_open(path, framework="pt", device="cpu") as file:
                return TensorFile({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118  # no dictionary
        archive = zipfile.is_zipfile(path)
        if archive:
            _check_archive(path)
        elif not old_pickles:
            raise zipfile.BadZipFile(path)
        with warnings.catch_warnings():
            # torch warns of the age of an old file's storages; the user can do nothing about it.
            warnings.simplefilter("ignore")
            # Mapped, torch cuts tensors out of the file; else it believes what the pickle says of their sizes.
            with path.open("rb") as file:
                # torch takes no name that is no text; the open file has another one.
                named = path if _is_text(path) else f"/proc/self/fd/{file.fileno()}"
                contents = torch.load(named, map_location="cpu", weights_only=True, mmap=archive)
        return TensorFile(_plain(contents, copied=archive and not mapped))
    except pickle.UnpicklingError as error:
        # torch tells apart a pickle of something else and what is no pickle at all, in words only.
        more = "GLOBAL" in str(error)
        why = " (it holds code beside tensors, which is not run)" if more else ", or is damaged"
        raise CheckpointError(f"{printable(path)} is not a file of weights{why}: {REMEDY}") from None
    except MemoryError:
        raise
    except Exception:  # torch's readers raise whatever damaged data make them stumble over
        raise CheckpointError(f"{printable(path)} is not a file of weights, or is damaged: {REMEDY}") from None


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_archive(path: Path) -> None:
    """Refuse an archive that unpacks to more than it is, with ValueError; torch packs nothing."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if sum(each.file_size for each in members) > path.stat().st_size or any(each.compress_type for each in members):
        raise ValueError("compressed")


def _plain(contents: Any, copied: bool) -> Any:
    """The same dictionaries and lists, of tensors that are what they seem; ValueError where one is not.

    Sparse, quantised and complex tensors have no place in a network, nor has one whose numbers are the same few again
    and again, of which a copy may take any memory.
    """
    if isinstance(contents, torch.Tensor):
        needed = contents.numel() * contents.element_size()
        if contents.layout != torch.strided or contents.is_quantized or contents.is_complex():
            raise ValueError("no plain tensor")
        if contents.device.type != "cpu" or contents.untyped_storage().nbytes() < needed:
            raise ValueError("numbers that are not there")
        return contents.clone() if copied else contents
    if isinstance(contents, dict):
        return type(contents)((key, _plain(value, copied)) for key, value in contents.items())
    return type(contents)(_plain(each, copied) for each in contents) if type(contents) in (list, tuple) else contents


REMEDY = "give a .pt or .safetensors file that eagrctl wrote, or other weights to eagrctl weights import"


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        length = int.from_bytes(file.read(HEADER), "little")
        return file.read(1) == b"{" and length < path.stat().st_size
