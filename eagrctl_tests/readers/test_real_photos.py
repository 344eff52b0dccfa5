import json
from collections import Counter
from pathlib import Path

import pytest

from eagrctl.errors import SourceError
from eagrctl.readers.real_photos import HEADS, AnnotatedPhoto, Kind, RealPhotos, open_heads
from eagrctl_tests.training.scenes.stock import write_real_photos


def test_lists_are_read_and_split_by_names(tmp_path: Path) -> None:
    photos = RealPhotos.load(write_real_photos(tmp_path / "real"))
    assert (len(photos.faces), len(photos.heads), len(photos.backgrounds)) == (24, 5, 24)
    assert photos.faces[1].points is not None
    assert photos.faces[0].points is None
    assert photos.backgrounds[0].hard
    again = RealPhotos.load(tmp_path / "real")
    assert [face.split for face in photos.faces] == [face.split for face in again.faces]


def test_eight_in_ten_are_to_learn_from() -> None:
    splits = Counter(AnnotatedPhoto(f"faces/{number:05d}.jpg", ()).split for number in range(4000))
    assert splits["train"] / 4000 == pytest.approx(0.8, abs=0.03)
    assert splits["val"] / 4000 == pytest.approx(0.1, abs=0.02)
    assert splits["test"] / 4000 == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: is not JSON|line 2 is not JSON"),
        (json.dumps({"file": "../../x.jpg", "boxes": []}), "must be the name of a file in its own folder"),
        (json.dumps({"file": "/etc/passwd", "boxes": []}), "must be the name of a file in its own folder"),
        (json.dumps({"file": "a.jpg", "boxes": [[5, 0, 1, 1]]}), "its left before its right"),
        (json.dumps({"file": "a.jpg", "boxes": [[0, 0, 1, 1]], "points": [[[1, 2]]]}), "five points, or null"),
        (json.dumps({"file": "a.jpg", "boxes": [[0, 0, 1, 1]], "points": [None, None]}), "five points, or null"),
        (json.dumps({"file": "a.jpg", "boxes": [[0, 0, 1, "x"]]}), "must be a number"),
        (json.dumps({"boxes": []}), "missing key 'file'"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    root = write_real_photos(tmp_path / "real")
    first = (root / "faces.jsonl").read_text().splitlines()[0]
    (root / "faces.jsonl").write_text(f"{first}\n{line}\n")
    with pytest.raises(SourceError, match=said) as caught:
        RealPhotos.load(root)
    assert "line 2" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["faces", "heads", "backgrounds"])
def test_a_missing_or_empty_list_is_named(tmp_path: Path, name: str) -> None:
    root = write_real_photos(tmp_path / "real")
    (root / f"{name}.jsonl").write_text("\n")
    with pytest.raises(SourceError, match=rf"{name}\.jsonl lists no photo"):
        RealPhotos.load(root)
    (root / f"{name}.jsonl").unlink()
    with pytest.raises(SourceError, match=rf"{name}\.jsonl is missing: give the folder"):
        RealPhotos.load(root)


@pytest.mark.parametrize(("kind", "count"), [("parts", 5), ("hair", 1)])
def test_heads_are_a_dataset_of_their_own_kind(tmp_path: Path, kind: Kind, count: int) -> None:
    source = open_heads(write_real_photos(tmp_path / "real"), kind)
    assert source.labels.names == HEADS[kind]
    assert source.provenance.dataset == f"heads-{kind}"
    named = [(split, name) for split, names in source.splits.items() for name in names]
    assert len(named) == count
    assert all(AnnotatedPhoto(f"heads/{name}.jpg", ()).split == split for split, name in named)
    if kind == "parts":
        sample = source.read(*named[0])
        assert sample.image.shape == (200, 200, 3)
        assert set(sample.labels.ravel()) == {0, 1, 2, 6}
    else:  # its label map is one of parts
        with pytest.raises(SourceError, match=r"holds label 6, outside 0\.\.1"):
            source.read(*named[0])


def test_a_folder_without_heads_of_a_kind_says_so(tmp_path: Path) -> None:
    root = write_real_photos(tmp_path / "real")
    lines = [line for line in (root / "heads.jsonl").read_text().splitlines() if "hair" not in line]
    (root / "heads.jsonl").write_text("\n".join(lines))
    with pytest.raises(SourceError, match="lists no head of the kind hair"):
        open_heads(root, "hair")
