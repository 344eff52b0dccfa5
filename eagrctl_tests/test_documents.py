import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eagrctl.checkpoint import checkpoint_in
from eagrctl.data.index import ShardIndex
from eagrctl.data.plan import Piece
from eagrctl.data.unfinished import done
from eagrctl.documents import (
    Count,
    FileName,
    Flag,
    Number,
    NumberOrNaN,
    Text,
    Versioned,
    Written,
    check,
    json_in,
    plain,
    read_json,
    read_json_or_none,
    read_toml,
    toml_table,
    valid_lines,
)
from eagrctl.errors import EagrctlError, RecipeError, ShardError
from eagrctl.parsing.photos import Photo
from eagrctl.parsing.record import Stamp, found_in, head_of, read_record
from eagrctl.readers.folder import _Classes
from eagrctl.readers.schemes import _Ids
from eagrctl.recipe import Recipe, find_recipe, load_recipe, recipe_to_toml
from eagrctl.tensorfile import TensorFile
from eagrctl.training.history import read_history
from eagrctl.training.progression import Progression
from eagrctl.training.run import Run
from eagrctl_tests.parsing.photos import SETTINGS, SIZE, parsed_photo
from eagrctl_tests.training.test_history import line

NUMBERS = (True, 0, -1, 1.5, 1e300, float("nan"), float("inf"), 10**30, -(10**30), 10**400, 16**5000)
TEXTS = ("", "a", "\udcff", "../a", "/a", "a\0b", "n" * 300, "a\nb")
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.sampled_from([*NUMBERS, *TEXTS, None, [], {}, [[]], [None], {"a": []}, {"": 1}]) | st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a document: each key and each item."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def with_other(value: Any, at: tuple[Any, ...], other: Any) -> Any:
    if not at:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = with_other(value[at[0]], at[1:], other)
    return copy


def changed_somewhere(document: Any) -> st.SearchStrategy[Any]:
    return st.builds(lambda at, other: with_other(document, at, other), st.sampled_from(list(places(document))), VALUES)


RECIPE = plain(load_recipe(find_recipe("celebamask-hq-small")))
INDEX = {
    "schema": 1,
    "dataset": "a",
    "variant": "b",
    "split_rule": "c",
    "settings": {"d": "e"},
    "alignment": "f",
    "size": 33,
    "classes": ["background", "l", "r"],
    "colours": [[0, 0, 0], [1, 2, 3], [4, 5, 6]],
    "mirrored": [[1, 2]],
    "regions": {"both": [1, 2]},
    "part": [1, 2],
    "plan": "",
    "eagrctl": "0",
    "splits": {
        "val": {
            "shards": [{"file": "val-00000.h5", "count": 1, "bytes": 5, "sha256": "0"}],
            "skipped": [{"name": "x", "reason": "y"}],
            "centred": ["z"],
        }
    },
}
PARSED = parsed_photo(1, 2)
RECORD = head_of(
    Photo(Path("a.jpg"), "a"), Stamp(1, 2), PARSED.labels.shape, PARSED.classes, SETTINGS, SIZE, {"labels": "a.png"}
) | (found_in(parsed_photo(1, 2)))


def anything_gives_a_document_or_our_error(read: Callable[[], object]) -> None:
    said = ""
    try:
        read()
    except EagrctlError as error:
        said = str(error)
    assert "\n" not in said


def write(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    try:
        path.write_text(json.dumps(value))
    except ValueError:  # a number that Python does not write
        path.write_text("9" * 5000)
    return path


anything = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anything
@given(changed_somewhere(RECIPE))
def test_any_value_in_a_recipe(value: Any) -> None:
    def read() -> None:
        recipe = check(value, Recipe, "r.toml", RecipeError)
        assert check(plain(recipe), Recipe, "copy", RecipeError) == recipe

    anything_gives_a_document_or_our_error(read)


@anything
@given(changed_somewhere(INDEX))
def test_any_value_in_an_index(tmp_path: Path, value: Any) -> None:
    write(tmp_path, "index.json", value)

    def read() -> None:
        index = ShardIndex.load(tmp_path, partial=True)
        for split in index.splits:
            index.verify(split)

    anything_gives_a_document_or_our_error(read)


@anything
@given(changed_somewhere({"shards": [], "skipped": [{"name": "x", "reason": "y"}], "centred": ["z"]}))
def test_any_value_in_a_note(tmp_path: Path, value: Any) -> None:
    write(tmp_path, "val-00000.json", value)
    done(tmp_path, Piece("val", 0, 0, 1, ("x",)))


@anything
@given(
    changed_somewhere(line(1)), changed_somewhere({"data": "data", "began": "2026-11-26T00:52:18+00:00"}), st.binary()
)
def test_any_value_in_a_run(tmp_path: Path, metrics: Any, about: Any, junk: bytes) -> None:
    run = Run(tmp_path)
    path = write(tmp_path, "metrics.jsonl", metrics)
    path.write_bytes(path.read_bytes() + b"\n" + junk)
    write(tmp_path, "run.json", about)
    run.recipe.write_text(recipe_to_toml(check(RECIPE, Recipe, "", RecipeError)))
    history = read_history(run)
    assert all(epoch.step >= 0 for epoch in history.epochs)
    assert run.finished() in (True, False)
    run.last.touch()
    run.go_on_from(5)


@anything
@given(changed_somewhere(RECORD))
def test_any_value_in_a_record(tmp_path: Path, value: Any) -> None:
    result = read_record(write(tmp_path, "a.json", value))
    if result is not None:
        assert SETTINGS.hold_for(result) in (True, False)
        assert Stamp(1, 2).is_of(result) in (True, False)
        assert all((tmp_path / name).resolve().is_relative_to(tmp_path.resolve()) for name in result.names)


@anything
@given(changed_somewhere({"classes": ["background", "l", "r"], "mirrored": [["l", "r"]], "regions": {"b": ["l"]}}))
def test_any_value_in_classes(value: Any) -> None:
    anything_gives_a_document_or_our_error(lambda: check(value, _Classes, "classes.toml", RecipeError))


@anything
@given(changed_somewhere({"ids": {"0": "background", "7": "nose"}}))
def test_any_value_in_a_scheme(value: Any) -> None:
    anything_gives_a_document_or_our_error(lambda: check(value, _Ids, "map.toml", RecipeError))


@anything
@given(st.data())
def test_any_value_in_a_checkpoint(data: st.DataObject) -> None:
    about = {
        "recipe": RECIPE,
        "dataset": "a",
        "classes": ["background"],
        "scores": {"miou": 0.5},
        "epoch": 1,
        "step": 2,
    }
    contents = {**about, "format": "eagrctl checkpoint", "version": 2, "origin": "", "network": {}, "training": None}
    value = data.draw(changed_somewhere(contents))
    anything_gives_a_document_or_our_error(lambda: checkpoint_in(TensorFile(value), Path("a.pt")))
    value = data.draw(changed_somewhere({"step": 1, "best": 0.5, "terms": [0.0]}))
    anything_gives_a_document_or_our_error(lambda: check(value, Progression, "a.pt", EagrctlError))


@dataclass(frozen=True)
class Inner(Versioned):
    name: FileName
    flag: Flag = False


@dataclass(frozen=True)
class Outer(Versioned):
    marks: ClassVar = {"version": 3}

    count: Count
    inner: tuple[Inner, ...] = ()
    pair: tuple[Number, Number] | None = None
    score: NumberOrNaN = 0.0
    title: Text = ""


@dataclass(frozen=True)
class ByHand(Written):
    count: Count


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "a.json: it must be a table of keys, not []; mend it"),
        ("{}", "a.json has no version, this eagrctl reads 3; mend it"),
        ('{"version": 4}', "a.json has version 4, this eagrctl reads 3; mend it"),
        ('{"version": 3}', "a.json: missing key 'count'; mend it"),
        ('{"version": 3, "count": true}', "a.json: 'count' must be a whole number, not True; mend it"),
        ('{"version": 3, "count": 1.0}', "a.json: 'count' must be a whole number, not 1.0; mend it"),
        ('{"version": 3, "count": -1}', "a.json: 'count' must be at least 0, not -1; mend it"),
        (
            '{"version": 3, "count": 1, "inner": [{"name": "../a"}]}',
            "a.json: 'inner[0].name' must be the name of a file",
        ),
        (
            '{"version": 3, "count": 1, "inner": [{"name": "a", "flag": 1}]}',
            "'inner[0].flag' must be true or false, not 1",
        ),
        ('{"version": 3, "count": 1, "pair": [1]}', "'pair' must be a list of 2 values, not [1]"),
        ('{"version": 3, "count": 1, "pair": [1, NaN]}', "'pair[1]' must be a finite number, not nan"),
        ('{"version": 3, "count": 1, "pair": "12"}', "'pair' must be a list, not '12'"),
        ('{"version": 3, "count": 1, "title": "\\udcff"}', r"'title' must be text, not '\udcff'"),
        ("{", "a.json is not JSON (Expecting property name"),
        ("[" * 100_000, "a.json is not JSON that can be read: it is nested too deeply; mend it"),
        ("9" * 5000, "a.json is not JSON (Exceeds the limit"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(ShardError) as caught:
        json_in(text, Outer, "a.json", ShardError, "mend it")
    assert str(caught.value).startswith(complaint) or complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_versioned_files_may_have_more_keys_and_what_people_write_may_not() -> None:
    found = json_in('{"version": 3, "count": 2, "new": 1, "score": NaN, "pair": [1, 2.5]}', Outer, "", ShardError)
    assert (found.count, found.pair) == (2, (1.0, 2.5))
    with pytest.raises(RecipeError, match=r"unknown key 'cuont' \(did you mean 'count'\?\); there are count"):
        check({"cuont": 1}, ByHand, "a.toml", RecipeError)


def test_files_that_are_no_text_or_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"count = '\xff'")
    with pytest.raises(RecipeError, match=r"a\.toml is not text in UTF-8 \(invalid start byte at byte 9\)"):
        read_toml(tmp_path / "a.toml", ByHand, RecipeError)
    with pytest.raises(RecipeError, match=r"^none here$"):
        read_toml(tmp_path / "b.toml", ByHand, RecipeError, missing="none here")
    with pytest.raises(ShardError, match=r"cannot read .* \(Is a directory\)"):
        read_json(tmp_path, Outer, ShardError)
    assert read_json_or_none(tmp_path, Outer) is None


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfcount = 3\r\n")
    assert read_toml(tmp_path / "a.toml", ByHand, RecipeError) == ByHand(3)
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"version": 3, "count": 3}')
    assert read_json(tmp_path / "a.json", Outer, ShardError) == Outer(3)


def test_toml_that_python_cannot_hold_is_named(tmp_path: Path) -> None:
    for text in (f"count = {'9' * 5000}", f"count = 0x{'f' * 5000}", f"count = {'[' * 5000}"):
        (tmp_path / "a.toml").write_text(text)
        with pytest.raises(RecipeError, match=r"a\.toml"):
            read_toml(tmp_path / "a.toml", ByHand, RecipeError)


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"count": 1}\n\n{"count": -1}\n{"count": 2}\n{"cou')
    assert valid_lines(path, ByHand) == [('{"count": 1}', ByHand(1)), ('{"count": 2}', ByHand(2))]
    assert valid_lines(tmp_path / "none", ByHand) == []


@pytest.mark.parametrize("name", ["a.png", "a/b.png", "a..b", "ä", "b\udcff.jpg", ".hidden", "a b"])
def test_names_inside_a_folder_are_taken(name: str) -> None:
    assert check({"name": name}, Inner, "", EagrctlError).name == name


@pytest.mark.parametrize("name", ["", ".", "..", "/a", "a/../../b", "../a", "a\0b", "\ud800", "n" * 256, "a/" * 3000])
def test_names_that_leave_their_folder_are_refused(name: str) -> None:
    with pytest.raises(EagrctlError, match="'name' must be the name of a file in its own folder"):
        check({"name": name}, Inner, "", EagrctlError)


def test_a_document_is_plain_again() -> None:
    assert plain(Outer(1, (Inner("a"),), (1.0, 2.0))) == {
        "count": 1,
        "inner": [{"name": "a", "flag": False}],
        "pair": [1.0, 2.0],
        "score": 0.0,
        "title": "",
    }


@given(st.text())
def test_any_text_survives_in_a_recipe(text: str) -> None:
    recipe = check({**RECIPE, "dataset": text}, Recipe, "", RecipeError)
    assert check(toml_table(recipe_to_toml(recipe), "", RecipeError), Recipe, "", RecipeError) == recipe
