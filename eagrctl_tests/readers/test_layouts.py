from pathlib import Path

import pytest

from eagrctl.errors import SourceError
from eagrctl.readers.layouts import find_folders, is_kind, settle, unread_folders, visible


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


@pytest.mark.parametrize("labels", ["labels", "Masks", "mask", "annotations"])
@pytest.mark.parametrize("order", ["{kind}/{split}", "{split}/{kind}", "{split}_{kind}"])
def test_splits_are_found_whichever_folder_comes_first(tmp_path: Path, labels: str, order: str) -> None:
    for split in ("train", "valid", "test"):
        folders(tmp_path, *(order.format(kind=kind, split=split) for kind in ("images", labels)))
    found = find_folders(tmp_path)
    assert list(found) == ["train", "val", "test"]
    expected = [tmp_path / order.format(kind=kind, split="valid") for kind in ("images", labels)]
    assert list(found["val"]) == expected


def test_a_pair_of_folders_holds_all_splits(tmp_path: Path) -> None:
    folders(tmp_path, "images", "labels", "train", ".images")
    assert find_folders(tmp_path) == {"": (tmp_path / "images", tmp_path / "labels")}
    assert unread_folders(tmp_path, find_folders(tmp_path)[""]) == (f"not read: train/ in {tmp_path}",)


def test_hidden_names_are_not_there(tmp_path: Path) -> None:
    for name in ("._a.png", ".DS_Store", "a.png"):
        (tmp_path / name).touch()
    assert [entry.name for entry in visible(tmp_path)] == ["a.png"]


def fits(folder: Path) -> bool:
    return bool(find_folders(folder))


def test_the_folder_above_and_the_one_below_are_found_and_told(tmp_path: Path) -> None:
    root = folders(tmp_path, "data/mine/images", "data/mine/labels") / "data" / "mine"
    assert settle(root, fits, "folder", "so") == (root, ())
    assert settle(root.parent, fits, "folder", "so")[0] == root
    found, (told,) = settle(root / "images", fits, "folder", "so")
    assert (found, "the folder that images is part of" in told) == (root, True)
    folders(tmp_path, "data/yours/images", "data/yours/labels")
    with pytest.raises(SourceError, match="holds several datasets, mine, yours: give one of them"):
        settle(root.parent, fits, "folder", "so")


@pytest.mark.parametrize(
    ("names", "dataset", "told"),
    [
        (("CelebA-HQ-img", "CelebA-HQ-to-CelebA-mapping.txt"), "celebamask-hq", "CelebAMask-HQ-mask-anno is missing"),
        (("CelebA-HQ-img", "CelebAMask-HQ-mask-anno"), "folder", r"as downloaded \(eagrctl prepare celebamask-hq\)"),
        (
            ("images", "labells"),
            "folder",
            "the nearest is that of images and labels, of which labels, classes.toml are missing",
        ),
        (("labels.zip", "images"), "folder", "unpack labels.zip"),
        (("holiday.jpg",), "lapa", "it holds holiday.jpg"),
    ],
)
def test_the_nearest_layout_is_named(tmp_path: Path, names: tuple[str, ...], dataset: str, told: str) -> None:
    folders(tmp_path, *names)
    with pytest.raises(SourceError, match=told):
        settle(tmp_path, lambda folder: False, dataset, "so")


def test_an_archive_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data.zip").touch()
    with pytest.raises(SourceError, match=r"data\.zip is a file: unpack it, and give the folder; so"):
        settle(tmp_path / "data.zip", fits, "folder", "so")


def test_links_in_a_circle_are_neither_files_nor_folders(tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to("images")
    (entry,) = visible(tmp_path)
    assert not is_kind(entry, folder=True)
    assert not is_kind(entry, folder=False)
    assert find_folders(tmp_path) == {}
