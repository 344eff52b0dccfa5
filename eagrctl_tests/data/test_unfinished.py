import json
from pathlib import Path
from typing import Any

import pytest

from eagrctl.data.index import INDEX, Skipped, Split
from eagrctl.data.plan import Piece
from eagrctl.data.unfinished import PLAN, WORK, done, filling, note
from eagrctl.errors import ShardError
from eagrctl.events import Notice, Progress
from eagrctl.locks import locked

PIECE = Piece("train", 0, 0, 5, ("0", "1", "2", "3", "4"))


def fill(output: Path, plan: dict[str, Any], force: bool = False, notes: int = 0) -> list[str]:
    """Begins to fill a folder, writes so many notes and fails; what was told."""
    heard: list[Progress | Notice] = []

    def begin() -> None:
        with filling(output, plan, [PIECE.file], force, heard.append) as work:
            assert work is not None
            for _ in range(notes):
                note(work, PIECE, Split(()))
            raise KeyError

    with pytest.raises(KeyError):
        begin()
    return [event.text for event in heard if isinstance(event, Notice)]


def test_an_unfinished_folder_is_continued_only_under_its_own_plan(tmp_path: Path) -> None:
    output = tmp_path / "data"
    (kept,) = fill(output, {"size": 473, "pair": (1, 2)}, notes=1)
    assert kept.startswith("1 finished shards are kept")
    assert fill(output, {"size": 473, "pair": (1, 2)})[0].startswith("Continuing in")
    with pytest.raises(ShardError, match=r"other options \(size was 473 and is 241\): --force starts over"):
        fill(output, {"size": 241, "pair": (1, 2)})
    assert fill(output, {"size": 241, "pair": (1, 2)}, force=True) == []
    assert not list(output.iterdir())


def test_what_force_began_is_continued_by_force(tmp_path: Path) -> None:
    fill(tmp_path, {"size": 473}, force=True, notes=1)
    assert fill(tmp_path, {"size": 473}, force=True)[0].startswith("Continuing in")
    assert fill(tmp_path, {"size": 473})[0].startswith("Continuing in")


def test_a_failure_leaves_nothing_of_what_was_begun(tmp_path: Path) -> None:
    fill(tmp_path / "deep" / "data", {"size": 473})
    assert not list(tmp_path.iterdir())


def test_the_folder_itself_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, link = tmp_path / "disk", tmp_path / "link"
    (disk / "lost+found").mkdir(parents=True)
    link.symlink_to(disk)
    for output in (link, Path()):
        monkeypatch.chdir(disk)
        fill(output, {"size": 473}, notes=1)
        assert (disk / WORK / PLAN).is_file()
    assert link.is_symlink()


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "gone")
    with pytest.raises(ShardError, match=r"data is a link to .*gone, which is not there: make that folder"):
        fill(tmp_path / "data", {})


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("place", ["thesis.tex", f"{WORK}/thesis.tex", "train-00000.h5"])
def test_somebodys_work_is_left_alone(tmp_path: Path, force: bool, place: str) -> None:
    path = tmp_path / "data" / place
    path.parent.mkdir(parents=True)
    path.write_text("years of work")
    with pytest.raises(ShardError, match=r"is not a prepared dataset|holds something else|is not of the dataset there"):
        fill(tmp_path / "data", {}, force)
    assert path.read_text() == "years of work"


def test_a_folder_of_work_that_links_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "train-00000.h5").write_text("years of work")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / WORK).symlink_to(tmp_path / "victim")
    with pytest.raises(ShardError, match="holds something else than a preparation"):
        fill(tmp_path / "data", {})
    assert [path.name for path in (tmp_path / "victim").iterdir()] == ["train-00000.h5"]


def test_while_one_fills_a_folder_another_one_is_told_so(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(ShardError, match="is being filled by another eagrctl"):
        fill(tmp_path, {})
    fill(tmp_path, {})


def test_a_shard_of_the_old_dataset_may_be_replaced_and_a_strangers_not(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text("{}")  # of which nobody knows what it lists
    (tmp_path / PIECE.file).write_text("old")
    fill(tmp_path, {}, force=True)
    assert (tmp_path / PIECE.file).read_text() == "old"


def test_a_piece_is_done_when_its_shard_is_what_its_note_says(tmp_path: Path) -> None:
    assert done(tmp_path, PIECE) is None
    nothing = Split((), (Skipped("train-00003", "torn"),), ("train-00004",))
    note(tmp_path, PIECE, nothing)
    assert done(tmp_path, PIECE) == nothing
    table = json.loads((tmp_path / "train-00000.json").read_text())
    table["shards"] = [{"file": PIECE.file, "count": 3, "bytes": 5, "sha256": "0" * 64}]
    (tmp_path / "train-00000.json").write_text(json.dumps(table))
    assert done(tmp_path, PIECE) is None
    (tmp_path / PIECE.file).write_text("other")
    assert done(tmp_path, PIECE) is None
