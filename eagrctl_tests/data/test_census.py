import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data import plan
from eagrctl.data.aligner import Aligner
from eagrctl.data.census import Census, emptiness
from eagrctl.data.index import INDEX, ShardIndex
from eagrctl.data.labels import LabelSet, distinct_colours
from eagrctl.data.merge import merge_parts
from eagrctl.data.prepare import prepare
from eagrctl.events import Notice, Progress
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.readers.folder import open_folder
from eagrctl_tests.conftest import face

OWN = LabelSet(("background", "skin", "hat"), distinct_colours(3))
LABELS = np.array([[0, 1, 1], [255, 0, 1]], np.uint8)


def warnings(events: list[Progress | Notice]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice) and event.warning]


def test_parts_add_up_in_any_order() -> None:
    one, other = Census.of("b", LABELS), Census.of("a", np.zeros((1, 4), np.uint8))
    assert (one.pixels, one.ignored, one.empty) == ((2, 3), 1, ())
    assert Census.join([one, other]) == Census.join([other, one]) == Census((6, 3), 1, ("a",))
    assert Census.join([]) == Census()


def test_a_face_that_alignment_lost_is_empty_though_its_labels_are_not() -> None:
    assert Census.of("a", LABELS, np.zeros((5, 5), np.uint8)) == Census((2, 3), 1, ("a",))
    assert Census.of("a", np.full((2, 2), 255, np.uint8)).empty == ("a",)


def test_what_is_lacking_is_told_by_split_and_of_a_part_no_class() -> None:
    splits = {"train": Census((9, 9, 9)), "val": Census((90, 9), 7, ("7", "9"))}
    assert emptiness(splits, OWN) == [
        "no face of split val has a pixel of hat",
        "faces of split val that are all background: 2 (7, 9)",
        "6.6 % of the pixels of split val are ignored (255)",
    ]
    assert emptiness(splits, OWN, whole=False)[0].startswith("faces of split val")
    assert emptiness({"train": Census((9, 9))}, OWN)[0].startswith("no face has a pixel of hat")
    assert emptiness({"train": Census((95, 1, 1), 5)}, OWN) == []


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A folder of two classes whose masks are 0 and 255."""
    root = tmp_path / "masks"
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for number in range(10):
        image, labels = face(number)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(np.where(labels > 0, np.uint8(255), np.uint8(0))).save(root / "labels" / f"{number}.png")
    (root / "classes.toml").write_text('classes = ["background", "face"]')
    return root


def test_masks_of_0_and_255_are_told_with_their_remedy(masks: Path, tmp_path: Path) -> None:
    events: list[Progress | Notice] = []
    index = prepare(open_folder(masks), tmp_path / "data", Aligner(49), listener=events.append)
    told = warnings(events)
    assert any("save 255 as 1" in line for line in told)
    assert any("faces of split train that are all background: 8 (0, 1, 2, 3, 4 and 3 more)" in line for line in told)
    assert json.loads((tmp_path / "data" / INDEX).read_text())["warnings"] == told == index.warnings


def test_a_killed_or_divided_preparation_counts_the_same(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SAMPLES_PER_SHARD", 5)
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(merged / "labels" / "2.png")
    source = open_celebamask_hq(merged)
    whole = prepare(source, tmp_path / "whole", Aligner(49))
    maps = [np.array(Image.open(merged / "labels" / f"{number}.png")) for number in range(12)]
    census = whole.split("train").census
    assert census is not None
    assert census.empty == ("2",)
    assert census.pixels == tuple(np.bincount(np.concatenate([each.ravel() for each in maps])).tolist())
    heard: list[Progress | Notice] = []
    for number in (1, 2):
        prepare(source, tmp_path / str(number), Aligner(49), part=(number, 2), listener=heard.append)
    assert not any("has a pixel of" in line for line in warnings(heard))
    events: list[Progress | Notice] = []
    merge_parts([tmp_path / "1", tmp_path / "2"], tmp_path / "joined", listener=events.append)
    assert warnings(events) == whole.warnings
    assert any(line.startswith("no face has a pixel of glasses, left brow") for line in whole.warnings)
    assert (tmp_path / "joined" / INDEX).read_bytes() == (tmp_path / "whole" / INDEX).read_bytes()


def test_an_index_that_counts_nothing_is_read_and_warns_of_nothing(tiny_data: ShardIndex, tmp_path: Path) -> None:
    splits = {name: replace(split, census=None) for name, split in tiny_data.splits.items()}
    replace(tiny_data, root=tmp_path, splits=splits).save()
    path = tmp_path / INDEX
    table = json.loads(path.read_text())
    del table["warnings"]
    for split in table["splits"].values():
        del split["census"]
    path.write_text(json.dumps(table))
    assert ShardIndex.load(tmp_path).warnings == []
