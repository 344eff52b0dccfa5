"""eagrctl: face parsing with edge-aware graph reasoning (EAGRNet), from a raw dataset to a table, and for any photo."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eagrctl.errors import EagrctlError
    from eagrctl.parsing.parsed import Failed, ParsedFace, ParsedPhoto
    from eagrctl.parsing.parser import FaceParser

__all__ = ["EagrctlError", "FaceParser", "Failed", "ParsedFace", "ParsedPhoto", "__version__"]

__version__ = "0.1.0"

# Imported when they are asked for: torch takes seconds, and `eagrctl --help` needs none of it.
_HOMES = {
    "EagrctlError": "errors",
    "Failed": "parsing.parsed",
    "FaceParser": "parsing.parser",
    "ParsedFace": "parsing.parsed",
    "ParsedPhoto": "parsing.parsed",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
