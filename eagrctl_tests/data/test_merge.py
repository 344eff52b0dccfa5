from pathlib import Path

import pytest

from eagrctl.data import plan
from eagrctl.data.aligner import Aligner
from eagrctl.data.index import ShardIndex
from eagrctl.data.merge import merge_parts
from eagrctl.data.prepare import prepare
from eagrctl.errors import ShardError
from eagrctl.readers.celebamask_hq import open_celebamask_hq


def files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


@pytest.fixture
def parts(merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three parts of a dataset in shards of four, one sample of which cannot be used."""
    monkeypatch.setattr(plan, "SAMPLES_PER_SHARD", 4)
    (merged / "images" / "5.jpg").write_text("no photo")
    source = open_celebamask_hq(merged)
    folders = [tmp_path / f"part-{number}" for number in (1, 2, 3)]
    for number, folder in enumerate(folders, start=1):
        prepare(source, folder, Aligner(49), keep_going=True, part=(number, 3))
    return folders


def test_joined_parts_are_what_one_machine_prepares_to_the_last_byte(
    parts: list[Path], merged: Path, tmp_path: Path
) -> None:
    joined = merge_parts([parts[2], parts[0], parts[1]], tmp_path / "joined")
    whole = prepare(open_celebamask_hq(merged), tmp_path / "whole", Aligner(49), keep_going=True)
    assert files(tmp_path / "joined") == files(tmp_path / "whole")
    assert joined.split("train").count == whole.split("train").count == 11
    assert joined.split("train").skipped[0].name == "5"
    assert all(folder.is_dir() for folder in parts)


def test_a_part_is_no_dataset_to_train_on(parts: list[Path]) -> None:
    with pytest.raises(ShardError, match="is part 1 of 3 of a dataset: join the parts with eagrctl dataset merge"):
        ShardIndex.load(parts[0])
    assert ShardIndex.load(parts[0], partial=True).part == (1, 3)


def test_a_missing_part_is_named(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="part 2 of 3 is missing"):
        merge_parts([parts[0], parts[2]], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_a_part_given_twice_is_refused(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="a part was given twice"):
        merge_parts([*parts, parts[0]], tmp_path / "joined")


def test_parts_of_other_options_do_not_join(parts: list[Path], merged: Path, tmp_path: Path) -> None:
    prepare(open_celebamask_hq(merged), parts[1], Aligner(65), keep_going=True, part=(2, 3), force=True)
    with pytest.raises(ShardError, match=r"part-2 and .*part-1 were prepared from other names or with other options"):
        merge_parts(parts, tmp_path / "joined")


def test_a_whole_dataset_is_no_part(parts: list[Path], merged: Path, tmp_path: Path) -> None:
    prepare(open_celebamask_hq(merged), tmp_path / "whole", Aligner(49), keep_going=True)
    with pytest.raises(ShardError, match="whole is a whole dataset, not a part"):
        merge_parts([*parts, tmp_path / "whole"], tmp_path / "joined")


def test_a_damaged_part_is_refused(parts: list[Path], tmp_path: Path) -> None:
    shard = next(parts[1].glob("*.h5"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(ShardError, match="changed since it was indexed"):
        merge_parts(parts, tmp_path / "joined")
    assert not list(tmp_path.glob("joined*"))


def test_something_else_is_never_replaced(parts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "joined").mkdir()
    (tmp_path / "joined" / "thesis.tex").write_text("years of work")
    with pytest.raises(ShardError, match="is not a prepared dataset"):
        merge_parts(parts, tmp_path / "joined", force=True)


def test_parts_of_different_divisions_do_not_join(parts: list[Path], merged: Path, tmp_path: Path) -> None:
    # Second of two, where the second of three belongs: the numbers are complete, the shards are not.
    prepare(open_celebamask_hq(merged), parts[1], Aligner(49), keep_going=True, part=(2, 2), force=True)
    with pytest.raises(ShardError, match="parts of 2 and of 3: give those of one division"):
        merge_parts(parts, tmp_path / "joined")


def test_an_unfinished_preparation_of_the_same_name_is_left_alone(parts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "joined.partial").mkdir()
    (tmp_path / "joined.partial" / "train-00000.h5").write_text("an hour of work")
    merge_parts(parts, tmp_path / "joined")
    assert (tmp_path / "joined.partial" / "train-00000.h5").read_text() == "an hour of work"
