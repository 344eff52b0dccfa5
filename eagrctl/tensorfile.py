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
from safetensors import SafetensorError, safe_open

from eagrctl.errors import CheckpointError

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
        raise CheckpointError(f"no checkpoint at {path}" if not path.exists() else f"{path} is not a file of weights")
    try:
        if _is_safetensors(path):
            with safe_open(path, framework="pt", device="cpu") as file:
                return TensorFile({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118  # no dictionary
        if not old_pickles and not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile(path)
        with warnings.catch_warnings():
            # torch warns of the age of an old file's storages; the user can do nothing about it.
            warnings.simplefilter("ignore")
            return TensorFile(torch.load(path, map_location="cpu", weights_only=True, mmap=mapped))
    except pickle.UnpicklingError as error:
        # torch tells apart a pickle of something else and what is no pickle at all, in words only.
        more = "GLOBAL" in str(error)
        why = " (it holds code beside tensors, which is not run)" if more else ", or is damaged"
        raise CheckpointError(f"{path} is not a file of weights{why}: {REMEDY}") from None
    except (SafetensorError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError, OSError, IndexError):
        raise CheckpointError(f"{path} is not a file of weights, or is damaged: {REMEDY}") from None


REMEDY = "give a .pt or .safetensors file that eagrctl wrote, or other weights to eagrctl weights import"


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        length = int.from_bytes(file.read(HEADER), "little")
        return file.read(1) == b"{" and length < path.stat().st_size
