"""Everything small that is read from disk, JSON and TOML: read here, checked by pydantic, and refused in one line.

A document is described by a dataclass in the room it belongs to. What people write (recipes, classes, id schemes)
derives from `Written`: an unknown key is a mistake. What programs write (indexes, runs, records, checkpoints) derives
from `Versioned`: a newer eagrctl, or a stranger, may have added keys, which are left alone.

Fields have the types below, which take no true for 1 and no NaN for a number; lists are read as tuples. Nothing else
than the error that is asked for leaves this module, whatever a file holds.
"""

import dataclasses
import json
import os
import reprlib
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, AllowInfNan, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from eagrctl.errors import EagrctlError, did_you_mean
from eagrctl.files import printable, require_regular

LARGEST = 2**63 - 1  # TOML's largest whole number, and an int64's

LONGEST = 1 << 28  # bytes of a document that is read as a whole

T = TypeVar("T")
Place = tuple[int | str, ...]  # of something in a document: keys, and numbers in lists


def _encodable(text: str) -> str:
    """Refuse half a character, which JSON can write and nothing can print."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"must be text, not {_shown(text)}") from None
    return text


def file_name(name: str) -> str:
    """The name, unless it leaves the folder that it is found in, or no file can have it; ValueError then."""
    path = Path(name)
    try:
        fits = all(len(os.fsencode(part)) <= 255 for part in path.parts) and len(name) < 4096
    except UnicodeEncodeError:
        fits = False
    if not fits or path.anchor or ".." in path.parts or "\0" in name or not path.parts:
        raise ValueError(f"must be the name of a file in its own folder, not {_shown(name)}")
    return name


Flag = Annotated[bool, Strict()]
Number = Annotated[float, Strict()]
NumberOrNaN = Annotated[float, Strict(), AllowInfNan(True)]
Whole = Annotated[int, Strict(), Field(le=LARGEST, ge=-LARGEST)]
Count = Annotated[int, Strict(), Field(le=LARGEST, ge=0)]
Text = Annotated[str, AfterValidator(_encodable)]
FileName = Annotated[str, AfterValidator(file_name)]


class Written:
    """A document, or a section of one, that people write: unknown keys are refused."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)


class Versioned:
    """A document, or a section of one, that a program wrote: unknown keys are left alone.

    Attributes:
        marks: keys that tell its kind and version, and the values that this eagrctl reads.
    """

    __pydantic_config__ = ConfigDict(extra="ignore", allow_inf_nan=False, arbitrary_types_allowed=True)
    marks: ClassVar[Mapping[str, str | int]] = {}


def read_toml(path: Path, kind: type[T], error: type[EagrctlError], remedy: str = "", missing: str = "") -> T:
    """Read a TOML file.

    Args:
        path: the file.
        kind: a dataclass that describes it.
        error: to raise.
        remedy: what to do about a file that is wrong, for the end of the line.
        missing: what to say where there is none.
    """
    with _refused(error, remedy, missing):
        return _checked(_parsed(tomllib.loads, "TOML", _text(path), path), kind, path)


def read_json(path: Path, kind: type[T], error: type[EagrctlError], remedy: str = "", missing: str = "") -> T:
    """Read a JSON file; arguments as for `read_toml`."""
    with _refused(error, remedy, missing):
        return _checked_json(_text(path), kind, path)


def read_text(path: Path, error: type[EagrctlError], remedy: str = "") -> str:
    """Read a text in UTF-8; arguments as for `read_toml`."""
    with _refused(error, remedy):
        return _text(path)


def json_in(text: str, kind: type[T], source: str, error: type[EagrctlError], remedy: str = "") -> T:
    """Read JSON that came from `source`; other arguments as for `read_toml`."""
    with _refused(error, remedy):
        return _checked_json(text, kind, source)


def toml_table(text: str, source: str, error: type[EagrctlError], remedy: str = "") -> dict[str, Any]:
    """TOML as nested dictionaries, to be changed before it is checked; arguments as for `json_in`."""
    with _refused(error, remedy):
        table: dict[str, Any] = _parsed(tomllib.loads, "TOML", text, source)
        return table


def check(values: object, kind: type[T], source: str, error: type[EagrctlError], remedy: str = "") -> T:
    """Build what nested dictionaries of plain values describe; arguments as for `json_in`."""
    with _refused(error, remedy):
        return _checked(values, kind, source)


def read_json_or_none(path: Path, kind: type[T], until: str | None = None) -> T | None:
    """Read a JSON file where anything else than a valid document is as good as none.

    Args:
        path: the file.
        kind: a dataclass that describes it.
        until: a key that may be too long to be read, of a file with a line for each: it and those behind are left out.
    """
    try:
        if until is None:
            return _checked_json(_text(path), kind, path)
        require_regular(path, _WrongError)
        with path.open(encoding="utf-8") as file:
            head = "".join(takewhile(lambda line: not line.startswith(f"  {json.dumps(until)}:"), file))
        return _checked_json(head.rstrip().rstrip(",") + "}", kind, path)
    except (_WrongError, OSError, UnicodeDecodeError):
        return None


def valid_lines(path: Path, kind: type[T]) -> list[tuple[str, T]]:
    """The lines of a file that are valid documents of JSON, each as it stands and as read; no file is no lines."""
    found: list[tuple[str, T]] = []
    with suppress(OSError, _WrongError):
        require_regular(path, _WrongError)
        for line in path.read_bytes().decode("utf-8", "replace").splitlines():
            with suppress(_WrongError):
                found.append((line, _checked_json(line, kind, path)))
    return found


def plain(document: Any) -> dict[str, Any]:
    """A document as nested dictionaries and lists, as `json.dumps` takes it."""
    table: dict[str, Any] = _adapter(type(document)).dump_python(document, mode="json")
    return table


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


class _WrongError(Exception):
    """Which document is wrong, and what is; `missing` where there is no file."""

    missing = False


@contextmanager
def _refused(error: type[EagrctlError], remedy: str, missing: str = "") -> Iterator[None]:
    """Turn what is wrong with a document into the error that is asked for, in one line."""
    try:
        yield
    except _WrongError as wrong:
        told = missing if missing and wrong.missing else f"{wrong}{remedy and '; '}{remedy}"
        raise error(" ".join(told.split())) from None


def _text(path: Path) -> str:
    try:
        require_regular(path, _WrongError)
        if (size := path.stat().st_size) > LONGEST:
            raise _WrongError(f"{printable(path)} has {size:,} bytes, which no such document has")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as failed:
        raise _WrongError(f"{path} is not text in UTF-8 ({failed.reason} at byte {failed.start})") from None
    except OSError as failed:
        wrong = _WrongError(f"cannot read {path} ({failed.strerror or failed})")
        wrong.missing = isinstance(failed, FileNotFoundError | NotADirectoryError)
        raise wrong from None


def _parsed(parse: Callable[[str], Any], language: str, text: str, source: str | Path) -> Any:
    try:
        return parse(text)
    except RecursionError:
        raise _WrongError(f"{source} is not {language} that can be read: it is nested too deeply") from None
    except ValueError as failed:  # also of a number with thousands of digits
        raise _WrongError(f"{source} is not {language} ({failed})") from None


def _checked_json(text: str, kind: type[T], source: str | Path) -> T:
    return _checked(_parsed(json.loads, "JSON", text, source), kind, source)


def _checked(values: object, kind: type[T], source: str | Path) -> T:
    if isinstance(values, Mapping):
        for key, known in getattr(kind, "marks", {}).items():
            if key not in values or values[key] != known:
                found = f"{key} {_shown(values[key])}" if key in values else f"no {key}"
                raise _WrongError(f"{source} has {found}, this eagrctl reads {known!r}")
    try:
        document: T = _adapter(kind).validate_python(values)
    except ValidationError as failed:
        raise _WrongError(f"{source}: {_complaint(failed, kind)}") from None
    except RecursionError:
        raise _WrongError(f"{source} is nested too deeply") from None
    return document


# What is said of what pydantic finds, by the type of its error.
_SAID = {
    "bool_type": "must be true or false, not {value}",
    "int_type": "must be a whole number, not {value}",
    "float_type": "must be a number, not {value}",
    "finite_number": "must be a finite number, not {value}",
    "string_type": "must be a string, not {value}",
    "tuple_type": "must be a list, not {value}",
    "too_long": "must be a list of {max_length} values, not {value}",
    "too_short": "is too short: {value}",
    "string_too_short": "is too short: {value}",
    "string_pattern_mismatch": "must be a name of the form {pattern}, not {value}",
    "literal_error": "must be {expected}, not {value}",
    "value_error": "{error}",
}
_UNKNOWN = "unexpected_keyword_argument"


def _complaint(failed: ValidationError, kind: Any) -> str:
    """The first thing that is wrong, but an unknown key before all: it may be the one that is missing, misspelt."""
    errors = failed.errors(include_url=False)
    first = next((each for each in errors if each["type"] == _UNKNOWN), errors[0])
    what, value, told = first["type"], _shown(first["input"]), first.get("ctx", {})
    place = tuple(step for step in first["loc"] if step != "[key]")  # of a dictionary that names its own keys
    if what == _UNKNOWN:
        names = [field.name for field in dataclasses.fields(_bare(_described(kind, place[:-1])))]
        return f"unknown key {_key(place)}{did_you_mean(str(place[-1]), names)}; there are {', '.join(names)}"
    if what.startswith("missing") and isinstance(place[-1], int):
        # pydantic names the places of a list that are missing, one by one.
        what, place = "too_long", place[:-1]
        told = {"max_length": 1 + max(int(each["loc"][-1]) for each in errors if each["loc"][:-1] == place)}
    if what.startswith("missing"):
        return f"missing key {_key(place)}"
    if what.startswith(("greater_than", "less_than")):
        return f"{_key(place)} must be {_range(_described(kind, place), told)}, not {value}"
    said = _SAID.get(what, "must be a table of keys, not {value}").format(value=value, **told)
    return f"{_key(place)} {said}" if place or what != "value_error" else said


def _key(place: Place) -> str:
    """`'augment.scale[1]'`, on one line whatever is in it."""
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
    return _shown(dotted) if dotted else "it"


def _described(kind: Any, place: Place) -> Any:
    """The annotation of a key of a document, of an item of a list, or of what a dictionary has under a name."""
    for step in place:
        kind = _bare(kind)
        if dataclasses.is_dataclass(kind):
            kind = typing.get_type_hints(kind, include_extras=True).get(str(step))
        else:
            inside = [each for each in typing.get_args(kind) if each is not Ellipsis]
            kind = inside[-1] if inside else None
    return kind


def _bare(kind: Any) -> Any:
    """An annotation without its bounds, and without None."""
    while typing.get_origin(kind) in (Annotated, typing.Union, types.UnionType):
        kind = typing.get_args(kind)[0]
    return kind


def _range(described: Any, broken: dict[str, Any]) -> str:
    """The bounds of a number, in words, and why they are there."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    fields = getattr(described, "__metadata__", ())
    limits = [limit for field in fields for limit in getattr(field, "metadata", ())]
    bounds = broken | {name: getattr(limit, name) for limit in limits for name in words if hasattr(limit, name)}
    said = [f"{words[name]} {bound}" for name, bound in bounds.items() if abs(bound) < LARGEST]
    why = "".join(f" ({why})" for field in fields if (why := getattr(field, "description", None)))
    return (" and ".join(said) or "within 64 bits") + why


def _shown(value: object) -> str:
    """A value on one line, and not a long one."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = shown.maxlong = 80
    try:
        return shown.repr(value)
    except ValueError:  # Python writes no whole number of thousands of digits
        return "a number of thousands of digits"
