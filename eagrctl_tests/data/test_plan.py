import json
from pathlib import Path

import numpy as np
import pytest

from eagrctl.data.aligner import Aligner, listed
from eagrctl.data.index import Skipped, Split
from eagrctl.data.plan import PLAN, begin, cut, done, note, plan_digest, plan_of
from eagrctl.errors import DataError, ShardError
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.readers.synthetic.source import SyntheticSource

MANY = SyntheticSource({"train": 1300, "val": 20, "test": 0}, size=32)


def test_a_source_is_cut_into_shards_of_512_names() -> None:
    pieces = cut(MANY)
    assert [(piece.file, piece.start, len(piece.names)) for piece in pieces] == [
        ("train-00000.h5", 0, 512),
        ("train-00001.h5", 512, 512),
        ("train-00002.h5", 1024, 276),
        ("val-00000.h5", 0, 20),
    ]
    assert [name for piece in pieces[:3] for name in piece.names] == list(MANY.splits["train"])


@pytest.mark.parametrize("total", [1, 2, 3, 4])
def test_parts_share_all_shards_out_and_none_twice(total: int) -> None:
    parts = [cut(MANY, (number, total)) for number in range(1, total + 1)]
    assert sorted(piece.file for part in parts for piece in part) == [piece.file for piece in cut(MANY)]


def test_more_parts_than_shards_are_refused() -> None:
    with pytest.raises(DataError, match="4 shards cannot be shared among 5: use --slice 1/4"):
        cut(MANY, (1, 5))


def test_whatever_decides_the_bytes_changes_the_plan(merged: Path) -> None:
    source = open_celebamask_hq(merged)
    plans = [
        plan_of(source, Aligner(65), False),
        plan_of(source, Aligner(49), False),
        plan_of(source, Aligner(65), True),
    ]
    (merged / "val.txt").write_text("12\n13\n")
    plans.append(plan_of(open_celebamask_hq(merged), Aligner(65), False))
    assert len({plan_digest(plan) for plan in plans}) == 4
    assert plan_digest(plans[0]) == plan_digest(plan_of(source, Aligner(65), False))


def test_an_unfinished_folder_is_continued_only_under_its_own_plan(tmp_path: Path) -> None:
    folder = tmp_path / "data.partial"
    assert begin(folder, {"size": 473}, force=False) == 0
    (folder / "train-00000.json").write_text("{}")
    assert begin(folder, {"size": 473}, force=False) == 1
    with pytest.raises(ShardError, match=r"other options \(size was 473 and is 241\): --force starts over"):
        begin(folder, {"size": 241}, force=False)
    assert begin(folder, {"size": 241}, force=True) == 0
    assert [path.name for path in folder.iterdir()] == [PLAN]


def test_a_folder_without_a_plan_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "data.partial"
    folder.mkdir()
    (folder / "train-00000.h5.part").write_text("half a shard")
    assert begin(folder, {"size": 473}, force=False) == 0
    assert [path.name for path in folder.iterdir()] == [PLAN]


def test_a_piece_is_done_when_its_shard_is_what_its_note_says(tmp_path: Path) -> None:
    piece = cut(MANY)[0]
    assert done(tmp_path, piece) is None
    nothing = Split((), (Skipped("train-00003", "torn"),), ("train-00004",))
    note(tmp_path, piece, nothing)
    assert done(tmp_path, piece) == nothing
    table = json.loads((tmp_path / "train-00000.json").read_text())
    table["shards"] = [{"file": piece.file, "count": 3, "bytes": 5, "sha256": "0" * 64}]
    (tmp_path / "train-00000.json").write_text(json.dumps(table))
    assert done(tmp_path, piece) is None
    (tmp_path / piece.file).write_text("other")
    assert done(tmp_path, piece) is None


def test_other_landmarks_under_the_same_name_are_another_plan() -> None:
    points = np.arange(10.0).reshape(5, 2)
    plans = [
        plan_of(MANY, Aligner(65, listed({"train-00000": five}, "from points.txt")), False)
        for five in (points, points + 1, np.full((5, 2), np.nan))
    ]
    assert len({plan_digest(plan) for plan in plans}) == 3


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = plan_of(MANY, Aligner(65), False)
    begin(tmp_path / "data.partial", plan, force=False)
    assert begin(tmp_path / "data.partial", plan, force=False) == 0


@pytest.mark.parametrize("force", [False, True])
def test_somebodys_folder_of_the_same_name_is_left_alone(tmp_path: Path, force: bool) -> None:
    folder = tmp_path / "data.partial"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(ShardError, match="holds something else than a preparation"):
        begin(folder, {"size": 473}, force)
    assert (folder / "thesis.tex").read_text() == "years of work"
