import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data import plan
from eagrctl.data.align import TEMPLATE
from eagrctl.data.aligner import ANNOTATED, Aligner, listed
from eagrctl.data.index import INDEX, ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, LabelSet, edge_mask
from eagrctl.data.prepare import prepare
from eagrctl.data.shards import ShardWriter
from eagrctl.data.source import Provenance, Sample
from eagrctl.errors import EagrctlError, ShardError, SourceError
from eagrctl.events import Notice, Progress
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl_tests.conftest import face


@dataclass(frozen=True)
class Deadly:
    """A source whose fourth sample takes its process down with it."""

    splits: Mapping[str, Sequence[str]]
    provenance: Provenance
    labels: LabelSet = CELEBAMASK_HQ

    def read(self, split: str, name: str) -> Sample:
        if name == "3":
            os._exit(9)
        return Sample(name, *face(int(name)))


def files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()}


def test_every_sample_is_stored_in_order_with_its_edges_and_source_labels(merged: Path, tmp_path: Path) -> None:
    index = prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(65))
    assert {name: split.count for name, split in index.splits.items()} == {"train": 12, "val": 3}
    for number in range(12):
        stored = index.read("train", number)
        assert stored.name == str(number)
        assert np.array_equal(stored.source_labels, face(number)[1])
        assert np.array_equal(stored.edges, edge_mask(stored.labels))
        assert stored.image.shape == (65, 65, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "merged"]


def test_the_same_source_gives_the_same_bytes_whatever_the_workers(merged: Path, tmp_path: Path) -> None:
    source = open_celebamask_hq(merged)
    for workers in (1, 2):
        prepare(source, tmp_path / str(workers), Aligner(49), workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")


def test_many_samples_are_spread_over_shards(merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLES_PER_SHARD", 5)
    index = prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49))
    assert [shard.count for shard in index.split("train").shards] == [5, 5, 2]
    assert [index.read("train", number).name for number in range(12)] == [str(number) for number in range(12)]


def test_progress_reaches_its_total(merged: Path, tmp_path: Path) -> None:
    events: list[Progress | Notice] = []
    prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49), listener=events.append)
    train = [event for event in events if isinstance(event, Progress) and event.task == "preparing train"]
    assert [event.done for event in train] == list(range(13))
    assert {event.total for event in train} == {12}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unusable_sample_stops_preparation_and_leaves_nothing(merged: Path, tmp_path: Path, workers: int) -> None:
    photo = merged / "images" / "7.jpg"
    photo.write_bytes(photo.read_bytes()[:300])
    with pytest.raises(SourceError, match=r"7\.jpg is truncated or damaged.*add --partial"):
        prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49), workers=workers)
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


def test_with_partial_an_unusable_sample_is_listed_and_counted(merged: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 19, np.uint8)).save(merged / "labels" / "7.png")
    events: list[Progress | Notice] = []
    index = prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49), keep_going=True, listener=events.append)
    (skipped,) = index.split("train").skipped
    assert skipped.name == "7"
    assert "label 19" in skipped.reason
    assert index.split("train").count == 11
    assert ShardIndex.load(tmp_path / "data").split("train").skipped == index.split("train").skipped
    assert any(isinstance(event, Notice) and event.warning and "skipped train 7" in event.text for event in events)


def test_a_split_without_one_usable_sample_is_an_error(merged: Path, tmp_path: Path) -> None:
    for number in (12, 13, 14):
        (merged / "images" / f"{number}.jpg").write_text("no photo")
    with pytest.raises(SourceError, match="not one of the 3 samples of split val"):
        prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49), keep_going=True)
    assert not (tmp_path / "data" / INDEX).exists()


def test_prepared_data_is_replaced_only_by_force(merged: Path, tmp_path: Path) -> None:
    source, output = open_celebamask_hq(merged), tmp_path / "data"
    prepare(source, output, Aligner(49))
    before = files(output)
    with pytest.raises(ShardError, match="is prepared already: --force"):
        prepare(source, output, Aligner(65))
    assert files(output) == before
    assert prepare(source, output, Aligner(65), force=True).size == 65
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "merged"]


def test_what_failed_by_force_leaves_the_old_data(merged: Path, tmp_path: Path) -> None:
    source, output = open_celebamask_hq(merged), tmp_path / "data"
    prepare(source, output, Aligner(49))
    before = files(output)
    (merged / "images" / "14.jpg").unlink()
    with pytest.raises(SourceError):
        prepare(source, output, Aligner(65), force=True)
    assert files(output) == before


def test_a_folder_of_something_else_is_never_replaced(merged: Path, tmp_path: Path) -> None:
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "chapter1.tex").write_text("years of work")
    with pytest.raises(ShardError, match="is not a prepared dataset"):
        prepare(open_celebamask_hq(merged), output, Aligner(49), force=True)
    assert (output / "chapter1.tex").read_text() == "years of work"


@pytest.mark.parametrize("kilobytes", [1, 20, 100, 400])
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(merged: Path, tmp_path: Path, kilobytes: int) -> None:
    # A limit on the size of files makes real writes fail, wherever in a shard they are; nothing is pretended.
    code = f"""
import resource, signal, sys
from pathlib import Path
from eagrctl.data.align import TEMPLATE
from eagrctl.data.aligner import Aligner, ANNOTATED, listed
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.data.labels import CELEBAMASK_HQ, LabelSet
from eagrctl.data.prepare import prepare
from eagrctl.errors import ShardError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes} * 1024, {kilobytes} * 1024))
try:
    prepare(open_celebamask_hq(Path(sys.argv[1])), Path(sys.argv[2]), Aligner(129))
except ShardError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, merged, tmp_path / "data"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"cannot write {tmp_path / 'data'}: File too large\n"
    assert result.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


def test_a_full_disk_says_so(merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "append", full)
    with pytest.raises(ShardError, match=r"the disk is full at .*: make room"):
        prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49))
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


def test_what_cannot_fit_is_refused_before_anything_is_written(merged: Path, tmp_path: Path) -> None:
    source = open_celebamask_hq(merged)
    with pytest.raises(ShardError, match=r"15 samples of 2000000 x 2000000 need about 180000\.0 GB"):
        prepare(source, tmp_path / "data", Aligner(2_000_000))


def test_a_worker_that_dies_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    provenance = Provenance("celebamask-hq", "deadly", "none")
    source = Deadly({"train": [str(number) for number in range(6)]}, provenance)
    with pytest.raises(EagrctlError, match="a worker process died"):
        prepare(source, tmp_path / "data", Aligner(49), workers=2)
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from eagrctl.data import plan
from eagrctl.data.align import TEMPLATE
from eagrctl.data.aligner import Aligner, ANNOTATED, listed
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.data.prepare import prepare
plan.SAMPLES_PER_SHARD = 2
source = open_celebamask_hq(Path(sys.argv[1]))
threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), signal.SIGKILL)).start()
prepare(source, Path(sys.argv[2]), Aligner(129))
os._exit(0)
"""


def test_killed_at_any_moment_and_resumed_it_ends_as_if_nothing_had_happened(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SAMPLES_PER_SHARD", 2)
    source = open_celebamask_hq(merged)
    started = time.monotonic()
    prepare(source, tmp_path / "whole", Aligner(129))
    duration = time.monotonic() - started
    killed, continued = 0, 0
    for number, share in enumerate(np.random.default_rng(0).uniform(0.02, 1.3, 10)):
        output = tmp_path / f"killed-{number}"
        command = [sys.executable, "-c", KILLED, merged, output, str(share * duration)]
        result = subprocess.run(command, capture_output=True, check=False, cwd=Path(__file__).parents[2])
        killed += result.returncode == -signal.SIGKILL
        if not (output / INDEX).exists():
            events: list[Progress | Notice] = []
            prepare(source, output, Aligner(129), listener=events.append)
            continued += any(isinstance(event, Notice) and "Continuing" in event.text for event in events)
        assert files(output) == files(tmp_path / "whole")
        assert not [path for path in output.iterdir() if path.name.startswith(".")]
    assert killed >= 3
    assert continued >= 1


def test_finished_shards_are_not_done_again(merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLES_PER_SHARD", 4)
    torn = (merged / "images" / "9.jpg").read_bytes()
    (merged / "images" / "9.jpg").write_bytes(torn[:200])
    events: list[Progress | Notice] = []
    with pytest.raises(SourceError, match=r"9\.jpg is truncated or damaged"):
        prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49), listener=events.append)
    assert any(isinstance(event, Notice) and "2 finished shards are kept" in event.text for event in events)
    (merged / "images" / "9.jpg").write_bytes(torn)
    for name in range(8):
        (merged / "images" / f"{name}.jpg").write_text("whoever reads this again fails")
    assert prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49)).split("train").count == 12


def test_a_sample_that_was_left_out_is_taken_in_once_it_is_mended(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SAMPLES_PER_SHARD", 4)
    photos, output = merged / "images", tmp_path / "data"
    whole = {name: (photos / f"{name}.jpg").read_bytes() for name in (2, 12, 13, 14)}
    for name in whole:
        (photos / f"{name}.jpg").write_text("no photo")
    with pytest.raises(SourceError, match="not one of the 3 samples of split val"):
        prepare(open_celebamask_hq(merged), output, Aligner(49), keep_going=True)
    for name, data in whole.items():
        (photos / f"{name}.jpg").write_bytes(data)
    index = prepare(open_celebamask_hq(merged), output, Aligner(49), keep_going=True)
    assert {name: (split.count, split.skipped) for name, split in index.splits.items()} == {
        "train": (12, ()),
        "val": (3, ()),
    }


@pytest.mark.parametrize("moves", range(6))
def test_killed_between_any_two_moves_of_force_the_same_command_ends_them(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    source, output = open_celebamask_hq(merged), tmp_path / "data"
    prepare(source, tmp_path / "new", Aligner(65))
    prepare(source, output, Aligner(49))
    old = files(output)
    left, move = [moves], Path.replace

    def dying(path: Path, target: Path) -> Path:
        if ".eagrctl-" not in path.name:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        return move(path, target)

    monkeypatch.setattr(Path, "replace", dying)
    with suppress(KeyboardInterrupt):
        prepare(source, output, Aligner(65), force=True)
    monkeypatch.undo()
    assert moves or files(output) == old
    assert prepare(source, output, Aligner(65), force=True).size == 65
    assert files(output) == files(tmp_path / "new")
    assert not [path for path in output.iterdir() if path.is_dir()]


def test_an_unfinished_run_of_other_options_is_refused_unless_forced(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SAMPLES_PER_SHARD", 4)
    torn = (merged / "images" / "9.jpg").read_bytes()
    (merged / "images" / "9.jpg").write_bytes(torn[:200])
    with pytest.raises(SourceError):
        prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49))
    (merged / "images" / "9.jpg").write_bytes(torn)
    with pytest.raises(ShardError, match="size was 49 and is 65"):
        prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(65))
    assert prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(65), force=True).size == 65


def test_faces_without_landmarks_are_left_out_and_listed_when_that_was_asked_for(merged: Path, tmp_path: Path) -> None:
    known = {str(number): TEMPLATE * 64 for number in range(15) if number != 3}
    aligner = Aligner(49, listed(known, "from a file"), "skip")
    index = prepare(open_celebamask_hq(merged), tmp_path / "data", aligner)
    assert index.split("train").count == 11
    (skipped,) = index.split("train").skipped
    assert skipped.name == "3"
    assert "no face found in 3 (landmarks from a file)" in skipped.reason


def test_landmarks_that_no_face_has_are_refused(merged: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nor of any other, has landmarks annotated by the dataset"):
        prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49, ANNOTATED))
    assert not (tmp_path / "data" / INDEX).exists()


def test_a_failure_takes_nothing_away_that_others_wrote_beside_it(merged: Path, tmp_path: Path) -> None:
    (merged / "images" / "7.jpg").write_text("no photo")
    neighbour = tmp_path / "data" / "thesis.tex"

    def write_beside(event: Progress | Notice) -> None:
        neighbour.write_text("years of work")

    with pytest.raises(SourceError):
        prepare(open_celebamask_hq(merged), tmp_path / "data" / "mine", Aligner(49), listener=write_beside)
    assert [path.name for path in neighbour.parent.iterdir()] == ["thesis.tex"]


def test_a_backup_beside_the_output_survives_force(merged: Path, tmp_path: Path) -> None:
    source, output = open_celebamask_hq(merged), tmp_path / "data"
    prepare(source, output, Aligner(49))
    (tmp_path / "data.old").mkdir()
    (tmp_path / "data.old" / "index.json").write_text("a backup")
    prepare(source, output, Aligner(65), force=True)
    assert (tmp_path / "data.old" / "index.json").read_text() == "a backup"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.old", "merged"]


def test_a_split_whose_few_faces_have_no_landmarks_is_centred_while_others_have_some(
    merged: Path, tmp_path: Path
) -> None:
    known = {str(number): TEMPLATE * 64 for number in range(12)}  # the training faces
    index = prepare(open_celebamask_hq(merged), tmp_path / "data", Aligner(49, listed(known, "from a file")))
    assert index.split("val").centred == ("12", "13", "14")
    assert index.split("train").centred == ()
