from pathlib import Path

import numpy as np
import pytest

from eagrctl.data.aligner import Aligner, listed
from eagrctl.data.plan import cut, plan_digest, plan_of
from eagrctl.errors import DataError
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


def test_other_landmarks_under_the_same_name_are_another_plan() -> None:
    points = np.arange(10.0).reshape(5, 2)
    plans = [
        plan_of(MANY, Aligner(65, listed({"train-00000": five}, "from points.txt")), False)
        for five in (points, points + 1, np.full((5, 2), np.nan))
    ]
    assert len({plan_digest(plan) for plan in plans}) == 3
