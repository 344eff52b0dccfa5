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
from collections.abc import Callable, Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, AllowInfNan, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from eagrctl.errors import EagrctlError, did_you_mean

LARGEST = 2**63 - 1  # TOML's largest whole number, and an int64's

T = TypeVar("T")


def _encodable(text: str) -> str:
    """Refuse half a character, which JSON can write and nothing can print."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"must be text, not {_shown(text)}") from None
    return text


def _inside(name: str) -> str:
    """Refuse the name of a file that leaves the folder of its document, or that no file can have."""
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
FileName = Annotated[str, AfterValidator(_inside)]


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
    text = _text(path, error, remedy, missing)
    return check(toml_table(text, str(path), error, remedy), kind, str(path), error, remedy)


def read_json(path: Path, kind: type[T], error: type[EagrctlError], remedy: str = "", missing: str = "") -> T:
    """Read a JSON file; arguments as for `read_toml`."""
    return json_in(_text(path, error, remedy, missing), kind, str(path), error, remedy)


def json_in(text: str, kind: type[T], source: str, error: type[EagrctlError], remedy: str = "") -> T:
    """Read JSON that came from `source`; other arguments as for `read_toml`."""
    return check(_parsed(json.loads, text, f"{source} is not JSON", error, remedy), kind, source, error, remedy)


def json_or_none(text: str, kind: type[T]) -> T | None:
    """Read JSON where anything else than a valid document is as good as none."""
    try:
        return json_in(text, kind, "", EagrctlError)
    except EagrctlError:
        return None


def read_json_or_none(path: Path, kind: type[T]) -> T | None:
    """Read a JSON file where anything else than a valid document is as good as none."""
    try:
        return read_json(path, kind, EagrctlError)
    except EagrctlError:
        return None


def read_json_head_or_none(path: Path, kind: type[T], until: str) -> T | None:
    """As `read_json_or_none`, of an object with a line for each key, up to a key that may be too long to be read."""
    mark = f"  {json.dumps(until)}:"
    try:
        with path.open(encoding="utf-8") as file:
            head = "".join(takewhile(lambda line: not line.startswith(mark), file))
    except (OSError, UnicodeDecodeError):
        return None
    return json_or_none(head.rstrip().rstrip(",") + "}", kind)


def valid_lines(path: Path, kind: type[T]) -> list[tuple[str, T]]:
    """The lines of a file that are valid documents of JSON, each as it stands and as read; no file is no lines."""
    try:
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [(line, document) for line in lines if (document := json_or_none(line, kind)) is not None]


def toml_table(text: str, source: str, error: type[EagrctlError], remedy: str = "") -> dict[str, Any]:
    """TOML as nested dictionaries, to be changed before it is checked; arguments as for `json_in`."""
    table: dict[str, Any] = _parsed(tomllib.loads, text, f"{source} is not TOML", error, remedy)
    return table


def check(values: object, kind: type[T], source: str, error: type[EagrctlError], remedy: str = "") -> T:
    """Build what nested dictionaries of plain values describe; arguments as for `json_in`."""
    if isinstance(values, Mapping):
        for key, known in getattr(kind, "marks", {}).items():
            if key not in values or values[key] != known:
                found = f"{key} {_shown(values[key])}" if key in values else f"no {key}"
                raise error(_line(f"{source} has {found}, this eagrctl reads {known!r}", remedy))
    try:
        document: T = _adapter(kind).validate_python(values)
    except ValidationError as wrong:
        raise error(_line(f"{source}: {_complaint(wrong, kind)}", remedy)) from None
    except RecursionError:
        raise error(_line(f"{source} is nested too deeply", remedy)) from None
    return document


def plain(document: Any) -> dict[str, Any]:
    """A document as nested dictionaries and lists, as `json.dumps` takes it."""
    table: dict[str, Any] = _adapter(type(document)).dump_python(document, mode="json")
    return table


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def _text(path: Path, error: type[EagrctlError], remedy: str, missing: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as failed:
        if missing and isinstance(failed, FileNotFoundError | NotADirectoryError):
            raise error(missing) from None
        raise error(_line(f"cannot read {path} ({failed.strerror or failed})", remedy)) from None
    except UnicodeDecodeError as failed:
        raise error(_line(f"{path} is not text in UTF-8 ({failed.reason} at byte {failed.start})", remedy)) from None


def _parsed(parse: Callable[[str], Any], text: str, wrong: str, error: type[EagrctlError], remedy: str) -> Any:
    try:
        return parse(text)
    except RecursionError:
        raise error(_line(f"{wrong} that can be read: it is nested too deeply", remedy)) from None
    except ValueError as failed:  # also of a number with thousands of digits
        raise error(_line(f"{wrong} ({failed})", remedy)) from None


def _line(text: str, remedy: str) -> str:
    return " ".join(f"{text}{remedy and '; '}{remedy}".split())


# What is asked for where pydantic finds something else, by the type of its error.
_WANTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "tuple_type": "a list",
}
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_UNKNOWN = "unexpected_keyword_argument"


def _complaint(failed: ValidationError, kind: type) -> str:
    """The first thing that is wrong, but an unknown key before all: it may be the one that is missing, misspelt."""
    errors = failed.errors(include_url=False)
    first = next((each for each in errors if each["type"] == _UNKNOWN), errors[0])
    what, value = first["type"], first["input"]
    place = tuple(step for step in first["loc"] if step != "[key]")  # of a dictionary that names its own keys
    key = _key(place)
    section = "a section" if isinstance(kind, type) and issubclass(kind, Written) else "an object"
    if what == _UNKNOWN:
        names = [field.name for field in dataclasses.fields(_bare(_described(kind, place[:-1])))]
        return f"unknown key {key}{did_you_mean(str(place[-1]), names)}; there are {', '.join(names)}"
    if what in ("missing", "missing_argument") and isinstance(place[-1], str):
        missing = _bare(_described(kind, place))
        is_section = dataclasses.is_dataclass(missing) or typing.get_origin(missing) is dict
        return f"missing {section.split()[1] if is_section else 'key'} {key}"
    if what in ("missing", "too_long") and value is not None:
        # pydantic names the places of a list that are missing, one by one.
        if what == "missing":
            key = _key(place[:-1])
            length = 1 + max(int(each["loc"][-1]) for each in errors if each["loc"][:-1] == place[:-1])
        else:
            length = first["ctx"]["max_length"]
        return f"{key} must be a list of {length} values, not {_shown(value)}"
    if what == "value_error":
        return f"{key} {first['ctx']['error']}" if place else str(first["ctx"]["error"])
    if what in ("too_short", "string_too_short"):
        return f"{key} is too short: {_shown(value)}"
    if what == "literal_error":
        return f"{key} must be {first['ctx']['expected']}, not {_shown(value)}"
    if what in _BOUNDS:
        return f"{key} must be {_range(_described(kind, place), first['ctx'])}, not {_shown(value)}"
    return f"{key} must be {_WANTED.get(what, section)}, not {_shown(value)}"


def _key(place: tuple[int | str, ...]) -> str:
    """`'augment.scale[1]'`, on one line whatever is in it."""
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
    return _shown(dotted) if dotted else "it"


def _described(kind: Any, place: tuple[int | str, ...]) -> Any:
    """The annotation of what stands at a place of a document."""
    for step in place:
        kind = _bare(kind)
        if dataclasses.is_dataclass(kind):
            kind = typing.get_type_hints(kind, include_extras=True).get(str(step))
        else:
            inner = typing.get_args(kind)
            kind = inner[step if isinstance(step, int) and step < len(inner) else -1] if inner else None
    return kind


def _bare(kind: Any) -> Any:
    """An annotation without its bounds, and without None."""
    while typing.get_origin(kind) in (Annotated, typing.Union, types.UnionType):
        kind = typing.get_args(kind)[0]
    return kind


def _range(described: Any, broken: dict[str, Any]) -> str:
    """The bounds of a number, in words, and why they are there."""
    fields = [each for each in getattr(described, "__metadata__", ()) if isinstance(each, FieldInfo)]
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [limit for field in fields for limit in field.metadata]
    bounds = {name: getattr(limit, name) for limit in limits for name in words if hasattr(limit, name)}
    bounds = {name: bound for name, bound in (broken | bounds).items() if abs(bound) < LARGEST}
    if {"ge", "le"} <= bounds.keys():
        said = f"from {bounds['ge']} to {bounds['le']}"
    else:
        said = " and ".join(f"{words[name]} {bound}" for name, bound in bounds.items())
    return (said or "within 64 bits") + "".join(f" ({field.description})" for field in fields if field.description)


def _shown(value: object) -> str:
    """A value on one line, and not a long one."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = shown.maxlong = 80
    try:
        return shown.repr(value)
    except ValueError:  # Python writes no whole number of thousands of digits
        return "a number of thousands of digits"
